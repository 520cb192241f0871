//! A backup back into a store, without reviving what was revoked since it was made.
//!
//! | what the store knows of an organization of the backup | what becomes of it |
//! |---|---|
//! | nothing | it comes back; its keys are there and suspended, unless the operator trusts them |
//! | it lives | names, data sources and history come back; of API keys the store's own word counts: one that it has stays as it is, one that it has not stays deleted |
//! | it was deleted, or it was put back since | it stays as it is |
//!
//! What a rotation replaced never comes back. What the backup does not know goes; deleted organizations stay what they
//! are. The trail of changes that the store has stays, and each organization gets an entry. The index of names and the
//! list of deletions are made anew from the organizations.
//!
//! An organization's own record is written last, and every step decides by what it finds: after a crash the same restore
//! begins anew. Until it is done, the mark of unfinished work keeps the store from being served.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use sequel_store::{Key, KeyRange, Lane, Revision, ScanLimit, Scope, Store, Write};

use super::check::{kind_of, read};
use super::fill::{self, Filler};
use super::format::{Entry, Head, Item};
use super::kind::{Kind, org_of};
use super::{BackupError, Passphrase, open_backup};
use crate::context::Context;
use crate::credential::{KeyId, OrgId};
use crate::org::audit::{Author, Event};
use crate::org::record::{self, DeletedOrgRecord, KeyRecord, NameRecord, OrgRecord, Suspension};
use crate::record::{decode, encode};
use crate::system::deletions::{self, Deletion};
use crate::system::orgs::{self, IndexRecord};
use crate::system::whole::{Restored, Unfinished, WholeStore, Work};

/// A backup that was read once from end to end and found whole.
pub struct Restore {
    path: PathBuf,
    passphrase: Option<Passphrase>,
    /// What it says of itself.
    pub head: Head,
    /// How many records it has.
    pub records: u64,
    orgs: HashMap<OrgId, Fate>,
    epoch: u64,
}

/// How an organization stands, in a backup or in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    Deleted,
    /// Some of its records may be gone, or it was never whole.
    Remains,
}

/// How to restore.
pub struct Manner {
    /// Onto what the store holds.
    pub replace: bool,
    /// Without suspending the keys of organizations that the store does not know.
    pub trust_keys: bool,
    /// Who restores.
    pub author: Author,
}

/// What a restore came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restoration {
    /// The number of this restore.
    pub epoch: u64,
    /// Organizations that are as in the backup.
    pub orgs: u64,
    /// Organizations of the backup that were deleted since, or put back, and stay so.
    pub orgs_left: u64,
    /// Organizations that the backup does not know, and that are gone.
    pub orgs_removed: u64,
    /// Keys that the store has and that stay as they are.
    pub keys_kept: u64,
    /// Keys that came back, suspended.
    pub keys_suspended: u64,
    /// Keys that came back without being suspended.
    pub keys_trusted: u64,
    /// Keys of the backup that were deleted since and stay so.
    pub keys_left_deleted: u64,
    /// Keys that the backup does not know, and that are gone.
    pub keys_removed: u64,
}

impl Restore {
    /// Reads a backup from end to end, and refuses what is not whole or cannot be restored.
    pub fn read(path: &Path, passphrase: Option<Passphrase>) -> Result<Self, BackupError> {
        let mut backup = open_backup(path, passphrase.as_ref())?;
        let mut head = None;
        let (mut records, mut epoch) = (0, 0);
        let mut orgs = HashMap::new();
        while let Some(item) = backup.item()? {
            let entry = match item {
                Item::Head(found) => {
                    head = Some(found);
                    continue;
                }
                Item::End(count) => {
                    records = count;
                    continue;
                }
                Item::Record(entry) => entry,
            };
            let kind = kind_of(&entry)?;
            if let Some(org) = org_of(&entry.scope) {
                note_fate(orgs.entry(org).or_insert(Fate::Remains), kind, &entry);
            }
            if kind == Kind::Restored {
                epoch = read::<Restored>(&entry).map_or(0, |restored| restored.epoch);
            }
        }
        let head = head.ok_or(BackupError::Truncated)?;
        Ok(Self { path: path.to_owned(), passphrase, head, records, orgs, epoch })
    }

