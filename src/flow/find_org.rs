//! Find the organization that an operator means: by id or by name. And list all of them.

use crate::credential::OrgId;
use crate::org::record::OrgRecord;
use crate::org::{ChangeError, Org, Registry, ResolveError};
use crate::system::{IndexError, OrgIndex};

/// The organization with this id or name. An id counts first: a name cannot stand in for another's id.
pub async fn find_org(registry: &Registry, index: &OrgIndex, word: &str) -> Result<Org, ChangeError> {
    if let Ok(id) = word.parse() {
        match registry.resolve(id).await {
            Err(ResolveError::NotFound) => {}
            found => return Ok(found?),
        }
    }
    let id = index.find(word.trim()).await?.ok_or(ChangeError::NotFound("organization"))?;
    Ok(registry.resolve(id).await?)
}

/// All organizations, by name.
pub async fn list_orgs(
    registry: &Registry,
    index: &OrgIndex,
) -> Result<Vec<(OrgId, OrgRecord)>, ChangeError> {
    let mut orgs = Vec::new();
    for id in index.all().await? {
        // A reserved name whose organization was never written is no organization.
        if let Some(record) = registry.record(id).await? {
            orgs.push((id, record));
        }
    }
    orgs.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(orgs)
}

impl From<IndexError> for ChangeError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Read(error) => error.into(),
            IndexError::Conflict => Self::Conflict,
            IndexError::Commit(error) => error.into(),
            IndexError::Record(error) => error.into(),
            IndexError::Rng(error) => error.into(),
        }
    }
}
