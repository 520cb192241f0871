//! `sequel key …`: API keys.

mod create;
mod delete;
mod list;
mod rename;
mod rotate;
mod switch;

use clap::builder::NonEmptyStringValueParser;

use super::World;
use super::answer::Answer;
use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(create::Args),
    List(list::Args),
    Rename(rename::Args),
    Rotate(rotate::Args),
    /// Switch an API key off: it is refused at once, until it is enabled again
    Disable(switch::Args),
    /// Switch an API key on again that was disabled, or suspended by the restore of a backup
    Enable(switch::Args),
    Delete(delete::Args),
}

/// Which key a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArg {
    /// The key's name, id or prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    key: String,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::Create(args) => create::run(args, session, world).await,
        Command::List(args) => list::run(args, session).await,
        Command::Rename(args) => rename::run(args, session).await,
        Command::Rotate(args) => rotate::run(args, session, world).await,
        Command::Disable(args) => switch::run(args, false, session).await,
        Command::Enable(args) => switch::run(args, true, session).await,
        Command::Delete(args) => delete::run(args, session, world).await,
    }
}

/// A secret on a line of its own, with the sentence that must not be missed.
fn shown_once(key: &str) -> String {
    format!("{key}\n\nCopy it now: it is shown only this once. Sequel keeps a digest of it, not the key.")
}
