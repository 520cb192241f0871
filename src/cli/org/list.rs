//! `sequel org list`.

use crate::api::{Org, Orgs};
use crate::cli::answer::{Answer, minute, minute_or, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// List the organizations
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Also those that were deleted and can be restored or are being purged
    #[arg(long)]
    deleted: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = if args.deleted { "/orgs?deleted=true" } else { "/orgs" };
    let orgs: Orgs = session.client.get(path).await?;
    let row = |org: &Org| vec![org.name.clone(), org.id.clone(), minute(org.created_at)];
    let text = if orgs.orgs.is_empty() {
        format!("There is no organization yet. Make one with: sequel org create NAME{}", session.repeated)
    } else if args.deleted {
        let rows = orgs.orgs.iter().map(|org| {
            let dates = [minute_or(org.deleted_at, ""), minute_or(org.purge_at, "")];
            row(org).into_iter().chain(dates).collect()
        });
        table(&["name", "id", "created", "deleted", "purged from"], rows)
    } else {
        table(&["name", "id", "created"], orgs.orgs.iter().map(row))
    };
    Ok(Answer::new(&orgs, text))
}
