//! What reads answer with.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::{Key, ReadError, Scope};

/// A point in a scope's history. Zero before the first state commit; each state commit raises it by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Revision(pub u64);

/// A live record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// Its value, ≤ 64 KiB.
    pub value: Bytes,
    /// The state revision that wrote it last; for records of the log lane the scope's revision then.
    pub revision: Revision,
}

/// Most bytes of keys and values in one page or one delta, give or take one record.
///
/// 1,000 records may be 64 KiB each; a page that would be larger than this ends early and names its
/// `next`, a delta that would be larger is a [`Changes::Gap`].
pub const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much one page of a scan may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most records, at least 1.
    pub records: usize,
}

impl Default for ScanLimit {
    fn default() -> Self {
        // 1,000 records of a few hundred bytes keep a page well under 1 MiB in the usual case.
        Self { records: 1_000 }
    }
}

/// One page of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In key order.
    pub records: Vec<Record>,
    /// The last key of this page where more follow: continue with [`crate::KeyRange::after`].
    pub next: Option<Key>,
    /// The scope's state revision that the page was read at.
    pub revision: Revision,
}

/// What [`crate::Store::changes`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Each key touched since, once, in key order.
    Delta {
        /// The revision that the delta leads to.
        to: Revision,
        /// The newest record of each key, `None` where it was deleted.
        records: Vec<(Key, Option<Record>)>,
    },
    /// The log does not reach back to the asked revision: load afresh.
    Gap,
}

/// A scope moved to this revision, or further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The scope.
    pub scope: Scope,
    /// A revision that it has reached.
    pub revision: Revision,
}

/// Lossy hints.
pub type HintStream = Pin<Box<dyn Stream<Item = Hint> + Send>>;

/// One record of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The record's scope.
    pub scope: Scope,
    /// The record.
    pub record: Record,
}

/// The records of one consistent cut.
pub type ExportStream = Pin<Box<dyn Stream<Item = Result<Exported, ReadError>> + Send>>;

/// What a node may do with what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Serve it.
    Holds,
    /// Serve nothing until it holds again: the store is away.
    Lapsed,
    /// Serve nothing any more: somebody else has the store, and only opening it anew may help.
    Lost,
}

/// Whether this node may still serve what it has read. Cheap to clone, lock-free to ask.
#[derive(Clone, Default)]
pub struct Fence(Option<Arc<dyn Fn() -> Standing + Send + Sync>>);

impl Fence {
    /// For a backend that only one process can open: always yes.
    pub fn always() -> Self {
        Self(None)
    }

    /// A fence that asks `standing`, which must not block. What is lost once stays so.
    pub fn when(standing: impl Fn() -> Standing + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(standing)))
    }

    /// How this node stands now.
    pub fn standing(&self) -> Standing {
        self.0.as_ref().map_or(Standing::Holds, |standing| standing())
    }

    /// May this node still serve what it has read?
    pub fn holds(&self) -> bool {
        self.standing() == Standing::Holds
    }
}

/// A node's word that it may hold something of a scope; dropping it takes the word back.
#[must_use = "dropping a registration at once says that nothing of the scope is held"]
pub struct Registration(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Registration {
    /// For a backend that only one process can open: nobody else wants to know.
    pub fn alone() -> Self {
        Self(None)
    }

    /// A registration whose end `ended` is told of; it must not block for long.
    pub fn until(ended: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(ended)))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended();
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration")
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fence({:?})", self.standing())
    }
}
