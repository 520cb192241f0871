//! Usage of an organization: what each key did with each data source on each day (UTC).
//!
//! A call is counted when it ends, in memory, and the actor adds what was counted to the stored sums on a
//! timer of a second. So a crash loses at most the uses since the last round, and never a change; records
//! hold sums, not differences, so that writing one twice counts nothing twice.
//!
//! Requests that call no tool are not counted: they run nothing and would cost a write for each key.
//!
//! **Invariant:** a call is counted once, however it ends (`usage_tests::a_call_is_counted_once_however_it_ends`).

use std::collections::HashMap;
use std::ops::Bound;

use jiff::civil::Date;
use parking_lot::Mutex;
use sequel_store::{BATCH_OPERATIONS_MAX, Key, KeyRange, ReadError, Write};

use super::error::ChangeError;
use super::handle::Org;
use super::org_store::{GetError, OrgStore};
use super::record::{self, UsageRecord, decode, encode, usage_at, usage_of};
use crate::context::{Rng, Timestamp};
use crate::credential::{KeyId, SourceId};

/// Sums that an actor remembers; beyond it, it forgets them and reads again. Some 500 KiB.
const KNOWN_MAX: usize = 4_096;
/// Records that one batch removes: a batch has 256 operations.
const PRUNED_AT_ONCE: usize = 200;
/// Lines that a list holds at most; it tells when there are more.
pub const LINES_MAX: usize = 10_000;

/// What a sum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) day: Date,
    pub(super) key: KeyId,
    pub(super) source: Option<SourceId>,
}

impl Line {
    fn at(&self) -> Key {
        usage_at(self.day, self.key, self.source)
    }
}

/// The day of a point in time, in UTC.
pub fn day_of(time: Timestamp) -> Date {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::Offset::UTC.to_datetime(time).date()
}

