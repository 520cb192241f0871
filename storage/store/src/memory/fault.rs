//! Faults that a test asks the memory store for. Knows nothing of records.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::CommitError;

/// How one commit ends instead of well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// [`CommitError::Unavailable`]; nothing changed.
    Unavailable,
    /// [`CommitError::Full`]; nothing changed.
    Full,
    /// [`CommitError::Unknown`] after the batch was applied.
    UnknownApplied,
    /// [`CommitError::Unknown`] and the batch was not applied.
    UnknownLost,
}

/// Holds commits back until it is opened or dropped.
#[derive(Debug)]
pub struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Lets through what waits, and all that comes later.
    pub fn open(self) {
        self.open.send_replace(true);
    }

    /// Returns once at least `commits` have arrived at the gate.
    pub async fn arrived(&self, commits: usize) {
        // The gate owns the sender, so the wait cannot end otherwise.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting >= commits).await;
    }
}

pub(super) enum Outcome {
    Apply,
    Refuse(CommitError),
    Unknown { applied: bool },
}

/// What a handle's next commits meet.
#[derive(Default)]
pub(super) struct Plan {
    faults: Mutex<VecDeque<Fault>>,
    gate: Mutex<Option<Held>>,
    away: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Held {
    open: watch::Receiver<bool>,
    waiting: watch::Sender<usize>,
}

impl Plan {
    pub(super) fn push(&self, fault: Fault) {
        self.faults.lock().push_back(fault);
    }

    pub(super) fn hold(&self) -> Gate {
        let (open, opened) = watch::channel(false);
        let (waiting, _) = watch::channel(0);
        *self.gate.lock() = Some(Held { open: opened, waiting: waiting.clone() });
        Gate { open, waiting }
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    pub(super) async fn next(&self) -> Outcome {
        let held = self.gate.lock().clone();
        if let Some(mut held) = held {
            held.waiting.send_modify(|waiting| *waiting += 1);
            // A dropped gate is an open one.
            let _ = held.open.wait_for(|open| *open).await;
        }
        match self.faults.lock().pop_front() {
            None => Outcome::Apply,
            Some(Fault::Unavailable) => {
                Outcome::Refuse(CommitError::Unavailable("a fault was asked for".into()))
            }
            Some(Fault::Full) => Outcome::Refuse(CommitError::Full),
            Some(Fault::UnknownApplied) => Outcome::Unknown { applied: true },
            Some(Fault::UnknownLost) => Outcome::Unknown { applied: false },
        }
    }
}
