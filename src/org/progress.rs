//! How far a running call is, for a client that wants to hear of it.
//!
//! Most calls have nobody who listens and so none of this.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How far one call is. Written by what carries it out, read by what answers it.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    step: Mutex<Option<Step>>,
    stepped: Notify,
}

/// What a call says of itself, beside its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How much is done, in any unit.
    pub done: f64,
    /// How much there is in all, of the same unit, where that is known.
    pub total: Option<f64>,
    /// For people; may be empty.
    pub message: String,
}

impl Progress {
    /// So many rows have come so far.
    pub fn rows(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// How many rows have come so far.
    pub fn rows_so_far(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Says something. What nobody has read yet is replaced.
    pub fn step(&self, step: Step) {
        *self.step.lock() = Some(step);
        self.stepped.notify_one();
    }

    /// Waits for something that was said. For one reader.
    pub async fn stepped(&self) -> Step {
        loop {
            let step = self.step.lock().take();
            match step {
                Some(step) => return step,
                None => self.stepped.notified().await,
            }
        }
    }
}
