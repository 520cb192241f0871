//! Create an organization: reserve the name, then write the organization's record.
//!
//! A crash in between leaves a name that points to nothing; whoever asks for the name next gets the
//! reserved id and completes it.

use crate::context::Context;
use crate::credential::OrgId;
use crate::org::audit::Author;
use crate::org::record::OrgRecord;
use crate::org::{ChangeError, Registry, keys};
use crate::system::OrgIndex;

/// The new organization's id and record; `author` is who asked for it. [`ChangeError::NameTaken`] where one has the name.
pub async fn create_org(
    registry: &Registry,
    index: &OrgIndex,
    context: &Context,
    author: &Author,
    name: &str,
) -> Result<(OrgId, OrgRecord), ChangeError> {
    let name = keys::check_name(name)?;
    let minted = OrgId::mint(&context.rng)?;
    let id = index.reserve(&name, minted).await?;
    let record = OrgRecord { name: name.clone(), created_at: context.clock.now() };
    match registry.create(id, &record, author).await {
        Ok(()) => Ok((id, record)),
        Err(ChangeError::Conflict) => Err(ChangeError::NameTaken { what: "an organization", name }),
        Err(error) => Err(error),
    }
}
