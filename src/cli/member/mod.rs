//! `sequel member …`: who belongs to an organization, and as what.

mod add;
mod list;
mod remove;
mod role;

use clap::builder::NonEmptyStringValueParser;

use super::World;
use super::answer::Answer;
use super::failure::Failure;
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(add::Args),
    List(list::Args),
    Role(role::Args),
    Remove(remove::Args),
}

/// Which user a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The user's address or id
    #[arg(value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    user: String,
}

/// What a member is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Role {
    /// Everything, the end of the organization included
    Owner,
    /// Everything but owners and the end of the organization
    Admin,
    /// Asks questions, with keys of their own
    Member,
    /// Looks on
    Viewer,
}

impl Role {
    fn word(self) -> String {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
        .to_owned()
    }
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::Add(args) => add::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::Role(args) => role::run(args, session).await,
        Command::Remove(args) => remove::run(args, session, world).await,
    }
}
