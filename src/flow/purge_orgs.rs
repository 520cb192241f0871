//! Purge deleted organizations whose time is over: first their records, then their names, then their entries in the
//! list. Each step can be repeated, so that a crash anywhere costs nothing but the rest of the work.

use std::time::Duration;

use crate::context::{Context, Timestamp};
use crate::org::{ChangeError, Purged, Registry};
use crate::system::{Deletion, OrgIndex};

/// How long an entry for an organization that lives is kept: a deletion that was asked for and timed out may still
/// happen, within seconds.
const ENTRY_KEPT: Duration = Duration::from_secs(3_600);

/// Purges what is due, a bounded part of it for each organization and call. Returns how many are gone. One that fails
/// is told in the log and tried again with the next call; it keeps nobody behind it from being purged.
pub async fn purge_orgs(
    registry: &Registry,
    index: &OrgIndex,
    context: &Context,
) -> Result<usize, ChangeError> {
    let now = context.clock.now();
    let mut gone = 0;
    for deletion in index.deletions().await? {
        if now < deletion.due {
            continue;
        }
        let org = deletion.org;
        match purge_org(registry, index, deletion, now).await {
            Ok(purged) => gone += usize::from(purged == Purged::Gone),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%org, error, "a deleted organization could not be purged; it is tried again");
            }
        }
    }
    Ok(gone)
}

/// Purges one organization of the list.
pub async fn purge_org(
    registry: &Registry,
    index: &OrgIndex,
    deletion: Deletion,
    now: Timestamp,
) -> Result<Purged, ChangeError> {
    let _alone = index.alone().await;
    let mut deletion = deletion;
    if let Some(deleted) = registry.deleted(deletion.org).await?
        && deleted.name != deletion.name
    {
        // A rename came between: the list must know the name before the record is gone.
        deletion.name = deleted.name;
        index.note_deletion(&deletion).await?;
    }
    let purged = registry.purge(deletion.org).await?;
    match purged {
        Purged::Gone => {
            index.release(&deletion.name, deletion.org).await?;
            index.forget_deletion(deletion.org).await?;
            tracing::info!(org = %deletion.org, "a deleted organization was purged");
        }
        Purged::Alive if deletion.due.plus(ENTRY_KEPT) <= now => index.forget_deletion(deletion.org).await?,
        Purged::NotDue(due) if due != deletion.due => {
            index.note_deletion(&Deletion { due, ..deletion }).await?
        }
        Purged::Alive | Purged::NotDue(_) | Purged::Begun => {}
    }
    Ok(purged)
}

#[cfg(test)]
pub(crate) use super::tests::sweep_beside_a_purge_that_hangs;
