//! The one writing connection: what arrived together is one transaction.
//!
//! Owns the writing connection and every COMMIT. It does not know what a batch does; `apply` does. Threads, queue and
//! answers are [`sequel_store::group_commit`]'s.
//!
//! A group is one transaction with a savepoint for each batch, answered after COMMIT returned. When
//! the transaction as a whole is lost (a full disk, an I/O error before COMMIT) each batch is tried
//! once more by itself, so that a large batch does not take small ones down with it.

use rusqlite::Connection;
use sequel_store::group_commit::{Answers, Applied, Commits};
use sequel_store::{Batch, CommitError};

use crate::{apply::apply, fault};

/// Commits through one connection, and through a fresh one after that was lost.
pub(crate) struct Writer {
    connection: Option<Connection>,
    /// One whose COMMIT failed in the middle. It stays open until a fresh one is: the next to open after the last
    /// was closed takes in whatever the WAL holds, also what a failed sync kept from the disk.
    doubted: Option<Connection>,
    reopen: Box<dyn Fn() -> rusqlite::Result<Connection> + Send>,
}

/// Why a whole transaction did not happen.
enum Lost {
    /// It was rolled back: nothing of it is stored.
    Certainly(rusqlite::Error),
    /// COMMIT failed in the middle: a crash now may bring it back.
    Perhaps(rusqlite::Error),
}

impl Commits for Writer {
    fn commit(&mut self, group: &[Batch], answers: &mut Answers<'_>) {
        match self.transaction(group) {
            Ok(results) => {
                for (at, result) in results.into_iter().enumerate() {
                    answers.give(at, result);
                }
            }
            Err(Lost::Certainly(error)) if group.len() > 1 => {
                tracing::warn!(%error, batches = group.len(), "a group of commits was rolled back; each is tried by itself");
                for (at, batch) in group.iter().enumerate() {
                    let result = self.alone(batch);
                    answers.give(at, result);
                }
            }
            Err(lost) => {
                for (at, batch) in group.iter().enumerate() {
                    answers.give(at, Err(lost.to(batch)));
                }
                lost.log();
            }
        }
    }

    fn panicked(&mut self) {
        // The next commit opens a fresh one.
        self.connection = None;
    }

    fn close(mut self) {
        if let Some(connection) = self.connection.take().or_else(|| self.doubted.take()) {
            // Closing the last connection would do this too; a reader may still hold one.
            let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = truncated.and_then(|()| connection.close().map_err(|(_, error)| error)) {
                tracing::warn!(%error, "the store's WAL is left for the next start to take in");
            }
        }
    }
}

impl Lost {
    fn to(&self, batch: &Batch) -> CommitError {
        match self {
            Lost::Certainly(error) if fault::is_full(error) => CommitError::Full,
            Lost::Certainly(error) => CommitError::Unavailable(error.to_string().into()),
            Lost::Perhaps(_) => CommitError::Unknown(batch.id),
        }
    }

    fn log(&self) {
        match self {
            Lost::Certainly(error) => tracing::error!(%error, "a commit was refused"),
            Lost::Perhaps(error) => tracing::error!(%error, "the outcome of a commit is not known"),
        }
    }
}

impl Writer {
    /// Goes on with the connection that is open; `reopen` makes another one where that is lost.
    pub(crate) fn new(
        connection: Connection,
        reopen: impl Fn() -> rusqlite::Result<Connection> + Send + 'static,
    ) -> Self {
        Self { connection: Some(connection), doubted: None, reopen: Box::new(reopen) }
    }

    /// One batch in a transaction of its own.
    fn alone(&mut self, batch: &Batch) -> Result<Applied, CommitError> {
        match self.transaction(std::slice::from_ref(batch)) {
            Ok(mut results) => results.pop().expect("one batch has one result"),
            Err(lost) => {
                lost.log();
                Err(lost.to(batch))
            }
        }
    }

