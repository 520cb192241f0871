//! Batches: the only way to change a store.

use std::fmt;

use bytes::Bytes;

use crate::{CommitError, Key, Revision, Scope, VALUE_BYTES_MAX};

/// Most preconditions and writes together in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 256;
/// Most bytes of keys and values together in one batch.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// 16 random bytes that name one commit for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub [u8; 16]);

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({:032x})", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What must hold about a single record for the batch to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No live record has this key.
    Absent(Key),
    /// The live record at this key was last written at this revision.
    At(Key, Revision),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces.
    Put(Key, Bytes),
    /// Removes and leaves a tombstone with the batch's revision; removing nothing is allowed.
    Delete(Key),
}

/// How a batch takes part in the scope's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// State: conditional, moves the scope's revision, appears in `changes`.
    State {
        /// The scope's revision must be exactly this; `None` where only `expects` decide.
        at: Option<Revision>,
        /// Whether the change takes a permission away, so that `settle` has to wait for it.
        narrows: bool,
    },
    /// Blind append (audit, usage): no preconditions, bumps no revision, absent from `changes`.
    /// Records of both lanes are read by the same `get` and `scan`; a key belongs to one lane.
    Log,
}

/// A conditional change of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The scope that it changes.
    pub scope: Scope,
    /// Its lane.
    pub lane: Lane,
    /// Its name, for idempotence and for finding out after a lost connection.
    pub id: CommitId,
    /// What must hold. Empty on [`Lane::Log`].
    pub expects: Vec<Expect>,
    /// What changes, each key at most once.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Holds the batch against the limits; every backend calls this before anything else.
    ///
    /// [`CommitError::TooLarge`] for more than 256 operations, a value over 64 KiB or 1 MiB in all;
    /// [`CommitError::Malformed`] for preconditions on the log lane or one key written twice.
    pub fn check(&self) -> Result<(), CommitError> {
        if self.expects.len() + self.writes.len() > BATCH_OPERATIONS_MAX {
            return Err(CommitError::TooLarge);
        }
        if self.lane == Lane::Log && !self.expects.is_empty() {
            return Err(CommitError::Malformed("the log lane takes no preconditions"));
        }
        let mut bytes = 0;
        let mut keys = std::collections::HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            let (key, value_bytes) = match write {
                Write::Put(key, value) => (key, value.len()),
                Write::Delete(key) => (key, 0),
            };
            if value_bytes > VALUE_BYTES_MAX {
                return Err(CommitError::TooLarge);
            }
            bytes += key.as_bytes().len() + value_bytes;
            if !keys.insert(key) {
                return Err(CommitError::Malformed("one batch writes a key twice"));
            }
        }
        if bytes > BATCH_BYTES_MAX {
            return Err(CommitError::TooLarge);
        }
        Ok(())
    }
}
