//! `sequel secrets …`: the master key that data sources' passwords are sealed under.

use serde_json::json;

use super::World;
use super::answer::{Answer, clean};
use super::confirm::Yes;
use super::failure::Failure;
use super::session::Session;
use crate::api::Rotated;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Rotate(Args),
}

/// Make a new master key, seal every password of a data source under it, and forget the former key
///
/// Backups that were made before hold passwords under the former key: restored, they have to be entered anew. Where the
/// key comes from the configuration (secrets.key), put the new one there first and the former one into
/// secrets.former_keys, restart, and run this.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    let Command::Rotate(args) = command;
    let question = "Seal all passwords of data sources under a new master key? Those in backups made until now will \
                    have to be entered anew after a restore.";
    args.yes.confirm(world, question)?;
    let rotated: Rotated = session.client.post("/secrets/rotate", &json!({})).await?;
    let mut text = format!(
        "Sealed {} data {} under the master key {}.",
        rotated.resealed,
        if rotated.resealed == 1 { "source" } else { "sources" },
        clean(&rotated.key)
    );
    for left in &rotated.left {
        text += &format!("\nThe former key is kept: {}", clean(left));
    }
    if rotated.left.is_empty() {
        text += if rotated.is_given {
            " Nothing is sealed under former keys any more: remove them from secrets.former_keys."
        } else {
            " The former key is forgotten; keep a copy of the new one, apart from backups."
        };
    }
    Ok(Answer::new(&rotated, text))
}
