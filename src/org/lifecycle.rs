//! The end of an organization, and its name: rename, delete with a grace, restore, purge.
//!
//! A deletion replaces the record `org` by `org-deleted` in one commit of the actor. From then on the organization
//! is missing: nothing looks at the other record but what is here. Restoring puts the first record back, and so
//! everything that the organization held at its deletion; keys that were revoked before stay revoked. Purging says
//! first that there is no way back, then deletes the records, and its own mark last: a crash anywhere leaves a
//! mark that tells to go on.
//!
//! **Invariant:** a deletion ends access like a revoke (`flow::tests::deleting_an_org_ends_its_access_and_its_calls`).
//! **Invariant:** a purge that broke off goes on and never becomes an organization again
//! (`flow::tests::a_purge_that_broke_off_goes_on_and_cannot_be_undone`).

use std::sync::Arc;
use std::time::Duration;

use sequel_store::{BATCH_OPERATIONS_MAX, Expect, Key, KeyRange, Revision, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::{Author, Event};
use super::error::ChangeError;
use super::handle::Org;
use super::keys::check_name;
use super::org_store::{GetError, OrgStore};
use super::record::{DeletedOrgRecord, OrgRecord, deleted_org_at, encode, org_at};
use super::registry::Registry;
use super::view::View;
use crate::context::Timestamp;
use crate::credential::OrgId;

const ORG: &str = "organization";

/// Batches that one purge commits before it lets others have a turn: 16,000 records, a second or so.
const PURGE_BATCHES: usize = 64;

/// What a purge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purged {
    /// The organization lives; nothing was touched.
    Alive,
    /// It can still be restored until then; nothing was touched.
    NotDue(Timestamp),
    /// Some of it is gone. Call again.
    Begun,
    /// Nothing of it is left.
    Gone,
}

pub(super) struct Rename(pub(super) String);

impl Change for Rename {
    type Reply = OrgRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<OrgRecord>, ChangeError> {
        let name = check_name(&self.0)?;
        let (mut record, revision) =
            desk.store.get::<OrgRecord>(&org_at()).await?.ok_or(ChangeError::NotFound(ORG))?;
        let former = std::mem::replace(&mut record.name, name);
        Ok(Decided {
            expects: vec![Expect::At(org_at(), revision)],
            writes: vec![Write::Put(org_at(), encode(&record))],
            narrows: false,
            edit: Edit::Nothing,
            event: Some(Event::new("org.rename", "org", desk.org, &record.name).with("former_name", former)),
            reply: record,
        })
    }
}

pub(super) struct Delete {
    pub(super) grace: Duration,
}

impl Change for Delete {
    type Reply = DeletedOrgRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<DeletedOrgRecord>, ChangeError> {
        let (record, revision) =
            desk.store.get::<OrgRecord>(&org_at()).await?.ok_or(ChangeError::NotFound(ORG))?;
        let deleted_at = desk.context.clock.now();
        let deleted = DeletedOrgRecord {
            name: record.name,
            created_at: record.created_at,
            deleted_at,
            purge_at: deleted_at.plus(self.grace),
            purging: false,
        };
        Ok(Decided {
            expects: vec![Expect::At(org_at(), revision)],
            writes: vec![Write::Delete(org_at()), Write::Put(deleted_org_at(), encode(&deleted))],
            narrows: true,
            edit: Edit::End,
            event: Some(
                Event::new("org.delete", "org", desk.org, &deleted.name)
                    .with("purge_at", deleted.purge_at.to_string()),
            ),
            reply: deleted,
        })
    }
}

impl Org {
    /// Gives the organization another name. Its index is the caller's business.
    pub async fn rename(&self, name: &str) -> Result<OrgRecord, ChangeError> {
        self.ask(|| Rename(name.to_owned())).await
    }

    /// Deletes the organization. When this answers, every later request with one of its credentials is refused and
    /// its running calls have been told to end. It can be restored for `grace`.
    pub async fn delete(&self, grace: Duration) -> Result<DeletedOrgRecord, ChangeError> {
        let deleted = self.ask(|| Delete { grace }).await?;
        let _loading = self.entry.loading.lock().await;
        // Unless somebody was quick enough to restore it and to come back, even with a change whose outcome is
        // being found out. The calls were all told to end.
        let changes_wait = self.entry.permits.available_permits() < self.entry.asks_max;
        if self.entry.alive().is_none() && !changes_wait {
            self.registry.forget(&self.entry);
        }
        Ok(deleted)
    }
}

impl Registry {
    /// The record of a deleted organization.
    pub async fn deleted(&self, id: OrgId) -> Result<Option<DeletedOrgRecord>, ChangeError> {
        Ok(self.store_of(id).get::<DeletedOrgRecord>(&deleted_org_at()).await?.map(|(record, _)| record))
    }

    /// The name of an organization, living or deleted.
    pub async fn name(&self, id: OrgId) -> Result<Option<String>, ChangeError> {
        match self.record(id).await? {
            Some(record) => Ok(Some(record.name)),
            None => Ok(self.deleted(id).await?.map(|record| record.name)),
        }
    }

