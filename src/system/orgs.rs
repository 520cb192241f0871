//! The index of organizations by name: a hint, written before the organization's own record and
//! removed after it. The organization's record is authoritative: an entry counts where that record has its name.

use std::sync::Arc;

use sequel_store::{
    Batch, CommitError, CommitId, Expect, Key, KeyRange, Lane, Record, ScanLimit, Scope, Store, Write,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{TableError, deletions};
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
    pub(super) store: Arc<dyn Store>,
    scope: Scope,
    pub(super) deletions: Scope,
    pub(super) rng: Rng,
    // Held while an organization is made, renamed, deleted, restored or given up: each of these changes two
    // scopes, and only one at a time can tell an entry that was left behind from one that is about to count.
    alone: Arc<Mutex<()>>,
}

impl OrgIndex {
    /// Over the table `system/orgs`.
    pub fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        Self { store, scope: scope(), deletions: deletions::scope(), rng, alone: Arc::default() }
    }

    /// Waits until nobody else in this process makes, renames, deletes or restores an organization.
    pub async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.alone).lock_owned().await
    }

    /// The organization that the name points to.
    pub async fn find(&self, name: &str) -> Result<Option<OrgId>, TableError> {
        match self.store.get(&self.scope, &at(name)).await? {
            Some(record) => Ok(Some(decode::<IndexRecord>(&record.value)?.org)),
            None => Ok(None),
        }
    }

    /// Reserves a name for an organization; answers whom it points to afterwards, which is another
    /// organization where somebody was there first.
    pub async fn reserve(&self, name: &str, org: OrgId) -> Result<OrgId, TableError> {
        let batch = Batch {
            scope: self.scope.clone(),
            lane: Lane::State { at: None, narrows: false },
            id: CommitId(self.rng.bytes()?),
            expects: vec![Expect::Absent(at(name))],
            writes: vec![Write::Put(at(name), encode(&IndexRecord { org }))],
        };
        match self.store.commit(batch).await {
            Ok(_) => Ok(org),
            // Taken; or taken a moment ago and given back since.
            Err(CommitError::Conflict { .. }) => self.find(name).await?.ok_or(TableError::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// Points a name that was left behind to another organization.
    pub async fn take_over(&self, name: &str, from: OrgId, to: OrgId) -> Result<(), TableError> {
        let at = at(name);
        let found = self.store.get(&self.scope, &at).await?.ok_or(TableError::Conflict)?;
        if decode::<IndexRecord>(&found.value)?.org != from {
            return Err(TableError::Conflict);
        }
        let write = Write::Put(at.clone(), encode(&IndexRecord { org: to }));
        self.commit(&self.scope, vec![Expect::At(at, found.revision)], vec![write]).await
    }

    /// Gives a name up, if it points to this organization.
    pub async fn release(&self, name: &str, org: OrgId) -> Result<(), TableError> {
        let at = at(name);
        let Some(found) = self.store.get(&self.scope, &at).await? else { return Ok(()) };
        if decode::<IndexRecord>(&found.value)?.org != org {
            return Ok(());
        }
        let expects = vec![Expect::At(at.clone(), found.revision)];
        self.commit(&self.scope, expects, vec![Write::Delete(at)]).await
    }

    pub(super) async fn commit(
        &self,
        scope: &Scope,
        expects: Vec<Expect>,
        writes: Vec<Write>,
    ) -> Result<(), TableError> {
        let (lane, id) = (Lane::State { at: None, narrows: false }, CommitId(self.rng.bytes()?));
        match self.store.commit(Batch { scope: scope.clone(), lane, id, expects, writes }).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(TableError::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// All organizations that a name points to; one of them twice where a rename broke off.
    pub async fn all(&self) -> Result<Vec<OrgId>, TableError> {
        let records = self.scan(&self.scope).await?;
        records.iter().map(|record| Ok(decode::<IndexRecord>(&record.value)?.org)).collect()
    }

    pub(super) async fn scan(&self, scope: &Scope) -> Result<Vec<Record>, TableError> {
        let mut range = KeyRange::all();
        let mut records = Vec::new();
        loop {
            let page = self.store.scan(scope, range.clone(), ScanLimit::default()).await?;
            records.extend(page.records);
            match page.next {
                Some(key) => range = range.after(&key),
                None => return Ok(records),
            }
        }
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
