//! Whether what a store holds is sound, and how much it is: told from one consistent cut, record by record.
//!
//! Records come in the order of scopes and keys. In memory are the names of one organization's keys and data sources,
//! and the organizations themselves; never the records.

use std::collections::{HashMap, HashSet};

use sequel_store::{Key, Scope};

use super::BackupError;
use super::format::Entry;
use super::kind::{Kind, org_of};
use crate::context::Timestamp;
use crate::credential::OrgId;
use crate::org::record::{self, DeletedOrgRecord, KeyRecord, NameRecord, OrgRecord, SourceRecord};
use crate::record::{Versioned, decode};
use crate::system::deletions::DELETIONS;
use crate::system::orgs::{self, IndexRecord};
use crate::system::whole::Unfinished;

/// Findings that are told in full; a store that has more has one cause for most.
const FINDINGS_MAX: usize = 100;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which scope.
    pub scope: String,
    /// Which record, if it is about one.
    pub key: Option<String>,
    /// What is wrong: one sentence.
    pub message: String,
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// Organizations.
    pub orgs: u64,
    /// Those that were deleted and can be restored or are being purged.
    pub deleted_orgs: u64,
    /// API keys.
    pub keys: u64,
    /// Those of them that a restore suspended.
    pub suspended_keys: u64,
    /// Data sources.
    pub sources: u64,
    /// Entries of the audit trail.
    pub audit_entries: u64,
    /// Days of usage, for each key and data source.
    pub usage: u64,
    /// Entries of the query log.
    pub queries: u64,
    /// Records of all kinds.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Takes the records of a cut and tells what is wrong.
pub struct Checker {
    now: Timestamp,
    holds: Holds,
    findings: Vec<Finding>,
    more: u64,
    org: Option<OrgPart>,
    /// Where in the index each organization's name has to be, and whether it was found there.
    names: HashMap<OrgId, (Key, bool)>,
    /// Deleted organizations, and whether the list of deletions has them.
    deleted: HashMap<OrgId, bool>,
}

/// What is kept of the organization whose records come now.
struct OrgPart {
    scope: Scope,
    lives: bool,
    deleted: Option<DeletedOrgRecord>,
    keys: Names,
    sources: Names,
}

/// Who has which name, from the records and from their index. The index comes first.
#[derive(Default)]
struct Names {
    /// By id: where the name's index record has to be, and whether it must be there.
    holders: HashMap<String, (Key, bool)>,
    /// The index: where, and to which id it points.
    entries: Vec<(Key, String)>,
}

impl Names {
    /// What is wrong: index records that lead astray, and ids that are not found by their names.
    fn faults(&self) -> (Vec<(&Key, &'static str)>, Vec<&str>) {
        let mut found = HashSet::new();
        let mut astray = Vec::new();
        for (at, id) in &self.entries {
            match self.holders.get(id) {
                None => astray.push((at, "It points to something that is not there.")),
                Some((name, _)) if name != at => {
                    astray.push((at, "It points to something that has another name."));
                }
                Some(_) => {
                    found.insert(id.as_str());
                }
            }
        }
        let lost = |(id, (_, must)): (_, &(Key, bool))| (*must && !found.contains(id)).then_some(id);
        let mut missing: Vec<&str> =
            self.holders.iter().filter_map(|(id, holder)| lost((id.as_str(), holder))).collect();
        missing.sort_unstable();
        (astray, missing)
    }
}

impl Checker {
    /// `now` tells which keys have expired: those may have lost their names.
    pub fn new(now: Timestamp) -> Self {
        let (names, deleted) = (HashMap::new(), HashMap::new());
        Self { now, holds: Holds::default(), findings: Vec::new(), more: 0, org: None, names, deleted }
    }

    /// The next record.
    pub fn add(&mut self, entry: &Entry) {
        self.holds.records += 1;
        self.holds.bytes += (entry.key.as_bytes().len() + entry.value.len()) as u64;
        if self.org.as_ref().is_some_and(|org| org.scope != entry.scope) {
            self.end_org();
        }
        let found = match kind_of(entry) {
            Ok(kind) if org_of(&entry.scope).is_some() => self.in_org(kind, entry),
            Ok(kind) => self.in_system(kind, entry),
            Err(error) => Some(error.to_string()),
        };
        if let Some(message) = found {
            self.find(finding(entry, message));
        }
    }

