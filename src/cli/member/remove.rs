//! `sequel member remove`.

use super::Which;
use crate::api::Deleted;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::{OrgArg, World};

/// Remove a member from an organization: their personal API keys are deleted, running queries are stopped
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let (user, org) = (clean(&args.which.user), clean(&org));
    let question =
        format!("Remove {user} from {org}? Their personal API keys are deleted; that cannot be undone.");
    args.yes.confirm(world, &question)?;
    let removed: Deleted =
        session.client.delete(&format!("{path}/members/{}", segment(&args.which.user))).await?;
    let text = format!("{} is no member of {org} any more.", clean(&removed.name));
    Ok(Answer::new(&removed, text))
}
