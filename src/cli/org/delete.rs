//! `sequel org delete`.

use super::Which;
use crate::api::DeletedOrg;
use crate::cli::World;
use crate::cli::answer::{Answer, clean, minute};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// Delete an organization: access to it ends at once, running queries are stopped
///
/// It can be restored for a while (orgs.delete_grace_seconds, a week unless configured otherwise). Then it is purged
/// for good, with its keys and what Sequel knows of its data sources; the databases themselves are left as they are.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    /// Purge it at once, also when it was deleted before; there is no way back
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let name = clean(&args.which.org);
    let undone = match args.now {
        true => "This cannot be undone.",
        false => "It can be restored for a while.",
    };
    let question = format!("Delete the organization {name} with all of its API keys? {undone}");
    args.yes.confirm(world, &question)?;
    let flags = if args.now { "?now=true" } else { "" };
    let path = format!("/orgs/{}{flags}", segment(&args.which.org));
    let deleted: DeletedOrg = session.client.delete(&path).await?;
    let rest = if deleted.purged {
        "Nothing of it is left.".to_owned()
    } else if args.now {
        "The running server purges the rest of it, or the next one that is started.".to_owned()
    } else {
        format!(
            "Until {} it can be restored: sequel org restore {}{}",
            minute(deleted.purge_at),
            clean(&shell_quote(&deleted.name)),
            session.repeated
        )
    };
    let name = clean(&deleted.name);
    let text =
        format!("Deleted the organization {name}: every request with one of its keys is refused.\n{rest}");
    Ok(Answer::new(&deleted, text))
}
