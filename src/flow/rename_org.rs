//! Rename an organization: reserve the new name, change the organization's record, give the old name up.
//!
//! A crash in between leaves one entry of the index that no record bears out. It finds nobody and is in nobody's
//! way: the next who asks for the name takes it over.

use super::People;
use crate::credential::OrgId;
use crate::org::record::OrgRecord;
use crate::org::{ChangeError, Member, Org, Registry, keys};
use crate::record::same_name;
use crate::system::OrgIndex;

/// The record with the new name. [`ChangeError::NameTaken`] where another organization has it.
pub async fn rename_org(
    registry: &Registry,
    index: &OrgIndex,
    org: &Org,
    name: &str,
) -> Result<OrgRecord, ChangeError> {
    let name = keys::check_name(name)?;
    let _alone = index.alone().await;
    let old = org.record().await?.name;
    let holder = index.reserve(&name, org.id()).await?;
    if holder != org.id() {
        if let Some(taken) = taken(registry, holder, &name).await? {
            return Err(taken);
        }
        index.take_over(&name, holder, org.id()).await?;
    }
    let record = org.rename(&name).await?;
    if !same_name(&old, &name)
        && let Err(error) = index.release(&old, org.id()).await
    {
        // Renamed it is; the old name is taken over by the next who asks for it.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the old name of an organization stays in the index"
        );
    }
    Ok(record)
}

/// The same in a member's name, where their role allows it.
pub async fn rename_org_as(people: &People, member: &Member, name: &str) -> Result<OrgRecord, ChangeError> {
    rename_org(&people.registry, &people.index, &member.to_rename()?, name).await
}

/// What holds a name and could give it up.
const DELETED: &str = "a deleted organization (restore it, or purge it with 'sequel org delete --now')";

/// Why a name that the index points to an organization cannot be had; `None` where that organization does not
/// have it.
pub(super) async fn taken(
    registry: &Registry,
    holder: OrgId,
    name: &str,
) -> Result<Option<ChangeError>, ChangeError> {
    let what = match registry.record(holder).await? {
        Some(record) => same_name(&record.name, name).then_some("an organization"),
        None => {
            let deleted = registry.deleted(holder).await?;
            deleted.filter(|record| same_name(&record.name, name)).map(|_| DELETED)
        }
    };
    Ok(what.map(|what| ChangeError::NameTaken { what, name: name.to_owned() }))
}