    /// Puts a deleted organization back as it was. `NotFound` where there is none that was deleted, `Invalid`
    /// where its time is over.
    pub async fn restore(&self, id: OrgId, author: &Author) -> Result<OrgRecord, ChangeError> {
        let store = self.store_of(id);
        let (deleted, revision) =
            store.get::<DeletedOrgRecord>(&deleted_org_at()).await?.ok_or(ChangeError::NotFound(DELETED))?;
        if deleted.purging || deleted.purge_at <= self.now() {
            return Err(ChangeError::Invalid(format!(
                "the organization {:?} could be restored until {}; it is being purged",
                deleted.name, deleted.purge_at
            )));
        }
        let record = OrgRecord { name: deleted.name, created_at: deleted.created_at };
        let expects = vec![Expect::At(deleted_org_at(), revision), Expect::Absent(org_at())];
        let writes = vec![Write::Delete(deleted_org_at()), Write::Put(org_at(), encode(&record))];
        let event = Event::new("org.restore", "org", id, &record.name);
        self.commit_ownerless(&store, expects, writes, Some((event, author))).await?;
        Ok(record)
    }

    /// Ends the time in which a deleted organization can be restored.
    pub async fn end_grace(&self, id: OrgId, author: &Author) -> Result<DeletedOrgRecord, ChangeError> {
        let store = self.store_of(id);
        let (mut deleted, revision) =
            store.get::<DeletedOrgRecord>(&deleted_org_at()).await?.ok_or(ChangeError::NotFound(DELETED))?;
        deleted.purge_at = deleted.purge_at.min(self.now());
        let writes = vec![Write::Put(deleted_org_at(), encode(&deleted))];
        let expects = vec![Expect::At(deleted_org_at(), revision)];
        let event = Event::new("org.purge", "org", id, &deleted.name);
        self.commit_ownerless(&store, expects, writes, Some((event, author))).await?;
        Ok(deleted)
    }

    /// Deletes the records of a deleted organization whose time is over, a bounded number of them for each call.
    /// Can be called again after a failure or a crash, at any point.
    pub async fn purge(&self, id: OrgId) -> Result<Purged, ChangeError> {
        let store = self.store_of(id);
        for _ in 0..PURGE_BATCHES {
            let Some((deleted, revision)) = store.get::<DeletedOrgRecord>(&deleted_org_at()).await? else {
                let alive = store.get::<OrgRecord>(&org_at()).await?.is_some();
                return Ok(if alive { Purged::Alive } else { Purged::Gone });
            };
            if !deleted.purging && self.now() < deleted.purge_at {
                return Ok(Purged::NotDue(deleted.purge_at));
            }
            self.purge_some(&store, deleted, revision).await?;
        }
        Ok(Purged::Begun)
    }

    /// The next step: the mark, then the records, then the mark itself.
    async fn purge_some(
        &self,
        store: &OrgStore,
        deleted: DeletedOrgRecord,
        revision: Revision,
    ) -> Result<(), ChangeError> {
        // Whoever restored the organization meanwhile has moved the record, and the batch is refused.
        let expects = vec![Expect::At(deleted_org_at(), revision)];
        if !deleted.purging {
            let mark = encode(&DeletedOrgRecord { purging: true, ..deleted });
            let writes = vec![Write::Put(deleted_org_at(), mark)];
            self.commit_ownerless(store, expects, writes, None).await?;
            self.0.orphans.let_go().await;
            return Ok(());
        }
        // One operation is the precondition.
        let found = store.page(KeyRange::all(), BATCH_OPERATIONS_MAX - 1).await?.records;
        let mut doomed: Vec<Key> = found.into_iter().map(|record| record.key).collect();
        doomed.retain(|key| *key != deleted_org_at());
        if doomed.is_empty() {
            doomed.push(deleted_org_at());
        }
        let writes = doomed.into_iter().map(Write::Delete).collect();
        self.commit_ownerless(store, expects, writes, None).await
    }

    fn now(&self) -> Timestamp {
        self.0.parts.context.clock.now()
    }

    /// Commits for an organization that has no actor, with an entry of the audit trail; where the outcome is
    /// unknown, asks for it.
    pub(super) async fn commit_ownerless(
        &self,
        store: &OrgStore,
        expects: Vec<Expect>,
        mut writes: Vec<Write>,
        audited: Option<(Event, &Author)>,
    ) -> Result<(), ChangeError> {
        let id = sequel_store::CommitId(self.0.parts.context.rng.bytes()?);
        // Nobody else writes what has no actor; who does nevertheless is met by a conflict.
        let at = store.page(KeyRange::all(), 1).await?.revision;
        let entry = |(event, author): (Event, &Author)| event.entry(Revision(at.0 + 1), self.now(), author);
        writes.extend(audited.map(entry));
        let batch = store.batch(id, at, false, expects, writes);
        let revision = store.commit_and_know(batch).await?;
        // The change is made; what is not known is whether every node has seen it.
        store.announce(revision, false).await.map_err(|_| ChangeError::Unknown)
    }
}

/// Whether nothing more may be written for an organization: it was purged, or is being purged.
pub(super) async fn is_gone(store: &OrgStore) -> Result<bool, GetError> {
    if store.get::<OrgRecord>(&org_at()).await?.is_some() {
        return Ok(false);
    }
    let deleted = store.get::<DeletedOrgRecord>(&deleted_org_at()).await?;
    Ok(deleted.is_none_or(|(deleted, _)| deleted.purging))
}

const DELETED: &str = "deleted organization";
