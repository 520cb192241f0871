//! Find the organization that an operator means: by id or by name. And list all of them.

use crate::credential::OrgId;
use crate::org::record::OrgRecord;
use crate::org::{ChangeError, Org, Registry, ResolveError};
use crate::system::{IndexError, OrgIndex};

const ORG: &str = "organization";

/// The organization with this id or name.
pub async fn find_org(registry: &Registry, index: &OrgIndex, word: &str) -> Result<Org, ChangeError> {
    let by_name = index.find(word.trim()).await.map_err(unavailable)?;
    let id = match by_name {
        Some(id) => id,
        None => word.parse().map_err(|_| ChangeError::NotFound(ORG))?,
    };
    registry.resolve(id).await.map_err(|error| match error {
        ResolveError::NotFound => ChangeError::NotFound(ORG),
        ResolveError::Store(error) => error.into(),
        ResolveError::Record(error) => error.into(),
        ResolveError::Full | ResolveError::ShuttingDown => ChangeError::Busy,
        ResolveError::Actor => ChangeError::Internal(Box::new(error)),
    })
}

/// All organizations, by name.
pub async fn list_orgs(
    registry: &Registry,
    index: &OrgIndex,
) -> Result<Vec<(OrgId, OrgRecord)>, ChangeError> {
    let mut orgs = Vec::new();
    for id in index.all().await.map_err(unavailable)? {
        // A reserved name whose organization was never written is no organization.
        if let Some(record) = registry.record(id).await? {
            orgs.push((id, record));
        }
    }
    orgs.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(orgs)
}

pub(super) fn unavailable(error: IndexError) -> ChangeError {
    match error {
        IndexError::Read(error) => error.into(),
        IndexError::Conflict => ChangeError::Conflict,
        IndexError::Commit(error) => error.into(),
        IndexError::Record(error) => error.into(),
        IndexError::Rng(error) => error.into(),
    }
}
