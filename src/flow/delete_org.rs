//! Delete an organization, restore it, or end the time in which that can be done.
//!
//! The list of deletions is written first: whoever crashes afterwards leaves an entry for an organization that
//! lives, which is found out and dropped, never a deleted organization that nobody purges.

use std::time::Duration;

use super::People;
use super::find_org::find_deleted_org;
use crate::context::Context;
use crate::credential::OrgId;
use crate::org::audit::Author;
use crate::org::record::{DeletedOrgRecord, OrgRecord};
use crate::org::{ChangeError, Member, Org, Registry};
use crate::system::{Deletion, OrgIndex};

/// Deletes an organization; it can be restored for `grace`. When this answers, its credentials are refused.
pub async fn delete_org(
    index: &OrgIndex,
    context: &Context,
    org: &Org,
    grace: Duration,
) -> Result<DeletedOrgRecord, ChangeError> {
    let _alone = index.alone().await;
    let name = org.record().await?.name;
    let due = context.clock.now().plus(grace);
    index.note_deletion(&Deletion { org: org.id(), name, due }).await?;
    org.delete(grace).await
}

/// The same in a member's name, where their role allows it.
pub async fn delete_org_as(
    people: &People,
    member: &Member,
    grace: Duration,
) -> Result<DeletedOrgRecord, ChangeError> {
    delete_org(&people.index, &people.context, &member.to_delete()?, grace).await
}

/// Makes a deleted organization due to be purged.
pub async fn end_grace(
    registry: &Registry,
    index: &OrgIndex,
    context: &Context,
    author: &Author,
    word: &str,
) -> Result<(OrgId, DeletedOrgRecord), ChangeError> {
    let _alone = index.alone().await;
    let (id, deleted) = find_deleted_org(registry, index, word).await?;
    index.note_deletion(&Deletion { org: id, name: deleted.name, due: context.clock.now() }).await?;
    Ok((id, registry.end_grace(id, author).await?))
}

/// Puts a deleted organization back as it was at its deletion.
pub async fn restore_org(
    registry: &Registry,
    index: &OrgIndex,
    author: &Author,
    word: &str,
) -> Result<(OrgId, OrgRecord), ChangeError> {
    let _alone = index.alone().await;
    let (id, _) = find_deleted_org(registry, index, word).await?;
    let record = registry.restore(id, author).await?;
    if let Err(error) = index.forget_deletion(id).await {
        // The entry finds a living organization when its time comes, and is dropped then.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a restored organization stays in the list of deletions"
        );
    }
    Ok((id, record))
}
