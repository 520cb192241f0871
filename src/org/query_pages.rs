//! The query log as it is read: page by page from the newest entry back, through a filter; and how old entries go.

use std::ops::Bound;

use sequel_store::{Key, KeyRange};

use super::actor::{CollectUses, Forget};
use super::error::ChangeError;
use super::handle::Org;
use super::org_store::OrgStore;
use super::queries::next_number;
use super::record::{self, QueryCall, QueryOutcome, QueryRecord, decode, query_at, query_number};
use crate::context::Timestamp;
use crate::credential::{KeyId, SourceId};

/// Entries that are read at once on the way back; as many as a page of a scan has records.
const WINDOW: u64 = 1_000;
/// Entries that one page looks through for those that its filter lets through.
const LOOKED_AT_MAX: usize = 10_000;
/// Entries that one batch removes: a batch has 256 operations.
const PRUNED_AT_ONCE: usize = 200;

/// Which entries are wanted: newest first.
#[derive(Debug, Clone, Default)]
pub struct QueryAsk {
    /// Only those before this entry's number, to go on after a page.
    pub before: Option<u64>,
    /// Only those from this time on.
    pub since: Option<Timestamp>,
    /// Most entries; at least 1.
    pub limit: usize,
    /// What else they must be.
    pub filter: QueryFilter,
}

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryFilter {
    /// Only those of these keys and apps.
    pub by: Option<Vec<KeyId>>,
    /// Only those that touched this data source.
    pub source: Option<SourceId>,
    /// Only those that ended so.
    pub outcome: Option<QueryOutcome>,
}

impl QueryFilter {
    fn lets_through(&self, entry: &QueryRecord) -> bool {
        match entry {
            QueryRecord::Call(QueryCall { by, source, outcome, .. }) => {
                self.by.as_ref().is_none_or(|wanted| wanted.contains(by))
                    && self.source.is_none_or(|wanted| wanted == *source)
                    && self.outcome.is_none_or(|wanted| wanted == *outcome)
            }
            // Whose they were is not known.
            QueryRecord::Lost { .. } => *self == Self::default(),
        }
    }
}

/// A page of the log, newest first.
#[derive(Debug, Clone, Default)]
pub struct QueryPage {
    /// Entries with their numbers; fewer than asked for, even none, where the filter lets few through.
    pub entries: Vec<(u64, QueryRecord)>,
    /// Ask again with `before` set to this where there may be more.
    pub next: Option<u64>,
}

/// How long entries are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueryRetention {
    /// Those from before this time may go.
    pub(super) keep_from: Timestamp,
    /// Most entries of one organization: whoever writes one holds it too, unless the limit was another then.
    pub(super) entries_max: u64,
}

impl Org {
    /// A page of the query log, up to now.
    pub async fn queries(&self, ask: &QueryAsk) -> Result<QueryPage, ChangeError> {
        if let Err(error) = self.tell(CollectUses(Vec::new())).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "queries were not written down");
        }
        let store = self.store();
        let mut page = QueryPage::default();
        let first = store.page(KeyRange::prefix(record::QUERIES), 1).await?;
        let Some(oldest) = first.records.first().and_then(|stored| query_number(&stored.key)) else {
            return Ok(page);
        };
        let mut above = ask.before.unwrap_or(u64::MAX).min(next_number(&store).await?);
        let mut looked = 0;
        // A scan goes forth only, and entries are wanted from the newest back: window by window.
        while above > oldest {
            if looked >= LOOKED_AT_MAX {
                page.next = Some(above);
                return Ok(page);
            }
            let from = above.saturating_sub(WINDOW).max(oldest);
            let window = store.records(between(from, above)).await?;
            looked += window.len();
            let mut all_too_old = !window.is_empty();
            for stored in window.iter().rev() {
                let Some(number) = query_number(&stored.key) else { continue };
                let entry: QueryRecord = decode(&stored.value)?;
                // After a wall clock was set back and Sequel restarted, an older entry may say a later time.
                if ask.since.is_some_and(|since| entry.at() < since) {
                    continue;
                }
                all_too_old = false;
                if !ask.filter.lets_through(&entry) {
                    continue;
                }
                if page.entries.len() == ask.limit {
                    page.next = page.entries.last().map(|(number, _)| *number);
                    return Ok(page);
                }
                page.entries.push((number, entry));
            }
            if all_too_old {
                break;
            }
            above = from;
        }
        Ok(page)
    }

    /// One entry.
    pub async fn query_entry(&self, number: u64) -> Result<Option<QueryRecord>, ChangeError> {
        Ok(self.store().get::<QueryRecord>(&query_at(number)).await?.map(|(entry, _)| entry))
    }

    /// Removes entries that need not be kept any more; returns how many.
    pub(super) async fn prune_queries(&self, retention: QueryRetention) -> Result<usize, ChangeError> {
        let store = self.store();
        let mut pruned = 0;
        loop {
            let over = retention.over(&store, PRUNED_AT_ONCE).await?;
            // An organization that left memory meanwhile takes no message; the next round finds it again.
            if over.is_empty() || self.entry.alive().is_none() {
                return Ok(pruned);
            }
            let count = over.len();
            self.tell(Forget(over)).await?;
            pruned += count;
            if count < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

impl QueryRetention {
    /// Whether an organization has entries to remove: one or two small reads, whoever is in memory.
    pub(super) async fn is_due(&self, store: &OrgStore) -> Result<bool, ChangeError> {
        Ok(!self.over(store, 1).await?.is_empty())
    }

    /// Where the first entries are that may go.
    async fn over(&self, store: &OrgStore, at_once: usize) -> Result<Vec<Key>, ChangeError> {
        let page = store.page(KeyRange::prefix(record::QUERIES), at_once).await?;
        if page.records.is_empty() {
            return Ok(Vec::new());
        }
        let next = next_number(store).await?;
        let over = page.records.into_iter().take_while(|stored| {
            query_number(&stored.key).is_some_and(|number| number.saturating_add(self.entries_max) < next)
                // What cannot be read is kept: it is evidence of something.
                || decode::<QueryRecord>(&stored.value).is_ok_and(|entry| entry.at() < self.keep_from)
        });
        Ok(over.map(|stored| stored.key).collect())
    }
}

fn between(from: u64, below: u64) -> KeyRange {
    KeyRange {
        start: Bound::Included(query_at(from).to_bytes()),
        end: Bound::Excluded(query_at(below).to_bytes()),
    }
}
