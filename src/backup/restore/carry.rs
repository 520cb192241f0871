//! The restore itself: record by record, organization by organization, by the table in `restore`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sequel_store::{Key, KeyRange, Lane, Revision, ScanLimit, Scope, Store, Write};

use super::{Fate, Known, Manner, Restoration, Restore};
use crate::backup::BackupError;
use crate::backup::check::{kind_of, read};
use crate::backup::fill::Filler;
use crate::backup::format::{Entry, Item};
use crate::backup::kind::{Kind, org_of};
use crate::context::Context;
use crate::credential::{KeyId, OrgId};
use crate::org::audit::Event;
use crate::org::keys::NAME_CHARS_MAX;
use crate::org::record::{
    self, DeletedOrgRecord, KeyRecord, MemberRecord, NameRecord, OrgRecord, Suspension,
};
use crate::record::{RecordError, decode, encode};
use crate::system::deletions::{self, Deletion};
use crate::system::orgs::{self, IndexRecord};
use crate::system::users::UserRecord;
use crate::system::whole::Restored;

/// A restore on its way.
pub(super) struct Carrying<'a> {
    restore: &'a Restore,
    store: &'a Arc<dyn Store>,
    filler: Filler,
    known: HashMap<OrgId, Fate>,
    /// Who has which name, of those that stay as they are and those that are done.
    taken: HashMap<Key, OrgId>,
    manner: Manner,
    restored: Restored,
    onto_empty: bool,
    pub(super) done: Restoration,
    /// Living organizations of the finished store with their names.
    names: Vec<(OrgId, String)>,
    /// Its deleted ones.
    deleted: Vec<(OrgId, DeletedOrgRecord)>,
}

/// One organization of the backup on its way.
struct Part {
    org: OrgId,
    scope: Scope,
    /// What the store has of it, where it lives there.
    stored: Option<Stored>,
    /// Keys of records that the backup has, of the kinds that go where it has not.
    seen: HashSet<Key>,
    /// The organization's own record, for the end.
    own: Option<(Kind, Entry)>,
    newest_entry: u64,
    before: Restoration,
}

/// What a store has of a living organization.
#[derive(Default)]
struct Stored {
    keys: HashSet<Key>,
    /// Who has which name, by the records of the index.
    names: Vec<(Key, String)>,
}

impl<'a> Carrying<'a> {
    /// `known` is how the store's organizations stand; `None` for an empty one.
    pub(super) fn new(
        restore: &'a Restore,
        store: &'a Arc<dyn Store>,
        context: &Context,
        known: Option<Known>,
        (manner, restored): (Manner, Restored),
    ) -> Self {
        let onto_empty = known.is_none();
        let Known { fates: known, names: taken } = known.unwrap_or_default();
        let done = Restoration { epoch: restored.epoch, ..Restoration::default() };
        let filler = Filler::new(Arc::clone(store), context.rng.clone());
        let (names, deleted) = (Vec::new(), Vec::new());
        Self { restore, store, filler, known, taken, manner, restored, onto_empty, done, names, deleted }
    }

    /// All organizations of the backup.
    pub(super) async fn records(&mut self, progress: &dyn Fn(u64)) -> Result<(), BackupError> {
        let mut backup = self.restore.file.read()?;
        let mut part: Option<Part> = None;
        let (mut left, mut count) = (None, 0);
        while let Some(item) = backup.item()? {
            let entry = match item {
                Item::Head(head) if head != self.restore.head => {
                    return Err(BackupError::Damaged("another one was written over it meanwhile"));
                }
                Item::Record(entry) => entry,
                Item::Head(_) | Item::End(_) => continue,
            };
            count += 1;
            progress(count);
            if part.as_ref().is_some_and(|part| part.scope != entry.scope) {
                self.end(part.take()).await?;
            }
            let Some(org) = org_of(&entry.scope) else {
                self.person(entry).await?;
                continue;
            };
            if part.is_none() && left != Some(org) {
                part = self.begin(org, &entry.scope).await?;
                left = part.is_none().then_some(org);
            }
            if let Some(part) = &mut part {
                self.record(part, entry).await?;
            }
        }
        self.end(part).await
    }

    /// A record about people. A store that holds something knows better than the backup who was disabled or deleted
    /// since; into an empty one they come back, kept out until somebody enables them. Sessions and links that work once
    /// never do.
    async fn person(&mut self, entry: Entry) -> Result<(), BackupError> {
        if !self.onto_empty {
            return Ok(());
        }
        let kind = kind_of(&entry)?;
        let value = match kind {
            Kind::User => self.user_brought_back(&entry),
            Kind::Email | Kind::Leaving | Kind::Trail | Kind::Membership => entry.value,
            // Who registered goes on being known; what was decided since the backup is not.
            Kind::Client => entry.value,
            _ => return Ok(()),
        };
        self.filler.put(&entry.scope, kind, entry.key, value).await
    }

