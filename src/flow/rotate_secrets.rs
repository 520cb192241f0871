//! Rotate the master key: a new key, everything sealed under it, the former one forgotten.
//!
//! The former key goes only when nothing needs it any more: each organization seals its own sources in its actor's turn,
//! and what could not be sealed, or belongs to an organization that may still be restored, keeps it. Run again,
//! it goes on where it stopped; a crash in between costs nothing, because both keys are written down until the end.

use crate::context::Context;
use crate::credential::OrgId;
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
    let mut done = Resealed { author, count: 0, left: Vec::new() };
    let mut missing = Vec::new();
    for id in index.all().await? {
        if !done.reseal(registry, id).await {
            missing.push(id);
        }
    }
    // From here on nobody is deleted or restored: who was deleted when they were looked for may be back.
    let _alone = index.alone().await;
    for id in missing {
        // Who is still missing is deleted, or a name without an organization, which is what a crash leaves.
        done.reseal(registry, id).await;
    }
    let Resealed { count: resealed, mut left, .. } = done;
    for (id, deleted) in list_deleted_orgs(registry, index).await? {
        left.push(format!(
            "the organization {:?} ({id}) is deleted and can still be restored. Run this again when it is purged.",
            deleted.name
        ));
    }
    if left.is_empty() {
        let forgetting = vault.clone();
        on_disk(move || forgetting.forget_former()).await?;
    }
    Ok(Rotation { key: vault.current(), resealed, left, is_given: vault.is_given() })
}

/// How far a rotation is.
struct Resealed {
    author: Author,
    count: usize,
    left: Vec<String>,
}

impl Resealed {
    /// Seals the sources of an organization anew; false where there is none.
    async fn reseal(&mut self, registry: &Registry, id: OrgId) -> bool {
        let org = match registry.resolve(id).await {
            Ok(org) => org.by(self.author.clone()),
            Err(ResolveError::NotFound) => return false,
            Err(error) => {
                self.left.push(format!("the organization {id} cannot be read now: {error}. Run this again."));
                return true;
            }
        };
        match org.reseal_sources().await {
            Ok(count) => self.count += count,
            Err(error) => self.left.push(format!("a data source of the organization {id}: {error}")),
        }
        true
    }
}

/// Writes the key where it may block.
async fn on_disk(work: impl FnOnce() -> Result<(), VaultError> + Send + 'static) -> Result<(), ChangeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ChangeError::Internal(Box::new(error)))?
        .map_err(|error| ChangeError::Invalid(error.to_string()))
}
