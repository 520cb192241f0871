//! Consistent cuts over a store that goes on writing.
//!
//! sled has no snapshots. So a cut that is still being read has the writer keep, in memory, what each record was before
//! its first change since the cut began; the reader takes that where it is there, and what the log holds where it is
//! not. What the reader is past is kept no longer.
//!
//! That costs the writer one read for each record it changes while a cut is read, and memory: at most
//! [`BEFORE_BYTES_MAX`] for a cut, beyond which the cut is lost and says so. At some 400 bytes a record that is 80,000
//! records changed while one reader reads.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use sequel_store::{Exported, Key, ReadError, Record, Scope};
use sled::Tree;

use crate::fault::Fault;
use crate::read::record_of;
use crate::rows::{self, Head};

/// What the writer keeps for one cut at most.
const BEFORE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an entry takes beside its key and value.
const ENTRY_BYTES: usize = 96;
/// Rows that are read at once, the writer being held off meanwhile.
const STEP_ROWS: usize = 256;
/// Bytes of values after which a step ends early.
const STEP_BYTES: usize = 1024 * 1024;

/// The cuts that are being read.
#[derive(Default)]
pub(crate) struct Cuts(Mutex<Vec<Arc<Mutex<Before>>>>);

#[derive(Default)]
struct Before {
    /// The row that the reader is past.
    past: Option<Vec<u8>>,
    /// What rows beyond that were when the cut began; `None` where there was no live record.
    records: BTreeMap<Vec<u8>, Option<Record>>,
    bytes: usize,
    lost: bool,
}

impl Cuts {
    /// Begins a cut at this moment, at which no writer may be inside.
    pub(crate) fn begin(self: &Arc<Self>) -> Cut {
        let before = Arc::<Mutex<Before>>::default();
        self.0.lock().push(before.clone());
        Cut { cuts: self.clone(), before }
    }

    /// The writer is about to change this record, which was `record` until now.
    pub(crate) fn before(
        &self,
        scope: &Scope,
        key: &Key,
        record: impl Fn() -> Result<Option<Record>, Fault>,
    ) -> Result<(), Fault> {
        for before in &*self.0.lock() {
            before.lock().keep(rows::record_row(scope, key), &record)?;
        }
        Ok(())
    }
}

impl Before {
    fn keep(
        &mut self,
        row: Vec<u8>,
        record: impl Fn() -> Result<Option<Record>, Fault>,
    ) -> Result<(), Fault> {
        let is_past = self.past.as_ref().is_some_and(|past| row <= *past);
        if self.lost || is_past || self.records.contains_key(&row) {
            return Ok(());
        }
        let record = record()?;
        self.bytes += ENTRY_BYTES + row.len() + record.as_ref().map_or(0, |record| record.value.len());
        self.records.insert(row, record);
        if self.bytes > BEFORE_BYTES_MAX {
            *self = Self { lost: true, ..Self::default() };
        }
        Ok(())
    }

    /// The reader is past `row`, or past everything.
    fn pass(&mut self, row: Option<Vec<u8>>) -> BTreeMap<Vec<u8>, Option<Record>> {
        let passed = match &row {
            None => std::mem::take(&mut self.records),
            Some(row) => {
                let mut beyond = self.records.split_off(row);
                let exactly = beyond.remove_entry(row);
                let mut passed = std::mem::replace(&mut self.records, beyond);
                passed.extend(exactly);
                passed
            }
        };
        self.bytes -= passed
            .iter()
            .map(|(row, record)| {
                ENTRY_BYTES + row.len() + record.as_ref().map_or(0, |record| record.value.len())
            })
            .sum::<usize>();
        // Past everything: behind the last row that a record could have.
        self.past = row.or_else(|| Some(rows::behind_records()));
        passed
    }
}

/// One cut, until it is dropped.
pub(crate) struct Cut {
    cuts: Arc<Cuts>,
    before: Arc<Mutex<Before>>,
}

/// The next records of a cut.
pub(crate) struct Step {
    pub(crate) records: Vec<Exported>,
    /// Whether there are none behind these.
    pub(crate) last: bool,
}

impl Cut {
    /// The next records in order, while no writer is inside. `Ok(Err(_))` where the cut was lost.
    pub(crate) fn step(&self, tree: &Tree) -> Result<Result<Step, ReadError>, Fault> {
        let mut before = self.before.lock();
        if before.lost {
            let why = "too much changed while the export was read; read it faster, or when less is written";
            return Ok(Err(ReadError::Unavailable(why.into())));
        }
        let start =
            before.past.clone().map_or(Bound::Included(rows::all_records().to_vec()), Bound::Excluded);
        let end = Bound::Excluded(rows::behind_records());
        let (mut found, mut upto, mut bytes) = (BTreeMap::new(), None, 0);
        let mut rows = tree.range((start, end));
        let last = loop {
            if found.len() == STEP_ROWS || bytes >= STEP_BYTES {
                break false;
            }
            let Some(row) = rows.next() else { break true };
            let (row, head) = row?;
            let (scope, key) = rows::parse_record_row(&row)?;
            // What was changed since is known to `before`, which need not be read twice.
            let record = match before.records.contains_key(&row[..]) {
                true => None,
                false => record_of(tree, &scope, &key, Some(&Head::decode(&head)?))?,
            };
            bytes += record.as_ref().map_or(0, |record| record.value.len());
            upto = Some(row.to_vec());
            found.insert(row.to_vec(), record);
        };
        found.extend(before.pass(if last { None } else { upto }));
        let mut records = Vec::with_capacity(found.len());
        for (row, record) in found {
            let Some(record) = record else { continue };
            records.push(Exported { scope: rows::parse_record_row(&row)?.0, record });
        }
        Ok(Ok(Step { records, last }))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.cuts.0.lock().retain(|before| !Arc::ptr_eq(before, &self.before));
    }
}