    fn user_brought_back(&self, entry: &Entry) -> bytes::Bytes {
        let Some(mut user) = read::<UserRecord>(entry) else { return entry.value.clone() };
        user.reset = None;
        user.end_sessions();
        if !self.manner.trust_keys {
            user.suspended_at = user.suspended_at.or(Some(self.restored.at));
        }
        encode(&user)
    }

    /// Decides what becomes of an organization; `None` where it is left as it is.
    async fn begin(&mut self, org: OrgId, scope: &Scope) -> Result<Option<Part>, BackupError> {
        let in_backup = self.restore.orgs.get(&org).copied().unwrap_or(Fate::Remains);
        let stored = match (in_backup, self.known.get(&org).copied()) {
            (Fate::Remains, _) => return Ok(None),
            (_, Some(Fate::Deleted)) | (Fate::Deleted, Some(Fate::Lives)) => {
                self.done.orgs_left += 1;
                return Ok(None);
            }
            (Fate::Lives, Some(Fate::Lives)) => Some(self.stored(scope).await?),
            (_, Some(Fate::Remains)) => {
                self.empty(scope).await?;
                None
            }
            (_, None) => None,
        };
        Ok(Some(Part {
            org,
            scope: scope.clone(),
            stored,
            seen: HashSet::new(),
            own: None,
            newest_entry: 0,
            before: self.done.clone(),
        }))
    }

    async fn record(&mut self, part: &mut Part, entry: Entry) -> Result<(), BackupError> {
        let kind = kind_of(&entry)?;
        let has = |key: &Key| part.stored.as_ref().is_some_and(|stored| stored.keys.contains(key));
        let value = match kind {
            Kind::Org | Kind::DeletedOrg => {
                part.own = Some((kind, entry));
                return Ok(());
            }
            Kind::Key => {
                part.seen.insert(entry.key.clone());
                if has(&entry.key) {
                    self.done.keys_kept += 1;
                    return Ok(());
                }
                if part.stored.is_some() {
                    self.done.keys_left_deleted += 1;
                    return Ok(());
                }
                self.brought_back(&entry)
            }
            // The names of the keys that stay are those that the store has.
            Kind::KeyName if part.stored.is_some() => return Ok(()),
            // Of a link that works once, nobody knows whether it did.
            Kind::Invitation => return Ok(()),
            // A client's tokens have moved on since, and an old one that comes back looks stolen: each app is
            // authorized anew. Those that the store has stay as they are.
            Kind::Grant => return Ok(()),
            // The store's own is newer.
            Kind::AppPolicy if part.stored.is_some() => return Ok(()),
            // Whoever the store does not know was put out since, or the organization is not known at all.
            Kind::Member => {
                part.seen.insert(entry.key.clone());
                if part.stored.is_some() || !self.onto_empty {
                    return Ok(());
                }
                without_apps(&entry)
            }
            Kind::Source | Kind::SourceName => {
                part.seen.insert(entry.key.clone());
                entry.value
            }
            Kind::Used if part.stored.is_some() && !has(&key_of_use(&entry.key)) => return Ok(()),
            Kind::Audit => {
                let number = record::audit_revision(&entry.key).unwrap_or_default().0;
                part.newest_entry = part.newest_entry.max(number);
                if has(&entry.key) {
                    return Ok(());
                }
                entry.value
            }
            // The store's own log goes further, and its numbers are given.
            Kind::Query | Kind::QueryLog if part.stored.is_some() => return Ok(()),
            // The store's sums are newer.
            Kind::Used | Kind::Usage if has(&entry.key) => return Ok(()),
            _ => entry.value,
        };
        self.filler.put(&part.scope, kind, entry.key, value).await
    }

    /// A key's record as it comes back where nobody knows what happened to it since the backup.
    fn brought_back(&mut self, entry: &Entry) -> bytes::Bytes {
        let Some(mut key) = read::<KeyRecord>(entry) else { return entry.value.clone() };
        key.previous.clear();
        if !self.manner.trust_keys {
            key.suspended = Some(Suspension { at: self.restored.at, epoch: self.restored.epoch });
        }
        // One that an earlier restore suspended, and nobody enabled since, stays so.
        match key.suspended {
            Some(_) => self.done.keys_suspended += 1,
            None => self.done.keys_trusted += 1,
        }
        encode(&key)
    }

