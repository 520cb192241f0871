//! `sequel org …`: organizations.

mod create;
mod delete;
mod list;
mod rename;
mod restore;

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
    Delete(delete::Args),
    Restore(restore::Args),
}

/// Which organization is meant, where it is what the command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The organization's name or id
    #[arg(value_name = "ORG", value_parser = NonEmptyStringValueParser::new())]
    org: String,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::Create(args) => create::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::Rename(args) => rename::run(args, session).await,
        Command::Delete(args) => delete::run(args, session, world).await,
        Command::Restore(args) => restore::run(args, session).await,
    }
}
