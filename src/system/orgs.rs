//! The index of organizations by name: a hint, written before the organization's own record and
//! removed after it. The organization's record is authoritative: an entry counts where that record has its name.

use std::sync::Arc;

use sequel_store::{Expect, Key, Scope, Store, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::deletions;
use super::table::{Table, TableError};
use crate::context::Rng;
use crate::credential::OrgId;
use crate::record::{decode, encode, name_digest, versioned};

/// Points from a name to an organization that has it, or was about to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexRecord {
    /// Which one.
    pub org: OrgId,
}

versioned! {
    IndexRecord, "organization index", 1;
}

/// The index.
#[derive(Clone)]
pub struct OrgIndex {
    names: Table,
    pub(super) deletions: Table,
    // Held while an organization is made, renamed, deleted, restored or given up: each of these changes two
    // scopes, and only one at a time can tell an entry that was left behind from one that is about to count.
    alone: Arc<Mutex<()>>,
}

impl OrgIndex {
    /// Over the tables `system/orgs` and `system/deleted-orgs`.
    pub fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        let names = Table::new(Arc::clone(&store), scope(), rng.clone());
        Self { names, deletions: Table::new(store, deletions::scope(), rng), alone: Arc::default() }
    }

    /// Waits until nobody else in this process makes, renames, deletes or restores an organization.
    pub async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.alone).lock_owned().await
    }

    /// The organization that the name points to.
    pub async fn find(&self, name: &str) -> Result<Option<OrgId>, TableError> {
        Ok(self.names.get::<IndexRecord>(&at(name)).await?.map(|(record, _)| record.org))
    }

    /// Reserves a name for an organization; answers whom it points to afterwards, which is another
    /// organization where somebody was there first.
    pub async fn reserve(&self, name: &str, org: OrgId) -> Result<OrgId, TableError> {
        let write = Write::Put(at(name), encode(&IndexRecord { org }));
        match self.names.commit(vec![Expect::Absent(at(name))], vec![write]).await {
            Ok(()) => Ok(org),
            // Taken; or taken a moment ago and given back since.
            Err(TableError::Conflict) => self.find(name).await?.ok_or(TableError::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Points a name that was left behind to another organization.
    pub async fn take_over(&self, name: &str, from: OrgId, to: OrgId) -> Result<(), TableError> {
        let at = at(name);
        let found = self.names.get::<IndexRecord>(&at).await?;
        let (_, revision) = found.filter(|(found, _)| found.org == from).ok_or(TableError::Conflict)?;
        let write = Write::Put(at.clone(), encode(&IndexRecord { org: to }));
        self.names.commit(vec![Expect::At(at, revision)], vec![write]).await
    }

    /// Gives a name up, if it points to this organization.
    pub async fn release(&self, name: &str, org: OrgId) -> Result<(), TableError> {
        let at = at(name);
        let found = self.names.get::<IndexRecord>(&at).await?;
        let Some((_, revision)) = found.filter(|(found, _)| found.org == org) else { return Ok(()) };
        self.names.commit(vec![Expect::At(at.clone(), revision)], vec![Write::Delete(at)]).await
    }

    /// All organizations that a name points to; one of them twice where a rename broke off.
    pub async fn all(&self) -> Result<Vec<OrgId>, TableError> {
        let records = self.names.all(NAMES).await?;
        records.iter().map(|record| Ok(decode::<IndexRecord>(&record.value)?.org)).collect()
    }
}

/// Where the index is.
pub fn scope() -> Scope {
    Scope::system("orgs").expect("a constant that is a legal scope name")
}

/// The prefix of all names.
pub const NAMES: &str = "name/";

/// Where a name's entry is.
pub fn at(name: &str) -> Key {
    Key::new(format!("{NAMES}{}", name_digest(name))).expect("a prefix and 64 digits are a legal key")
}
