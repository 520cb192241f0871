//! The first person's way in: the link that a start prints on its console while nobody can sign in. It goes to standard
//! output and not into the log, which is kept and passed on.

use std::io::Write;

use anyhow::Context as _;

use crate::flow::{People, set_up};

/// The link, where nobody can sign in yet.
pub(super) async fn link(people: &People) -> anyhow::Result<Option<String>> {
    set_up::open(people).await.context("it cannot be seen whether somebody was set up")
}

/// Prints it for whoever starts the server.
pub(super) async fn announce(people: &People) -> anyhow::Result<()> {
    if let Some(link) = link(people).await? {
        let mut out = std::io::stdout().lock();
        // A server whose output nobody takes serves all the same; the next start prints another link.
        let _ =
            writeln!(out, "Nobody can sign in yet. Set Sequel up, once: {link}").and_then(|()| out.flush());
    }
    Ok(())
}