    /// What is left to do for an organization: what the backup does not know goes, its own record comes last.
    async fn end(&mut self, part: Option<Part>) -> Result<(), BackupError> {
        let Some(mut part) = part else { return Ok(()) };
        if let Some(stored) = part.stored.take() {
            self.remove_unknown(&part, stored).await?;
        }
        self.filler.flush().await?;
        let Some((kind, own)) = part.own.take() else { return Ok(()) };
        self.filler.raise(&part.scope, Revision(part.newest_entry)).await?;
        let at = self.filler.revision(&part.scope).await?;
        let value = self.named(part.org, kind, own.value)?;
        let name = self.note(part.org, kind, &value)?;
        let event = Event::new("org.restore_backup", "org", part.org, &name)
            .with("epoch", self.restored.epoch)
            .with("backup_at", self.restored.backup_at.to_string())
            .with("keys_suspended", self.done.keys_suspended - part.before.keys_suspended)
            .with("keys_left_deleted", self.done.keys_left_deleted - part.before.keys_left_deleted)
            .with("keys_removed", self.done.keys_removed - part.before.keys_removed);
        let entry = event.entry(Revision(at.0 + 1), self.restored.at, &self.manner.author);
        let writes = vec![Write::Put(own.key, value), entry];
        self.filler.commit(&part.scope, Lane::State { at: Some(at), narrows: false }, writes).await?;
        self.done.orgs += 1;
        Ok(())
    }

    /// An organization's own record, under a name that nobody else has: one that is not found by its name is in no list,
    /// and its keys could not be revoked.
    fn named(&mut self, org: OrgId, kind: Kind, value: bytes::Bytes) -> Result<bytes::Bytes, BackupError> {
        let unusable = |source| unusable(org, source);
        if kind == Kind::Org {
            let mut record: OrgRecord = decode(&value).map_err(unusable)?;
            return Ok(if self.take_name(org, &mut record.name) { value } else { encode(&record) });
        }
        let mut record: DeletedOrgRecord = decode(&value).map_err(unusable)?;
        Ok(if self.take_name(org, &mut record.name) { value } else { encode(&record) })
    }

    /// Takes a name, or makes another one of it; whether it is the same.
    fn take_name(&mut self, org: OrgId, name: &mut String) -> bool {
        let is_free = self.taken.get(&orgs::at(name)).is_none_or(|holder| *holder == org);
        if !is_free {
            let behind = format!(" ({org})");
            *name = name.chars().take(NAME_CHARS_MAX - behind.len()).chain(behind.chars()).collect();
            self.done.orgs_renamed += 1;
        }
        self.taken.insert(orgs::at(name), org);
        is_free
    }

    /// Takes away what the backup does not know of an organization that lives in the store.
    async fn remove_unknown(&mut self, part: &Part, stored: Stored) -> Result<(), BackupError> {
        let stays = |key: &Key| stored.keys.contains(key) && part.seen.contains(key);
        for (at, id) in &stored.names {
            if !id.parse::<KeyId>().is_ok_and(|id| stays(&record::key_at(id))) {
                self.filler.delete(&part.scope, Kind::KeyName, at.clone()).await?;
            }
        }
        for key in &stored.keys {
            let Some(kind) = Kind::of(&part.scope, key) else { continue };
            let goes = match kind {
                Kind::Key | Kind::Member | Kind::Source | Kind::SourceName => !part.seen.contains(key),
                Kind::Used => !stays(&key_of_use(key)),
                _ => false,
            };
            if goes {
                self.done.keys_removed += u64::from(kind == Kind::Key);
                self.filler.delete(&part.scope, kind, key.clone()).await?;
            }
        }
        Ok(())
    }

    /// Organizations that the backup does not know, and those that were left as they are.
    pub(super) async fn others(&mut self) -> Result<(), BackupError> {
        for (org, fate) in self.known.clone() {
            let scope = scope_of(org);
            let in_backup = self.restore.orgs.get(&org).copied();
            match fate {
                Fate::Deleted => self.note_stored(org, Kind::DeletedOrg).await?,
                Fate::Lives if in_backup == Some(Fate::Deleted) => {
                    self.note_stored(org, Kind::Org).await?;
                }
                Fate::Lives if matches!(in_backup, None | Some(Fate::Remains)) => {
                    self.done.orgs_removed += 1;
                    self.empty(&scope).await?;
                }
                Fate::Remains if matches!(in_backup, None | Some(Fate::Remains)) => {
                    self.empty(&scope).await?
                }
                // Done with the backup's records.
                Fate::Lives | Fate::Remains => {}
            }
        }
        self.filler.flush().await
    }

