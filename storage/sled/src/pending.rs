//! The rows as the next batch of a group finds them: what the tree holds, and over it what the batches before will write.
//!
//! sled hands its buffer to the disk for each of its batches. So what arrives together goes to sled as one, and readers
//! of rows need not know whether a row is there already.

use std::collections::HashMap;

use sled::{IVec, Tree};

use crate::fault::Fault;

/// Bytes of rows after which they are handed to sled, in the middle of a group: sled keeps a batch in memory until it
/// is wholly written.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where rows are read.
pub(crate) trait Rows {
    /// The row at this key.
    fn row(&self, key: &[u8]) -> Result<Option<IVec>, Fault>;
}

impl Rows for Tree {
    fn row(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        Ok(self.get(key)?)
    }
}

/// Rows that are about to be written.
pub(crate) struct Pending<'a> {
    tree: &'a Tree,
    rows: HashMap<Vec<u8>, Option<IVec>>,
    bytes: usize,
}

impl Rows for Pending<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        match self.rows.get(key) {
            Some(row) => Ok(row.clone()),
            None => self.tree.row(key),
        }
    }
}

impl<'a> Pending<'a> {
    /// None yet.
    pub(crate) fn over(tree: &'a Tree) -> Self {
        Self { tree, rows: HashMap::new(), bytes: 0 }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, row: impl Into<IVec>) {
        let row = row.into();
        self.bytes += key.len() + row.len();
        self.rows.insert(key, Some(row));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.rows.insert(key, None);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Hands the rows to sled, which recovers all of them or none.
    pub(crate) fn write(&mut self) -> Result<(), Fault> {
        let mut batch = sled::Batch::default();
        for (key, row) in self.rows.drain() {
            match row {
                Some(row) => batch.insert(key, row),
                None => batch.remove(key),
            }
        }
        self.bytes = 0;
        Ok(self.tree.apply_batch(batch)?)
    }
}
