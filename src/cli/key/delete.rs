//! `sequel key delete`.

use super::KeyArg;
use crate::api::Deleted;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::{OrgArg, World};

/// Delete an API key: every request with it is refused at once, running ones are stopped
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let (key, org) = (clean(&args.key.key), clean(&org));
    args.yes.confirm(world, &format!("Delete the API key {key} of {org}? This cannot be undone."))?;
    let path = format!("{path}/keys/{}", segment(&args.key.key));
    let deleted: Deleted = session.client.delete(&path).await?;
    let name = clean(&deleted.name);
    let text = format!("Deleted the API key {name}: every request with it is refused from now on.");
    Ok(Answer::new(&deleted, text))
}
