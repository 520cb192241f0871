//! `sequel org …`: organizations.

mod create;
mod list;

use super::answer::Answer;
use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(create::Args),
    /// List the organizations
    List,
}

pub(super) async fn run(command: Command, session: &mut Session) -> Result<Answer, Failure> {
    match command {
        Command::Create(args) => create::run(args, session).await,
        Command::List => list::run(session).await,
    }
}