    /// What is wrong, how much more there is of it, and what the store holds.
    pub fn finish(mut self) -> (Vec<Finding>, u64, Holds) {
        self.end_org();
        let lost = |scope: Scope, message: String| Finding { scope: scope.to_string(), key: None, message };
        let unnamed = self.names.iter().filter(|(_, (_, found))| !found);
        let mut late: Vec<_> = unnamed
            .map(|(org, _)| lost(orgs::scope(), format!("The organization {org} is not found by its name.")))
            .collect();
        let unlisted = self.deleted.iter().filter(|(_, listed)| !**listed);
        late.extend(unlisted.map(|(org, _)| {
            let message = format!("The deleted organization {org} is not on the list of those to be purged.");
            lost(crate::system::deletions::scope(), message)
        }));
        late.sort_by(|a, b| a.message.cmp(&b.message));
        late.into_iter().for_each(|finding| self.find(finding));
        (self.findings, self.more, self.holds)
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn in_org(&mut self, kind: Kind, entry: &Entry) -> Option<String> {
        let org = self.org.get_or_insert_with(|| OrgPart::new(&entry.scope));
        let id = || {
            String::from_utf8_lossy(entry.key.as_bytes()).rsplit('/').next().unwrap_or_default().to_owned()
        };
        match kind {
            Kind::Org => {
                let record: OrgRecord = read(entry)?;
                org.lives = true;
                self.holds.orgs += 1;
                self.names.insert(org_of(&entry.scope)?, (orgs::at(&record.name), false));
            }
            Kind::DeletedOrg => {
                let record: DeletedOrgRecord = read(entry)?;
                let of = org_of(&entry.scope)?;
                self.holds.deleted_orgs += 1;
                if !org.lives && !record.purging {
                    self.names.insert(of, (orgs::at(&record.name), false));
                }
                self.deleted.insert(of, false);
                org.deleted = Some(record);
            }
            Kind::Key => {
                let record: KeyRecord = read(entry)?;
                self.holds.keys += 1;
                self.holds.suspended_keys += u64::from(record.suspended.is_some());
                let lives = record.expires_at.is_none_or(|end| self.now < end);
                org.keys.holders.insert(id(), (record::key_name_at(&record.name), lives));
            }
            Kind::Source => {
                let record: SourceRecord = read(entry)?;
                self.holds.sources += 1;
                org.sources.holders.insert(id(), (record::source_name_at(&record.name), true));
            }
            Kind::KeyName | Kind::SourceName => {
                let record: NameRecord = read(entry)?;
                let names = if kind == Kind::KeyName { &mut org.keys } else { &mut org.sources };
                names.entries.push((entry.key.clone(), record.id));
            }
            Kind::Audit => self.holds.audit_entries += 1,
            Kind::Usage => self.holds.usage += 1,
            Kind::Query => self.holds.queries += 1,
            _ => {}
        }
        None
    }

    fn in_system(&mut self, kind: Kind, entry: &Entry) -> Option<String> {
        match kind {
            Kind::OrgIndex => {
                let record: IndexRecord = read(entry)?;
                // One that leads elsewhere was left behind by a change that broke off, and counts for nobody.
                if let Some((at, found)) = self.names.get_mut(&record.org) {
                    *found |= *at == entry.key;
                }
            }
            Kind::Deletion => {
                let id =
                    std::str::from_utf8(entry.key.as_bytes()).ok()?.strip_prefix(DELETIONS)?.parse().ok()?;
                if let Some(listed) = self.deleted.get_mut(&id) {
                    *listed = true;
                }
            }
            Kind::Unfinished => {
                let record: Unfinished = read(entry)?;
                return Some(record.to_string());
            }
            _ => {}
        }
        None
    }

    fn end_org(&mut self) {
        let Some(org) = self.org.take() else { return };
        let about =
            |message: &str| Finding { scope: org.scope.to_string(), key: None, message: message.to_owned() };
        match (&org.deleted, org.lives) {
            // What is being purged loses its records in any order.
            (Some(deleted), false) if deleted.purging => return,
            (Some(_), true) => self.find(about("The organization lives and is deleted at once.")),
            (None, false) => {
                self.find(about("There are records here, and no organization that they belong to."))
            }
            _ => {}
        }
        for (what, names) in [("API key", &org.keys), ("data source", &org.sources)] {
            let scope = || org.scope.to_string();
            let (astray, missing) = names.faults();
            for (at, message) in astray {
                let key = Some(at.as_bytes().escape_ascii().to_string());
                self.find(Finding { scope: scope(), key, message: message.to_owned() });
            }
            for id in missing {
                let message = format!("The {what} {id} is not found by its name.");
                self.find(Finding { scope: scope(), key: None, message });
            }
        }
    }
}

impl OrgPart {
    fn new(scope: &Scope) -> Self {
        let (keys, sources) = (Names::default(), Names::default());
        Self { scope: scope.clone(), lives: false, deleted: None, keys, sources }
    }
}

/// What an entry is; an error where it is of no known kind or cannot be read.
pub(super) fn kind_of(entry: &Entry) -> Result<Kind, BackupError> {
    let (scope, key) = (|| entry.scope.to_string(), || entry.key.as_bytes().escape_ascii().to_string());
    let kind = Kind::of(&entry.scope, &entry.key)
        .ok_or_else(|| BackupError::UnknownKind { scope: scope(), key: key() })?;
    match kind.check(&entry.value) {
        Ok(()) => Ok(kind),
        Err(source) => Err(BackupError::Record { scope: scope(), key: key(), source }),
    }
}

/// The record of an entry whose kind was checked.
pub(super) fn read<T: Versioned>(entry: &Entry) -> Option<T> {
    decode(&entry.value).ok()
}

fn finding(entry: &Entry, message: String) -> Finding {
    let key = entry.key.as_bytes().escape_ascii().to_string();
    Finding { scope: entry.scope.to_string(), key: Some(key), message }
}
