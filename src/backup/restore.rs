//! A backup back into a store, without reviving what was revoked since it was made.
//!
//! | what the store knows of an organization of the backup | what becomes of it |
//! |---|---|
//! | nothing | it comes back; its keys are there and suspended, unless the operator trusts them |
//! | it lives | names, data sources and history come back; of API keys the store's own word counts: one that it has stays as it is, one that it has not stays deleted |
//! | it was deleted, or it was put back since | it stays as it is |
//!
//! A name that one of those that stay has by now is theirs: whoever had it in the backup gets its id behind it.
//! What a rotation replaced never comes back, nor does an app that somebody had authorized: it is authorized anew. What the backup does not know goes; deleted organizations stay what they
//! are. The trail of changes that the store has stays, and each organization gets an entry. The index of names and the
//! list of deletions are made anew from the organizations.
//!
//! An organization's own record is written last, and every step decides by what it finds: after a crash the same restore
//! begins anew. Until it is done, the mark of unfinished work keeps the store from being served.

mod carry;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use sequel_store::{Key, Store};

use self::carry::Carrying;
use super::check::{kind_of, read};
use super::fill;
use super::format::{Entry, Head, Item};
use super::kind::{Kind, org_of};
use super::{BackupError, BackupFile, Passphrase};
use crate::context::Context;
use crate::credential::OrgId;
use crate::org::audit::Author;
use crate::org::record::{self, DeletedOrgRecord, OrgRecord};
use crate::system::orgs;
use crate::system::whole::{Restored, Unfinished, WholeStore, Work};

/// Numbers of entries of the audit trail end far below: they count an organization's changes, and ten years of three a
/// second are as many. A restore makes a commit for each, so that no file may name a number as it likes.
const AUDIT_NUMBER_MAX: u64 = 1_000_000_000;

/// A backup that was read once from end to end and found whole.
pub struct Restore {
    file: BackupFile,
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

/// What a store knows of its organizations.
#[derive(Default)]
struct Known {
    fates: HashMap<OrgId, Fate>,
    /// Where in the index the names are of those that stay as they are.
    names: HashMap<Key, OrgId>,
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
    /// Organizations of the backup whose name another one has by now, and that got their id behind it.
    pub orgs_renamed: u64,
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
        let file = BackupFile::open(path, passphrase)?;
        let mut backup = file.read()?;
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
            match kind {
                Kind::Restored => epoch = read::<Restored>(&entry).map_or(0, |restored| restored.epoch),
                Kind::Audit
                    if record::audit_revision(&entry.key).is_some_and(|at| at.0 > AUDIT_NUMBER_MAX) =>
                {
                    return Err(BackupError::Damaged(
                        "an entry of its audit trail has a number that none reaches",
                    ));
                }
                _ => {}
            }
        }
        let head = head.ok_or(BackupError::Truncated)?;
        Ok(Self { file, head, records, orgs, epoch })
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
        let known = self.known_orgs(store).await?;
        let now = context.clock.now();
        let mark = Unfinished { work: Work::Restore, began_at: now, onto_empty };
        fill::begin(store, &context.rng, &mark).await?;
        let before = whole.restored().await?.map_or(0, |restored| restored.epoch);
        let restored = Restored {
            epoch: before.max(self.epoch).saturating_add(1),
            at: now,
            backup_at: self.head.made_at,
        };
        let known = (!onto_empty).then_some(known);
        let mut carrying = Carrying::new(self, store, context, known, (manner, restored.clone()));
        carrying.records(progress).await?;
        carrying.others().await?;
        carrying.index().await?;
        whole.finish(&context.rng, Some(&restored)).await?;
        Ok(carrying.done)
    }

    /// How each organization of a store stands; refuses a store with records of a kind that is not known, and one whose
    /// word would count and cannot be read.
    async fn known_orgs(&self, store: &Arc<dyn Store>) -> Result<Known, BackupError> {
        let mut known = Known::default();
        let mut all = store.export().await?;
        while let Some(found) = all.next().await.transpose()? {
            let entry = Entry { scope: found.scope, key: found.record.key, value: found.record.value };
            let Some(kind) = Kind::of(&entry.scope, &entry.key) else {
                let key = entry.key.as_bytes().escape_ascii().to_string();
                return Err(BackupError::UnknownKind { scope: entry.scope.to_string(), key });
            };
            let Some(org) = org_of(&entry.scope) else { continue };
            let fate = known.fates.entry(org).or_insert(Fate::Remains);
            match kind {
                Kind::Org => {
                    *fate = Fate::Lives;
                    if self.orgs.get(&org) == Some(&Fate::Deleted) {
                        kind_of(&entry)?;
                        let name = read::<OrgRecord>(&entry).map(|record| orgs::at(&record.name));
                        known.names.extend(name.map(|name| (name, org)));
                    }
                }
                // Also where it is being purged: it stays deleted.
                Kind::DeletedOrg => {
                    *fate = Fate::Deleted;
                    kind_of(&entry)?;
                    let name = read::<DeletedOrgRecord>(&entry).map(|record| orgs::at(&record.name));
                    known.names.extend(name.map(|name| (name, org)));
                }
                _ => {}
            }
        }
        Ok(known)
    }
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

#[cfg(test)]
mod tests;
