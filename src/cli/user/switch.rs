//! `sequel user disable` and `sequel user enable`.

use super::Which;
use crate::api::{ChangeUser, User};
use crate::cli::World;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Keep a user out: sessions end at once, personal API keys are switched off
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Disable {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    yes: Yes,
}

/// Let a user in again who was disabled, or suspended by the restore of a backup
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Enable {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn disable(
    args: Disable,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    let question = format!(
        "Disable the user {}? Sessions end and personal API keys are switched off; enabling brings neither back.",
        clean(&args.which.user)
    );
    args.yes.confirm(world, &question)?;
    let user = switched(&args.which, false, session).await?;
    let email = clean(&user.email);
    let text =
        format!("The user {email} is disabled: every session and personal API key is refused from now on.");
    Ok(Answer::new(&user, text))
}

pub(super) async fn enable(args: Enable, session: &mut Session) -> Result<Answer, Failure> {
    let user = switched(&args.which, true, session).await?;
    Ok(Answer::new(&user, format!("The user {} may sign in.", clean(&user.email))))
}

async fn switched(which: &Which, enabled: bool, session: &mut Session) -> Result<User, Failure> {
    let path = format!("/users/{}", segment(&which.user));
    Ok(session.client.patch(&path, &ChangeUser { enabled }).await?)
}
