//! `sequel user audit`.

use crate::cli::World;
use crate::cli::answer::Answer;
use crate::cli::audit::Wanted;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// List the changes of users and their sign-ins, the newest first: who did what, from where, when
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &World<'_>) -> Result<Answer, Failure> {
    args.wanted.list("The trail of users", "/users-audit", (session, world)).await
}