impl UsageRecord {
    fn add(&mut self, other: &Self) {
        let Self { calls, queries, rows, bytes, errors } = self;
        for (sum, more) in [
            (calls, other.calls),
            (queries, other.queries),
            (rows, other.rows),
            (bytes, other.bytes),
            (errors, other.errors),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What was counted and is not written down.
pub(super) type Counted = HashMap<Line, UsageRecord>;

/// Adds what was counted to what was counted.
pub(super) fn add_all(counted: &mut Counted, more: &Counted) {
    more.iter().for_each(|(line, usage)| counted.entry(*line).or_default().add(usage));
}

/// What was counted and waits for the actor.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Counted>);

impl Ledger {
    /// Counts. True where nothing waited before, so that the organization must be listed for the timer.
    pub(super) fn add(&self, line: Line, usage: &UsageRecord) -> bool {
        let mut counted = self.0.lock();
        let was_empty = counted.is_empty();
        counted.entry(line).or_default().add(usage);
        was_empty
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn take(&self) -> Counted {
        std::mem::take(&mut *self.0.lock())
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&self, left: Counted) {
        add_all(&mut self.0.lock(), &left);
    }
}

/// The sums that an actor has written, so that it need not read them again each second.
pub(super) type Known = HashMap<Line, UsageRecord>;

/// Adds what was counted to the stored sums, after some blind writes of the caller's. What could not be
/// written comes back with the error.
pub(super) async fn write_down(
    store: &OrgStore,
    rng: &Rng,
    known: &mut Known,
    mut counted: Counted,
    others: Vec<Write>,
) -> Result<(), (ChangeError, Counted)> {
    if known.len() > KNOWN_MAX {
        known.clear();
    }
    if let Err(error) = store.log(rng, others).await {
        return Err((error, counted));
    }
    let lines: Vec<Line> = counted.keys().copied().collect();
    for chunk in lines.chunks(BATCH_OPERATIONS_MAX) {
        let sums = match sum_up(store, known, &counted, chunk).await {
            Ok(sums) => sums,
            Err(error) => return Err((error.into(), counted)),
        };
        let writes = sums.iter().map(|(line, sum)| Write::Put(line.at(), encode(sum))).collect();
        match store.log(rng, writes).await {
            Ok(()) => known.extend(sums),
            // Perhaps it is written: counting it again could count it twice.
            Err(ChangeError::Unknown) => known.clear(),
            Err(error) => return Err((error, counted)),
        }
        for line in chunk {
            counted.remove(line);
        }
    }
    Ok(())
}

async fn sum_up(
    store: &OrgStore,
    known: &Known,
    counted: &Counted,
    lines: &[Line],
) -> Result<Vec<(Line, UsageRecord)>, GetError> {
    let mut sums = Vec::with_capacity(lines.len());
    for line in lines {
        let mut sum = match known.get(line) {
            Some(sum) => *sum,
            None => store.get::<UsageRecord>(&line.at()).await?.map(|(sum, _)| sum).unwrap_or_default(),
        };
        sum.add(&counted[line]);
        sums.push((*line, sum));
    }
    Ok(sums)
}

/// Which usage is wanted.
#[derive(Debug, Clone, Copy)]
pub struct UsageQuery {
    /// From this day on.
    pub from: Date,
    /// Only this key's.
    pub key: Option<KeyId>,
    /// Only this data source's.
    pub source: Option<SourceId>,
}

/// What one key did with one data source on one day; no source for calls that touch none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageLine {
    /// The day, in UTC.
    pub day: Date,
    /// The key, which may be deleted by now.
    pub key: KeyId,
    /// The data source, which may be removed by now.
    pub source: Option<SourceId>,
    /// How much.
    pub usage: UsageRecord,
}

/// The usage of an organization.
#[derive(Debug, Clone)]
pub struct UsageReport {
    /// At most [`LINES_MAX`] lines: the newest day first, in it the most calls first.
    pub lines: Vec<UsageLine>,
    /// All lines together.
    pub total: UsageRecord,
    /// Whether there are more lines than these.
    pub truncated: bool,
}

impl Org {
    /// What was used, up to now.
    pub async fn usage(&self, query: UsageQuery) -> Result<UsageReport, ChangeError> {
        if let Err(error) = self.tell(super::actor::CollectUses(Vec::new())).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "usage was not written down");
        }
        let UsageQuery { from, key, source } = query;
        let KeyRange { end, .. } = KeyRange::prefix(record::USAGE);
        let mut range = KeyRange { start: days_from(from), end };
        let mut report = UsageReport { lines: Vec::new(), total: UsageRecord::default(), truncated: false };
        let store = self.store();
        loop {
            let page = store.page(range.clone(), 1_000).await?;
            for stored in &page.records {
                let Some((day, of_key, of_source)) = usage_of(&stored.key) else { continue };
                let other_source = source.is_some() && source != of_source;
                if other_source || key.is_some_and(|key| key != of_key) {
                    continue;
                }
                let usage: UsageRecord = decode(&stored.value)?;
                report.total.add(&usage);
                report.lines.push(UsageLine { day, key: of_key, source: of_source, usage });
            }
            // Records come from the oldest day on, and it is the newest lines that are kept.
            if report.lines.len() > 2 * LINES_MAX {
                report.cut();
            }
            match page.next {
                Some(key) => range = range.after(&key),
                None => break,
            }
        }
        report.cut();
        Ok(report)
    }

    /// Removes the usage of the days before this one; returns how many records.
    pub(super) async fn prune_usage(&self, keep_from: Date) -> Result<usize, ChangeError> {
        let store = self.store();
        let mut pruned = 0;
        loop {
            let over = usage_before(&store, keep_from, PRUNED_AT_ONCE).await?;
            // An organization that left memory meanwhile takes no message; the next round finds it again.
            if over.is_empty() || self.entry.alive().is_none() {
                return Ok(pruned);
            }
            let count = over.len();
            self.tell(super::actor::Forget(over)).await?;
            pruned += count;
            if count < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

impl UsageReport {
    fn cut(&mut self) {
        self.lines.sort_by(|a, b| {
            (b.day, b.usage.calls, b.key, b.source).cmp(&(a.day, a.usage.calls, a.key, a.source))
        });
        self.truncated |= self.lines.len() > LINES_MAX;
        self.lines.truncate(LINES_MAX);
    }
}

fn days_from(day: Date) -> Bound<bytes::Bytes> {
    Bound::Included(format!("{}{day}/", record::USAGE).into())
}

/// Some of the records of the days before this one.
pub(super) async fn usage_before(store: &OrgStore, day: Date, at_once: usize) -> Result<Vec<Key>, ReadError> {
    let KeyRange { start, .. } = KeyRange::prefix(record::USAGE);
    let end = match days_from(day) {
        Bound::Included(at) => Bound::Excluded(at),
        end => end,
    };
    let page = store.page(KeyRange { start, end }, at_once).await?;
    Ok(page.records.into_iter().map(|stored| stored.key).collect())
}