    /// Carries it out on a store that is open under its lock. `progress` is told how many records are done.
    pub async fn onto(
        &self,
        store: &Arc<dyn Store>,
        context: &Context,
        manner: Manner,
        progress: &dyn Fn(u64),
    ) -> Result<Restoration, BackupError> {
        let whole = WholeStore::new(Arc::clone(store));
        let began = whole.unfinished().await?;
        let from_empty = began.as_ref().is_some_and(|mark| mark.onto_empty);
        let onto_empty = from_empty || (began.is_none() && fill::is_empty(store).await?);
        if !onto_empty && !manner.replace {
            return Err(BackupError::NotEmpty(
                "the store holds organizations already. Restore into an empty data folder, or add --replace to replace \
                 what this one holds.",
            ));
        }
        // Looked at before anything is changed: what is not known here might be lost.
        let known = known_orgs(store).await?;
        let now = context.clock.now();
        let mark = Unfinished { work: Work::Restore, began_at: now, onto_empty };
        fill::begin(store, &context.rng, &mark).await?;
        let before = whole.restored().await?.map_or(0, |restored| restored.epoch);
        let restored = Restored { epoch: before.max(self.epoch) + 1, at: now, backup_at: self.head.made_at };
        let mut carrying = Carrying {
            restore: self,
            store,
            filler: Filler::new(Arc::clone(store), context.rng.clone()),
            known: if onto_empty { HashMap::new() } else { known },
            manner,
            restored: restored.clone(),
            done: Restoration { epoch: restored.epoch, ..Restoration::default() },
            names: Vec::new(),
            deleted: Vec::new(),
        };
        carrying.records(progress).await?;
        carrying.others().await?;
        carrying.index().await?;
        whole.finish(&context.rng, Some(&restored)).await?;
        Ok(carrying.done)
    }
}

/// A restore on its way.
struct Carrying<'a> {
    restore: &'a Restore,
    store: &'a Arc<dyn Store>,
    filler: Filler,
    known: HashMap<OrgId, Fate>,
    manner: Manner,
    restored: Restored,
    done: Restoration,
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

impl Carrying<'_> {
    /// All organizations of the backup.
    async fn records(&mut self, progress: &dyn Fn(u64)) -> Result<(), BackupError> {
        let mut backup = open_backup(&self.restore.path, self.restore.passphrase.as_ref())?;
        let mut part: Option<Part> = None;
        let (mut left, mut count) = (None, 0);
        while let Some(item) = backup.item()? {
            let Item::Record(entry) = item else { continue };
            count += 1;
            progress(count);
            if part.as_ref().is_some_and(|part| part.scope != entry.scope) {
                self.end(part.take()).await?;
            }
            let Some(org) = org_of(&entry.scope) else { continue };
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
        if self.manner.trust_keys {
            self.done.keys_trusted += 1;
        } else {
            self.done.keys_suspended += 1;
            key.suspended = Some(Suspension { at: self.restored.at, epoch: self.restored.epoch });
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
        let name = self.note(part.org, kind, &own.value)?;
        let event = Event::new("org.restore_backup", "org", part.org, &name)
            .with("epoch", self.restored.epoch)
            .with("backup_at", self.restored.backup_at.to_string())
            .with("keys_suspended", self.done.keys_suspended - part.before.keys_suspended)
            .with("keys_left_deleted", self.done.keys_left_deleted - part.before.keys_left_deleted)
            .with("keys_removed", self.done.keys_removed - part.before.keys_removed);
        let entry = event.entry(Revision(at.0 + 1), self.restored.at, &self.manner.author);
        let writes = vec![Write::Put(own.key, own.value), entry];
        self.filler.commit(&part.scope, Lane::State { at: Some(at), narrows: false }, writes).await?;
        self.done.orgs += 1;
        Ok(())
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
                Kind::Key | Kind::Source | Kind::SourceName => !part.seen.contains(key),
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
    async fn others(&mut self) -> Result<(), BackupError> {
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
        let unusable =
            |source| BackupError::Record { scope: scope_of(org).to_string(), key: "org".into(), source };
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
    async fn index(&mut self) -> Result<(), BackupError> {
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

/// How each organization of a store stands; refuses a store with records of a kind that is not known.
async fn known_orgs(store: &Arc<dyn Store>) -> Result<HashMap<OrgId, Fate>, BackupError> {
    let mut known = HashMap::new();
    let mut all = store.export().await?;
    while let Some(found) = all.next().await.transpose()? {
        let entry = Entry { scope: found.scope, key: found.record.key, value: found.record.value };
        let Some(kind) = Kind::of(&entry.scope, &entry.key) else {
            let key = entry.key.as_bytes().escape_ascii().to_string();
            return Err(BackupError::UnknownKind { scope: entry.scope.to_string(), key });
        };
        if let Some(org) = org_of(&entry.scope) {
            let fate = known.entry(org).or_insert(Fate::Remains);
            match kind {
                Kind::Org => *fate = Fate::Lives,
                // Also where it is being purged: it stays deleted.
                Kind::DeletedOrg => *fate = Fate::Deleted,
                _ => {}
            }
        }
    }
    Ok(known)
}

/// What a record of a backup says about its organization's fate.
fn note_fate(fate: &mut Fate, kind: Kind, entry: &Entry) {
    match kind {
        Kind::Org => *fate = Fate::Lives,
        Kind::DeletedOrg if read::<DeletedOrgRecord>(entry).is_some_and(|record| !record.purging) => {
            *fate = Fate::Deleted;
        }
        _ => {}
    }
}

/// Where the key is that a use belongs to.
fn key_of_use(used: &Key) -> Key {
    record::id_after(record::USED, used).map_or_else(|| used.clone(), |id: KeyId| record::key_at(id))
}

fn scope_of(org: OrgId) -> Scope {
    Scope::org(org.as_str()).expect("an organization's id is base62, a legal scope name")
}
