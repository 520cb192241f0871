//! `sequel user …`: the people who may sign in.

mod audit;
mod create;
mod delete;
mod list;
mod reset_password;
mod switch;

use clap::builder::NonEmptyStringValueParser;

use super::World;
use super::answer::{Answer, clean, minute};
use super::failure::Failure;
use super::session::Session;
use crate::api::PasswordLink;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(create::Args),
    List(list::Args),
    ResetPassword(reset_password::Args),
    Disable(switch::Disable),
    Enable(switch::Enable),
    Delete(delete::Args),
    Audit(audit::Args),
}

/// Which user a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The user's address or id
    #[arg(value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    user: String,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::Create(args) => create::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::ResetPassword(args) => reset_password::run(args, session).await,
        Command::Disable(args) => switch::disable(args, session, world).await,
        Command::Enable(args) => switch::enable(args, session).await,
        Command::Delete(args) => delete::run(args, session, world).await,
        Command::Audit(args) => audit::run(args, session, world).await,
    }
}

/// A link on a line of its own, with what must not be missed.
fn handed_over(link: &PasswordLink) -> String {
    format!(
        "{}\n\nHand it over by a way that only {} reads: whoever follows it sets the password. It works once, until {}.",
        link.link,
        clean(&link.email),
        minute(link.expires_at)
    )
}
