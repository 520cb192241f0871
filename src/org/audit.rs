//! The audit trail of an organization: one entry for each change, in the change's own batch.
//!
//! An entry is there exactly when its change is: a crash loses neither alone. It is stored under the
//! revision that the change made, so that entries are ordered as the changes were, whatever the wall clock
//! did. What is refused changes nothing and is logged, not audited. No entry holds a secret.
//!
//! **Invariant:** no change without its entry, no entry without its change
//! (`audit_tests::every_change_leaves_one_entry_and_a_refused_one_leaves_none`,
//! `tests/it/audit.rs`: `a_kill_loses_no_acknowledged_change_and_no_entry_of_one`).

use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use sequel_store::{KeyRange, Revision, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::actor::{Change, Decided, Desk, Edit};
use super::error::ChangeError;
use super::handle::Org;
use super::org_store::OrgStore;
use super::record::{self, AuditRecord, audit_at, decode};
use super::view::View;
use crate::context::Timestamp;

/// Entries that one batch removes: a batch has 256 operations.
const PRUNED_AT_ONCE: usize = 200;
/// Revisions that are looked through at once on the way back; as many as a page of a scan has records.
const WINDOW: u64 = 1_000;
/// Entries that are read at once when they are counted.
const COUNTED_AT_ONCE: usize = 1_000;

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Who {
    /// Somebody with access to the machine's own administration, as the operating system names them.
    Operator {
        /// User id of the process at the other end of the socket.
        uid: u32,
        /// The name that the machine's list of users has for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A person who signed in.
    User {
        /// Their id.
        id: String,
        /// Their address, as it was then.
        email: String,
    },
    /// An app, with what a person has authorized it to do.
    App {
        /// The client's id.
        client: String,
        /// What it calls itself, unverified.
        name: String,
        /// The id of who has authorized it.
        user: String,
    },
    /// Sequel itself, for instance the demo.
    Sequel,
}

/// By which way a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The running server's unix socket.
    AdminSocket,
    /// A command that worked alone, without a server.
    Command,
    /// The pages.
    Dashboard,
    /// The endpoints of OAuth.
    #[serde(rename = "oauth")]
    OAuth,
    /// From within.
    Sequel,
}

/// Who makes a change, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub who: Who,
    /// By which way.
    pub via: Via,
    /// From which address, where it came over a network.
    pub address: Option<IpAddr>,
}

impl Author {
    /// Sequel itself.
    pub fn sequel() -> Self {
        Self { who: Who::Sequel, via: Via::Sequel, address: None }
    }
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `org`, `key`, `source`, `member`, `invitation`, `app` or `user`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name after the change.
    pub name: String,
}

/// What a change says of itself for the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    action: &'static str,
    target: Target,
    details: Map<String, Value>,
}

impl Event {
    /// `action` is a word for programs, such as `key.create`.
    pub fn new(action: &'static str, kind: &str, id: impl ToString, name: &str) -> Self {
        let target = Target { kind: kind.to_owned(), id: id.to_string(), name: name.to_owned() };
        Self { action, target, details: Map::new() }
    }

    /// One more thing to know about it, never a secret.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same where there is something to know.
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The entry, to be written in the batch that moves the organization to `revision`.
    pub fn entry(self, revision: Revision, at: Timestamp, author: &Author) -> Write {
        Write::Put(audit_at(revision), record::encode(&self.record(at, author)))
    }

    /// The entry's record.
    pub fn record(self, at: Timestamp, author: &Author) -> AuditRecord {
        AuditRecord {
            at,
            who: author.who.clone(),
            via: author.via,
            address: author.address,
            action: self.action.to_owned(),
            target: self.target,
            details: self.details,
        }
    }
}

/// Which entries are wanted: newest first.
#[derive(Debug, Clone, Copy)]
pub struct AuditQuery {
    /// Only those before this entry's number, to go on after a page.
    pub before: Option<u64>,
    /// Only those from this time on.
    pub since: Option<Timestamp>,
    /// Most entries; at least 1.
    pub limit: usize,
}

/// A page of the trail, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// Entries with their numbers.
    pub entries: Vec<(u64, AuditRecord)>,
    /// Ask again with `before` set to this where there is more.
    pub next: Option<u64>,
}

/// How long entries are kept.
#[derive(Debug, Clone, Copy)]
pub struct AuditRetention {
    /// Those from before this time may go.
    pub keep_from: Timestamp,
    /// Most entries of one organization.
    pub entries_max: u64,
}

/// Removes entries whose time is over. Itself no entry: it says nothing that the trail should keep.
struct Prune(Vec<Revision>);

