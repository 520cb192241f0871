//! `sequel source remove`.

use super::SourceArg;
use crate::api::Deleted;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::{OrgArg, World};

/// Remove a data source from Sequel; the database itself is left as it is
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArg,
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let (source, org) = (clean(&args.source.source), clean(&org));
    let question = format!("Remove the data source {source} from {org}? Clients can no longer ask it.");
    args.yes.confirm(world, &question)?;
    let path = format!("{path}/sources/{}", segment(&args.source.source));
    let deleted: Deleted = session.client.delete(&path).await?;
    let text = format!("Removed the data source {}. The database itself is untouched.", clean(&deleted.name));
    Ok(Answer::new(&deleted, text))
}
