//! The one writer: a thread that drains a bounded channel and commits together what arrived together.
//!
//! Owns the writing connection and every COMMIT. It does not know what a batch does; `apply` does.
//!
//! A group is one transaction with a savepoint for each batch, answered after COMMIT returned. When
//! the transaction as a whole is lost (a full disk, an I/O error before COMMIT) each batch is tried
//! once more by itself, so that a large batch does not take small ones down with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use sequel_store::{Batch, CommitError, Hint, Revision};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{apply::Applied, apply::apply, fault};

/// Batches that wait for the writer; beyond it callers wait to hand theirs over.
const QUEUE_MAX: usize = 256;
/// Batches in one COMMIT. At 1 MiB each this bounds the WAL that one group adds; the gain of
/// sharing a sync is long reached.
const GROUP_MAX: usize = 128;

type Answer = Result<Revision, CommitError>;

struct Job {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// A handle to the writer's thread; dropping it ends the thread and waits for that.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; `reopen` makes another connection where the first is lost.
    pub(crate) fn start(
        connection: Connection,
        reopen: impl Fn() -> rusqlite::Result<Connection> + Send + 'static,
        hints: broadcast::Sender<Hint>,
    ) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let state = Thread { connection: Some(connection), reopen: Box::new(reopen), hints };
        let thread = Builder::new().name("sequel-store-write".into()).spawn(move || state.run(jobs))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    /// Hands a batch over and waits for its COMMIT.
    pub(crate) async fn commit(&self, batch: Batch) -> Answer {
        let id = batch.id;
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("taken by drop alone");
        jobs.send(Job { batch, answer })
            .await
            .map_err(|_| CommitError::Unavailable("the writer has ended".into()))?;
        // The writer panicked with the batch in its hands.
        answered.await.unwrap_or(Err(CommitError::Unknown(id)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic was logged by the thread itself; there is nothing left to hand on.
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Option<Connection>,
    reopen: Box<dyn Fn() -> rusqlite::Result<Connection> + Send>,
    hints: broadcast::Sender<Hint>,
}

/// Why a whole transaction did not happen.
enum Lost {
    /// It was rolled back: nothing of it is stored.
    Certainly(rusqlite::Error),
    /// COMMIT failed in the middle: a crash now may bring it back.
    Perhaps(rusqlite::Error),
}

impl Thread {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while let Some(job) = jobs.blocking_recv() {
            group.push(job);
            while group.len() < GROUP_MAX {
                let Ok(job) = jobs.try_recv() else { break };
                group.push(job);
            }
            self.commit_group_or_survive(&mut group);
        }
        if let Some(connection) = self.connection.take() {
            // Closing the last connection would do this too; a reader may still hold one.
            let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = truncated.and_then(|()| connection.close().map_err(|(_, error)| error)) {
                tracing::warn!(%error, "the store's WAL is left for the next start to take in");
            }
        }
    }

    /// A panic costs the group that it happened in and no later one: a writer that has ended would leave a
    /// server that reads, says that it is ready, and can change nothing.
    fn commit_group_or_survive(&mut self, group: &mut Vec<Job>) {
        // What a panic may leave behind in `self` is the connection, which is not used again.
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit_group(group)));
        if committed.is_err() {
            tracing::error!(batches = group.len(), "the writer panicked; it goes on with a fresh connection");
            self.connection = None;
        }
        // Whoever has no answer by now learns from the dropped job that the outcome is not known.
        group.clear();
    }

    fn commit_group(&mut self, group: &mut Vec<Job>) {
        let batches: Vec<&Batch> = group.iter().map(|job| &job.batch).collect();
        let outcome = self.transaction(&batches);
        match outcome {
            Ok(results) => {
                for (job, result) in group.drain(..).zip(results) {
                    self.answer(job, result);
                }
            }
            Err(Lost::Certainly(error)) if group.len() > 1 => {
                tracing::warn!(%error, batches = group.len(), "a group of commits was rolled back; each is tried by itself");
                for job in std::mem::take(group) {
                    self.commit_group(&mut vec![job]);
                }
            }
            Err(lost) => {
                for job in group.drain(..) {
                    let error = match &lost {
                        Lost::Certainly(error) if fault::is_full(error) => CommitError::Full,
                        Lost::Certainly(error) => CommitError::Unavailable(error.to_string().into()),
                        Lost::Perhaps(_) => CommitError::Unknown(job.batch.id),
                    };
                    self.answer(job, Err(error));
                }
                match lost {
                    Lost::Certainly(error) => tracing::error!(%error, "a commit was refused"),
                    Lost::Perhaps(error) => {
                        tracing::error!(%error, "the outcome of a commit is not known")
                    }
                }
            }
        }
    }

    fn answer(&self, job: Job, result: Result<Applied, CommitError>) {
        let result = result.map(|applied| {
            if applied.moved {
                // Nobody watching is no error.
                let _ = self.hints.send(Hint { scope: job.batch.scope, revision: applied.revision });
            }
            applied.revision
        });
        // A caller that went away has its batch committed all the same.
        let _ = job.answer.send(result);
    }

    /// All batches in one transaction, each in its savepoint.
    fn transaction(&mut self, batches: &[&Batch]) -> Result<Vec<Result<Applied, CommitError>>, Lost> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => (self.reopen)().map_err(Lost::Certainly)?,
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
        if clean && !matches!(outcome, Err(Lost::Perhaps(_))) {
            self.connection = Some(connection);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use sequel_store::conformance::{expecting, key, org, put, state};
    use sequel_store::{Expect, Revision};

    use super::*;
    use crate::open;

    /// A writer whose first connection fails every COMMIT, and how often it was opened again.
    fn broken(path: &std::path::Path) -> (Writer, Arc<AtomicU32>) {
        let connection = open::first(path, None).unwrap();
        connection.commit_hook(Some(|| true)).unwrap();
        let (path, reopened) = (path.to_owned(), Arc::new(AtomicU32::new(0)));
        let count = reopened.clone();
        let reopen = move || {
            count.fetch_add(1, Ordering::SeqCst);
            open::writer(&path, None)
        };
        (Writer::start(connection, reopen, broadcast::channel(1).0).unwrap(), reopened)
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
        let writer = Writer::start(connection, reopen, broadcast::channel(1).0).unwrap();
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