    async fn note_stored(&mut self, org: OrgId, kind: Kind) -> Result<(), BackupError> {
        let at = if kind == Kind::Org { record::org_at() } else { record::deleted_org_at() };
        if let Some(found) = self.store.get(&scope_of(org), &at).await? {
            self.note(org, kind, &found.value)?;
        }
        Ok(())
    }

    /// Remembers an organization of the finished store for its index; its name.
    fn note(&mut self, org: OrgId, kind: Kind, value: &[u8]) -> Result<String, BackupError> {
        let unusable = |source| unusable(org, source);
        if kind == Kind::Org {
            let record: OrgRecord = decode(value).map_err(unusable)?;
            self.names.push((org, record.name.clone()));
            return Ok(record.name);
        }
        let record: DeletedOrgRecord = decode(value).map_err(unusable)?;
        self.deleted.push((org, record.clone()));
        Ok(record.name)
    }

    /// Makes the index of names and the list of deletions anew.
    pub(super) async fn index(&mut self) -> Result<(), BackupError> {
        let mut names: HashMap<Key, bytes::Bytes> = HashMap::new();
        let mut listed = HashMap::new();
        for (org, name) in std::mem::take(&mut self.names) {
            names.insert(orgs::at(&name), encode(&IndexRecord { org }));
        }
        for (org, record) in std::mem::take(&mut self.deleted) {
            // One that lives has a name before one that was deleted.
            names.entry(orgs::at(&record.name)).or_insert_with(|| encode(&IndexRecord { org }));
            let deletion = Deletion { org, name: record.name, due: record.purge_at };
            listed.insert(deletions::at(org), encode(&deletion));
        }
        for (scope, kind, wanted) in
            [(orgs::scope(), Kind::OrgIndex, names), (deletions::scope(), Kind::Deletion, listed)]
        {
            for key in keys_of(self.store, &scope).await? {
                if !wanted.contains_key(&key) {
                    self.filler.delete(&scope, kind, key).await?;
                }
            }
            for (key, value) in wanted {
                self.filler.put(&scope, kind, key, value).await?;
            }
            self.filler.flush().await?;
        }
        Ok(())
    }

    /// Deletes all that a scope holds.
    async fn empty(&mut self, scope: &Scope) -> Result<(), BackupError> {
        for key in keys_of(self.store, scope).await? {
            if let Some(kind) = Kind::of(scope, &key) {
                self.filler.delete(scope, kind, key).await?;
            }
        }
        self.filler.flush().await
    }

    /// What the store has of a living organization.
    async fn stored(&self, scope: &Scope) -> Result<Stored, BackupError> {
        let mut stored = Stored::default();
        let mut range = KeyRange::all();
        loop {
            let page = self.store.scan(scope, range.clone(), ScanLimit::default()).await?;
            for found in page.records {
                if Kind::of(scope, &found.key) == Some(Kind::KeyName) {
                    let id = decode::<NameRecord>(&found.value).map(|name| name.id).unwrap_or_default();
                    stored.names.push((found.key.clone(), id));
                }
                stored.keys.insert(found.key);
            }
            match page.next {
                Some(key) => range = range.after(&key),
                None => return Ok(stored),
            }
        }
    }
}

/// All keys of a scope.
async fn keys_of(store: &Arc<dyn Store>, scope: &Scope) -> Result<Vec<Key>, BackupError> {
    let (mut keys, mut range) = (Vec::new(), KeyRange::all());
    loop {
        let page = store.scan(scope, range.clone(), ScanLimit::default()).await?;
        keys.extend(page.records.into_iter().map(|record| record.key));
        match page.next {
            Some(key) => range = range.after(&key),
            None => return Ok(keys),
        }
    }
}

/// A member whose authorized apps do not come back.
fn without_apps(entry: &Entry) -> bytes::Bytes {
    let Some(mut member) = read::<MemberRecord>(entry) else { return entry.value.clone() };
    member.grants.clear();
    encode(&member)
}

/// Where the key is that a use belongs to.
fn key_of_use(used: &Key) -> Key {
    record::id_after(record::USED, used).map_or_else(|| used.clone(), |id: KeyId| record::key_at(id))
}

fn unusable(org: OrgId, source: RecordError) -> BackupError {
    BackupError::Record { scope: scope_of(org).to_string(), key: "org".into(), source }
}

fn scope_of(org: OrgId) -> Scope {
    Scope::org(org.as_str()).expect("an organization's id is base62, a legal scope name")
}
