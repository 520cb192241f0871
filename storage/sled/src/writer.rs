//! The writer: what arrived together is one batch of sled's and one sync, and answers come after it.
//!
//! Owns when a group is durable. It does not know what a batch does; `apply` does. Threads, queue and answers are
//! [`sequel_store::group_commit`]'s.

use std::sync::Arc;

use sequel_store::group_commit::{Answers, Applied, Commits};
use sequel_store::{Batch, CommitError};

use crate::apply::apply;
use crate::fault::{self, Fault};
use crate::log::{Log, Open};
use crate::open;
use crate::pending::Pending;
use crate::space::Space;

/// Commits to one log.
pub(crate) struct Writer {
    log: Arc<Log>,
    space: Space,
}

type Results = Vec<Result<Applied, CommitError>>;

impl Writer {
    pub(crate) fn new(log: Arc<Log>, space: Space) -> Self {
        Self { log, space }
    }

    /// Everything of the group, in order, and the one sync behind it. On a fault: how many batches may have happened.
    fn apply_all(&mut self, open: &Open, group: &[Batch]) -> Result<Results, (usize, Fault)> {
        let mut results = Results::with_capacity(group.len());
        let mut pending = Pending::over(&open.db);
        let mut written = 0;
        for batch in group {
            let result = match self.space.admits(batch) {
                true => apply(&mut pending, batch, &self.log.cuts).map_err(|fault| (written, fault))?,
                false => Err(CommitError::Full),
            };
            results.push(result);
            if pending.is_full() {
                written = results.len();
                pending.write().map_err(|fault| (written, fault))?;
            }
        }
        // Nothing at all where every batch was refused, or was here before.
        if written > 0 || !pending.is_empty() {
            let durable = pending.write().and_then(|()| open.sync());
            durable.map_err(|fault| (results.len(), fault))?;
        }
        Ok(results)
    }
}

impl Commits for Writer {
    fn commit(&mut self, group: &[Batch], answers: &mut Answers<'_>) {
        let log = self.log.clone();
        let writing = match log.write() {
            Ok(writing) => writing,
            Err(error) => return refuse(group.len(), error, answers),
        };
        match self.apply_all(writing.open(), group) {
            Ok(results) => {
                writing.done();
                for (at, result) in results.into_iter().enumerate() {
                    answers.give(at, result);
                }
            }
            Err((touched, fault)) => {
                drop(writing);
                tracing::error!(error = %fault, batches = touched, "the outcome of commits is not known");
                for (at, batch) in group.iter().enumerate() {
                    // Also what a precondition refused: it may have been held against what did not last.
                    let error =
                        if at < touched { CommitError::Unknown(batch.id) } else { fault::refused(&fault) };
                    answers.give(at, Err(error));
                }
            }
        }
    }

    fn panicked(&mut self) {
        // The log was closed on the way out (`Writing`); the next commit opens it again.
    }

    fn close(self) {
        if let Some(mark) = self.log.close() {
            open::seal(&self.log.folder, mark);
        }
    }
}

/// The same refusal for a whole group.
fn refuse(batches: usize, error: CommitError, answers: &mut Answers<'_>) {
    for at in 0..batches {
        answers.give(
            at,
            Err(match &error {
                CommitError::Full => CommitError::Full,
                other => CommitError::Unavailable(other.to_string().into()),
            }),
        );
    }
}
