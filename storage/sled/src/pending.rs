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

/// Rows that are about to be written: those of the batches before, and the draft of the one that is being applied.
pub(crate) struct Pending<'a> {
    tree: &'a Tree,
    rows: HashMap<Vec<u8>, Option<IVec>>,
    draft: HashMap<Vec<u8>, Option<IVec>>,
    bytes: usize,
}

impl Rows for Pending<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        match self.draft.get(key).or_else(|| self.rows.get(key)) {
            Some(row) => Ok(row.clone()),
            None => self.tree.row(key),
        }
    }
}

impl<'a> Pending<'a> {
    /// None yet.
    pub(crate) fn over(tree: &'a Tree) -> Self {
        Self { tree, rows: HashMap::new(), draft: HashMap::new(), bytes: 0 }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, row: impl Into<IVec>) {
        self.draft.insert(key, Some(row.into()));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.draft.insert(key, None);
    }

    /// The batch was applied: its rows are to be written.
    pub(crate) fn keep(&mut self) {
        self.bytes += self
            .draft
            .iter()
            .map(|(key, row)| key.len() + row.as_ref().map_or(0, |row| row.len()))
            .sum::<usize>();
        self.rows.extend(self.draft.drain());
    }

    /// The batch could not be applied: nothing of it is there.
    pub(crate) fn discard(&mut self) {
        self.draft.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Hands the rows that were kept to sled, which recovers all of them or none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discarded_draft_leaves_no_row_and_kept_ones_are_written_together() {
        let folder = tempfile::tempdir().unwrap();
        let tree = sled::open(folder.path()).unwrap();
        tree.insert("stored", "1").unwrap();
        let mut pending = Pending::over(&tree);
        pending.put(b"kept".to_vec(), "2");
        pending.remove(b"stored".to_vec());
        pending.keep();
        pending.put(b"kept".to_vec(), "3");
        pending.put(b"stored".to_vec(), "3");
        pending.put(b"new".to_vec(), "3");
        assert_eq!(pending.row(b"kept").unwrap().unwrap(), "3");
        pending.discard();
        let seen = |rows: &dyn Fn(&[u8]) -> Option<IVec>| [&b"kept"[..], b"stored", b"new"].map(rows);
        assert_eq!(seen(&|key| pending.row(key).unwrap()), [Some("2".into()), None, None]);
        assert_eq!(seen(&|key| tree.row(key).unwrap()), [None, Some("1".into()), None]);
        pending.write().unwrap();
        assert!(pending.is_empty());
        assert_eq!(seen(&|key| tree.row(key).unwrap()), [Some("2".into()), None, None]);
    }
}
