//! `sequel user reset-password`.

use super::{Which, handed_over};
use crate::api::PasswordLink;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Make a link with which a user sets a new password; an earlier link stops working
///
/// The former password works until the link is used; then every session of the user ends.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = format!("/users/{}/reset-password", segment(&args.which.user));
    let link: PasswordLink = session.client.post(&path, &serde_json::json!({})).await?;
    let text = format!("A link to set the password of {}:\n\n{}", clean(&link.email), handed_over(&link));
    Ok(Answer::new(&link, text))
}