    /// All batches in one transaction, each in its savepoint.
    fn transaction(&mut self, batches: &[Batch]) -> Result<Vec<Result<Applied, CommitError>>, Lost> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let fresh = (self.reopen)().map_err(Lost::Certainly)?;
                self.doubted = None;
                fresh
            }
        };
        let run = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        let outcome = (|| {
            run("BEGIN IMMEDIATE").map_err(Lost::Certainly)?;
            let mut results = Vec::with_capacity(batches.len());
            for batch in batches {
                results.push(apply(&connection, batch).map_err(Lost::Certainly)?);
            }
            run("COMMIT").map_err(|error| {
                if fault::is_full(&error) { Lost::Certainly(error) } else { Lost::Perhaps(error) }
            })?;
            Ok(results)
        })();
        let clean = connection.is_autocommit() || run("ROLLBACK").is_ok();
        // After an unclear COMMIT, or where not even ROLLBACK works, only a fresh connection is trusted.
        match outcome {
            _ if !clean => drop(connection),
            Err(Lost::Perhaps(_)) => self.doubted = Some(connection),
            _ => self.connection = Some(connection),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use sequel_store::conformance::{expecting, key, org, put, state};
    use sequel_store::group_commit::GroupCommit;
    use sequel_store::{Expect, Revision};

    use super::*;
    use crate::open;

    /// A writer whose first connection fails every COMMIT, and how often it was opened again.
    fn broken(path: &std::path::Path) -> (GroupCommit, Arc<AtomicU32>) {
        let connection = open::first(path, None).unwrap();
        connection.commit_hook(Some(|| true)).unwrap();
        let (path, reopened) = (path.to_owned(), Arc::new(AtomicU32::new(0)));
        let count = reopened.clone();
        let reopen = move || {
            count.fetch_add(1, Ordering::SeqCst);
            open::writer(&path, None)
        };
        (GroupCommit::start(Writer::new(connection, reopen)).unwrap(), reopened)
    }

    #[tokio::test]
    async fn a_commit_that_failed_midway_is_unknown_and_is_found_out_by_asking_again() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, reopened) = broken(&folder.path().join("sequel.db"));
        let batch = expecting([Expect::Absent(key("k"))], state(&org("a"), [put("k", "v")]));
        let unknown = writer.commit(batch.clone()).await.unwrap_err();
        assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id), "{unknown:?}");
        assert_eq!(writer.commit(batch.clone()).await.unwrap(), Revision(1));
        assert_eq!(writer.commit(batch).await.unwrap(), Revision(1));
        assert_eq!(reopened.load(Ordering::SeqCst), 1, "the writer went on with one fresh connection");
    }

    #[tokio::test]
    async fn a_panic_of_the_writer_costs_its_group_and_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sequel.db");
        let connection = open::first(&path, None).unwrap();
        connection.commit_hook(Some(|| true)).unwrap();
        let opened = AtomicU32::new(0);
        let reopen = move || {
            assert!(opened.fetch_add(1, Ordering::SeqCst) > 0, "this panic is the test's");
            open::writer(&path, None)
        };
        let writer = GroupCommit::start(Writer::new(connection, reopen)).unwrap();
        let batch = expecting([Expect::Absent(key("k"))], state(&org("a"), [put("k", "v")]));
        for why in ["its COMMIT failed", "the writer panicked"] {
            let unknown = writer.commit(batch.clone()).await.unwrap_err();
            assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id), "{why}: {unknown:?}");
        }
        assert_eq!(writer.commit(batch.clone()).await.unwrap(), Revision(1));
        assert_eq!(writer.commit(batch).await.unwrap(), Revision(1));
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_opened_again_is_unavailable_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sequel.db");
        let (writer, _) = broken(&path);
        let batch = state(&org("a"), [put("k", "v")]);
        assert!(matches!(writer.commit(batch.clone()).await, Err(CommitError::Unknown(_))));
        let hidden = folder.path().join("hidden.db");
        std::fs::rename(&path, &hidden).unwrap();
        let away = writer.commit(batch.clone()).await.unwrap_err();
        assert!(matches!(away, CommitError::Unavailable(_)), "{away:?}");
        std::fs::rename(&hidden, &path).unwrap();
        assert_eq!(writer.commit(batch).await.unwrap(), Revision(1));
    }
}
