//! Rotate the master key: a new key, everything sealed under it, the former one forgotten.
//!
//! The former key goes only when nothing needs it any more: each organization seals its own sources in its actor's turn,
//! and what could not be sealed, or belongs to an organization that may still be restored, keeps it. Run again,
//! it goes on where it stopped; a crash in between costs nothing, because both keys are written down until the end.

use crate::context::Context;
use crate::flow::find_org::list_deleted_orgs;
use crate::org::audit::Author;
use crate::org::{ChangeError, Registry, ResolveError};
use crate::system::OrgIndex;
use crate::vault::VaultError;

/// How a rotation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The master key of now, by its name.
    pub key: String,
    /// Sources whose secrets are sealed anew.
    pub resealed: usize,
    /// Why former keys are still needed: a sentence for each organization that needs one. Empty where they are
    /// forgotten.
    pub left: Vec<String>,
    /// The configuration gives the keys, so that they are forgotten there.
    pub is_given: bool,
}

/// Rotates.
pub async fn rotate_secrets(
    registry: &Registry,
    index: &OrgIndex,
    context: &Context,
    author: Author,
) -> Result<Rotation, ChangeError> {
    let vault = registry.vault();
    let (turned, rng) = (vault.clone(), context.rng.clone());
    on_disk(move || turned.rotate(&rng)).await?;
    let (mut resealed, mut left) = (0, Vec::new());
    for id in index.all().await? {
        let org = match registry.resolve(id).await {
            Ok(org) => org.by(author.clone()),
            // Deleted ones are looked at below; a name without an organization is what a crash leaves.
            Err(ResolveError::NotFound) => continue,
            Err(error) => {
                left.push(format!("the organization {id} cannot be read now: {error}. Run this again."));
                continue;
            }
        };
        match org.reseal_sources().await {
            Ok(count) => resealed += count,
            Err(error) => left.push(format!("a data source of the organization {id}: {error}")),
        }
    }
    for (id, deleted) in list_deleted_orgs(registry, index).await? {
        left.push(format!(
            "the organization {:?} ({id}) is deleted and can still be restored. Run this again when it is purged.",
            deleted.name
        ));
    }
    if left.is_empty() {
        let done = vault.clone();
        on_disk(move || done.forget_former()).await?;
    }
    Ok(Rotation { key: vault.current(), resealed, left, is_given: vault.is_given() })
}

/// Writes the key where it may block.
async fn on_disk(work: impl FnOnce() -> Result<(), VaultError> + Send + 'static) -> Result<(), ChangeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ChangeError::Internal(Box::new(error)))?
        .map_err(|error| ChangeError::Invalid(error.to_string()))
}
