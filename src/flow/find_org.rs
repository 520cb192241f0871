//! Find the organization that an operator means: by id or by name. And list all of them.

use std::collections::BTreeSet;

use crate::credential::OrgId;
use crate::org::record::{DeletedOrgRecord, OrgRecord};
use crate::org::{ChangeError, Org, Registry, ResolveError};
use crate::record::same_name;
use crate::system::{OrgIndex, TableError};

/// The organization with this id or name. An id counts first: a name cannot stand in for another's id.
pub async fn find_org(registry: &Registry, index: &OrgIndex, word: &str) -> Result<Org, ChangeError> {
    if let Ok(id) = word.parse() {
        match registry.resolve(id).await {
            Err(ResolveError::NotFound) => {}
            found => return Ok(found?),
        }
    }
    let name = word.trim();
    let id = index.find(name).await?.ok_or(ChangeError::NotFound("organization"))?;
    let org = registry.resolve(id).await?;
    // A rename that broke off leaves a name that the organization does not have.
    let has_it = same_name(&org.record().await?.name, name);
    if has_it { Ok(org) } else { Err(ChangeError::NotFound("organization")) }
}

/// The deleted organization with this id or name.
pub async fn find_deleted_org(
    registry: &Registry,
    index: &OrgIndex,
    word: &str,
) -> Result<(OrgId, DeletedOrgRecord), ChangeError> {
    let missing = ChangeError::NotFound("deleted organization");
    if let Ok(id) = word.parse()
        && let Some(deleted) = registry.deleted(id).await?
    {
        return Ok((id, deleted));
    }
    let name = word.trim();
    let Some(id) = index.find(name).await? else { return Err(missing) };
    match registry.deleted(id).await? {
        Some(deleted) if same_name(&deleted.name, name) => Ok((id, deleted)),
        _ => Err(missing),
    }
}

/// Deleted organizations that are still there in part or whole, by name.
pub async fn list_deleted_orgs(
    registry: &Registry,
    index: &OrgIndex,
) -> Result<Vec<(OrgId, DeletedOrgRecord)>, ChangeError> {
    let mut orgs = Vec::new();
    for deletion in index.deletions().await? {
        if let Some(record) = registry.deleted(deletion.org).await? {
            orgs.push((deletion.org, record));
        }
    }
    orgs.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(orgs)
}

/// All organizations, by name.
pub async fn list_orgs(
    registry: &Registry,
    index: &OrgIndex,
) -> Result<Vec<(OrgId, OrgRecord)>, ChangeError> {
    let mut orgs = Vec::new();
    for id in BTreeSet::from_iter(index.all().await?) {
        // A reserved name whose organization was never written is no organization.
        if let Some(record) = registry.record(id).await? {
            orgs.push((id, record));
        }
    }
    orgs.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(orgs)
}

impl From<TableError> for ChangeError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Read(error) => error.into(),
            TableError::Conflict => Self::Conflict,
            TableError::Commit(error) => error.into(),
            TableError::Record(error) => error.into(),
            TableError::Rng(error) => error.into(),
        }
    }
}
