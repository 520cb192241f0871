//! `sequel user delete`.

use super::Which;
use crate::api::DeletedUser;
use crate::cli::World;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Delete a user with their memberships, sessions and personal API keys
///
/// Refused while they are the only owner of an organization. Where one of their organizations was deleted and can still
/// be restored, the user is kept out at once and is gone when it is.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let name = clean(&args.which.user);
    let question =
        format!("Delete the user {name} with all of their personal API keys? This cannot be undone.");
    args.yes.confirm(world, &question)?;
    let deleted: DeletedUser =
        session.client.delete(&format!("/users/{}", segment(&args.which.user))).await?;
    let email = clean(&deleted.email);
    let rest = match deleted.gone {
        true => "Nothing of them is left.",
        false => "The running server takes the rest away, or the next one that is started.",
    };
    Ok(Answer::new(&deleted, format!("Deleted the user {email}: they are kept out from now on.\n{rest}")))
}
