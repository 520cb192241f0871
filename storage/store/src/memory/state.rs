//! One scope of the reference model: records, tombstones, revision, latest commits.
//!
//! Says what the trait's words mean, one line for each, without any regard for speed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

use bytes::Bytes;

use crate::{
    Batch, Changes, CommitError, CommitId, Expect, Key, KeyRange, Lane, Page, READ_BYTES_MAX, Record,
    Revision, ScanLimit, Write,
};

/// Commit ids that a scope remembers.
const COMMITS_KEPT: usize = 64;

#[derive(Clone, Default)]
pub(super) struct ScopeState {
    pub(super) revision: Revision,
    /// The newest revision that took a permission away.
    pub(super) narrowed: Revision,
    /// A row without a value is a tombstone; the model keeps them all.
    rows: BTreeMap<Key, Row>,
    commits: VecDeque<(CommitId, Revision)>,
}

#[derive(Clone)]
struct Row {
    value: Option<Bytes>,
    revision: Revision,
    log: bool,
}

impl ScopeState {
    /// Applies a checked batch. On an error the state is worthless: the caller drops it.
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Revision, CommitError> {
        let log = batch.lane == Lane::Log;
        if let Lane::State { at, narrows } = batch.lane {
            if let Some((_, revision)) = self.commits.iter().find(|(id, _)| *id == batch.id) {
                return Ok(*revision);
            }
            let expected = at.is_none_or(|at| at == self.revision);
            if !expected || !batch.expects.iter().all(|expect| self.holds(expect)) {
                return Err(CommitError::Conflict { now: self.revision });
            }
            self.revision.0 += 1;
            if narrows {
                self.narrowed = self.revision;
            }
            self.commits.push_front((batch.id, self.revision));
            self.commits.truncate(COMMITS_KEPT);
        }
        for write in &batch.writes {
            let (key, value) = match write {
                Write::Put(key, value) => (key, Some(value.clone())),
                Write::Delete(key) => (key, None),
            };
            if log && value.is_none() {
                self.rows.remove(key);
            } else {
                self.rows.insert(key.clone(), Row { value, revision: self.revision, log });
            }
        }
        Ok(self.revision)
    }

    fn holds(&self, expect: &Expect) -> bool {
        match expect {
            Expect::Absent(key) => self.get(key).is_none(),
            Expect::At(key, revision) => self.get(key).is_some_and(|record| record.revision == *revision),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Record> {
        self.rows.get(key).and_then(|row| row.record(key))
    }

    pub(super) fn live(&self) -> impl Iterator<Item = Record> {
        self.rows.iter().filter_map(|(key, row)| row.record(key))
    }

    pub(super) fn scan(&self, range: &KeyRange, limit: ScanLimit) -> Page {
        let bounds = (range.start.as_ref().map(|b| &b[..]), range.end.as_ref().map(|b| &b[..]));
        let inside = |key: &Key| RangeBounds::<[u8]>::contains(&bounds, key.as_bytes());
        let mut page = Page { records: Vec::new(), next: None, revision: self.revision };
        let mut bytes = 0;
        // Filtered, not `BTreeMap::range`: that one panics at a range whose end is before its start.
        for record in self.live().filter(|record| inside(&record.key)) {
            if page.records.len() == limit.records.max(1) || bytes >= READ_BYTES_MAX {
                page.next = page.records.last().map(|record| record.key.clone());
                break;
            }
            bytes += record.key.as_bytes().len() + record.value.len();
            page.records.push(record);
        }
        page
    }

    pub(super) fn changes(&self, after: Revision) -> Changes {
        if after > self.revision {
            return Changes::Gap;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (key, row) in self.rows.iter().filter(|(_, row)| !row.log && row.revision > after) {
            if bytes >= READ_BYTES_MAX {
                return Changes::Gap;
            }
            bytes += key.as_bytes().len() + row.value.as_ref().map_or(0, Bytes::len);
            records.push((key.clone(), row.record(key)));
        }
        Changes::Delta { to: self.revision, records }
    }
}

impl Row {
    fn record(&self, key: &Key) -> Option<Record> {
        let value = self.value.clone()?;
        Some(Record { key: key.clone(), value, revision: self.revision })
    }
}