impl Change for Prune {
    type Reply = usize;

    async fn decide(self, _: Desk, _: Arc<View>) -> Result<Decided<usize>, ChangeError> {
        Ok(Decided {
            reply: self.0.len(),
            expects: Vec::new(),
            writes: self.0.into_iter().map(|revision| Write::Delete(audit_at(revision))).collect(),
            narrows: false,
            edit: Edit::Nothing,
            event: None,
        })
    }
}

impl Org {
    /// A page of the audit trail.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, ChangeError> {
        let store = self.store();
        let first = store.page(KeyRange::prefix(record::AUDIT), 1).await?;
        let (head, oldest) = (first.revision.0, first.records.first());
        let mut page = AuditPage { entries: Vec::new(), next: None };
        let Some(oldest) = oldest.and_then(|stored| record::audit_revision(&stored.key)) else {
            return Ok(page);
        };
        let mut above = query.before.unwrap_or(u64::MAX).min(head.saturating_add(1));
        // A scan goes forth only, and entries are wanted from the newest back: window by window.
        while above > oldest.0 {
            let from = above.saturating_sub(WINDOW).max(oldest.0);
            let range = KeyRange {
                start: Bound::Included(audit_at(Revision(from)).to_bytes()),
                end: Bound::Excluded(audit_at(Revision(above)).to_bytes()),
            };
            let window = store.records(range).await?;
            let mut all_too_old = !window.is_empty();
            for stored in window.iter().rev() {
                let Some(revision) = record::audit_revision(&stored.key) else { continue };
                let entry: AuditRecord = decode(&stored.value)?;
                // After a wall clock was set back and Sequel restarted, an older entry may say a later time.
                if query.since.is_some_and(|since| entry.at < since) {
                    continue;
                }
                all_too_old = false;
                if page.entries.len() == query.limit {
                    page.next = page.entries.last().map(|(revision, _)| *revision);
                    return Ok(page);
                }
                page.entries.push((revision.0, entry));
            }
            if all_too_old {
                break;
            }
            above = from;
        }
        Ok(page)
    }

    /// Removes entries that need not be kept any more; returns how many.
    pub(super) async fn prune_audit(&self, retention: AuditRetention) -> Result<usize, ChangeError> {
        let store = self.store();
        let mut beyond = entries_beyond(&store, retention.entries_max).await?;
        let mut pruned = 0;
        loop {
            let page = store.page(KeyRange::prefix(record::AUDIT), PRUNED_AT_ONCE).await?;
            let over: Vec<Revision> = page
                .records
                .iter()
                .filter_map(|stored| Some((record::audit_revision(&stored.key)?, &stored.value)))
                .enumerate()
                .take_while(|(nth, (_, value))| (*nth as u64) < beyond || retention.is_over(value))
                .map(|(_, (revision, _))| revision)
                .collect();
            if over.is_empty() {
                return Ok(pruned);
            }
            let count = over.len();
            pruned += self.ask(|| Prune(over.clone())).await?;
            beyond = beyond.saturating_sub(count as u64);
            if count < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

impl AuditRetention {
    fn is_over(&self, value: &[u8]) -> bool {
        // What cannot be read is kept: it is evidence of something.
        decode::<AuditRecord>(value).is_ok_and(|entry| entry.at < self.keep_from)
    }

    /// Whether an organization may have entries to remove: two small reads, whoever is in memory.
    pub(super) async fn is_due(&self, store: &OrgStore) -> Result<bool, ChangeError> {
        let first = store.page(KeyRange::prefix(record::AUDIT), 1).await?;
        let Some(oldest) = first.records.first() else { return Ok(false) };
        Ok(self.is_over(&oldest.value) || entries_beyond(store, self.entries_max).await? > 0)
    }
}

/// How many entries there are beyond `most`.
async fn entries_beyond(store: &OrgStore, most: u64) -> Result<u64, ChangeError> {
    let mut range = KeyRange::prefix(record::AUDIT);
    let mut count = 0;
    loop {
        let page = store.page(range.clone(), COUNTED_AT_ONCE).await?;
        let oldest = page.records.first().and_then(|stored| record::audit_revision(&stored.key));
        // Each revision has one entry at most, so most organizations need no counting.
        if count == 0 && oldest.is_none_or(|oldest| page.revision.0 - oldest.0 < most) {
            return Ok(0);
        }
        count += page.records.len() as u64;
        match page.next {
            Some(key) => range = range.after(&key),
            None => return Ok(count.saturating_sub(most)),
        }
    }
}
