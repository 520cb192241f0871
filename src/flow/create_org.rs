//! Create an organization: reserve the name, then write the organization's record.
//!
//! A crash in between leaves a name that points to nothing; whoever asks for the name next gets the
//! reserved id and completes it.

use super::rename_org::taken;
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
    let record = OrgRecord { name: name.clone(), created_at: context.clock.now() };
    let _alone = index.alone().await;
    let reserved = index.reserve(&name, minted).await?;
    match registry.create(reserved, &record, author).await {
        Ok(()) => return Ok((reserved, record)),
        Err(ChangeError::Conflict) => {}
        Err(error) => return Err(error),
    }
    // Somebody has the name, unless the entry was left behind by a rename or a purge that broke off.
    if let Some(taken) = taken(registry, reserved, &name).await? {
        return Err(taken);
    }
    let id = if reserved == minted { OrgId::mint(&context.rng)? } else { minted };
    index.take_over(&name, reserved, id).await?;
    registry.create(id, &record, author).await?;
    Ok((id, record))
}
