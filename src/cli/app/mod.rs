//! `sequel app …`: authorized apps.

mod edit;
mod list;
mod policy;
mod revoke;
mod show;

use clap::builder::NonEmptyStringValueParser;

use super::World;
use super::answer::Answer;
use super::failure::Failure;
use super::session::Session;
use crate::api::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::Args),
    Show(show::Args),
    Edit(edit::Args),
    Revoke(revoke::Args),
    Policy(policy::Args),
}

/// Which app a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct AppArg {
    /// The app's id, as the list shows it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    app: String,
}

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    match command {
        Command::List(args) => list::run(args, session).await,
        Command::Show(args) => show::run(args, session).await,
        Command::Edit(args) => edit::run(args, session, world).await,
        Command::Revoke(args) => revoke::run(args, session, world).await,
        Command::Policy(args) => policy::run(args, session).await,
    }
}

/// What an app calls itself, or its id where it says nothing.
fn called(app: &App) -> &str {
    if app.name.is_empty() { &app.client } else { &app.name }
}
