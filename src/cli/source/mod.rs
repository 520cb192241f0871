//! `sequel source …`: data sources.

mod add;
mod edit;
mod flags;
mod list;
mod remove;
mod rename;
mod test;

use clap::builder::NonEmptyStringValueParser;

use super::World;
use super::answer::Answer;
use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(add::Args),
    List(list::Args),
    Rename(rename::Args),
    Edit(edit::Args),
    Test(test::Args),
    Remove(remove::Args),
}

/// Which data source a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArg {
    /// The data source's name or id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    source: String,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::Add(args) => add::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::Rename(args) => rename::run(args, session).await,
        Command::Edit(args) => edit::run(args, session).await,
        Command::Test(args) => test::run(args, session).await,
        Command::Remove(args) => remove::run(args, session, world).await,
    }
}
