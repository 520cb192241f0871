//! Group commit for backends with one writer: a thread that drains a bounded channel, makes durable together what
//! arrived together, and answers afterwards.
//!
//! Owns the queue, the answers, the hints and what a panic costs. It does not know how a group becomes durable; a
//! backend says that as a [`Commits`].
//!
//! **Invariant:** a panic costs the group that it happened in and no later one
//! (`a_panic_of_the_writer_costs_its_group_and_no_later_one` of each backend): a writer that has ended would leave a
//! server that reads, says that it is ready, and can change nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use futures_util::stream;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{Batch, CommitError, Hint, HintStream, Revision};

/// Batches that wait for the writer; beyond it callers wait to hand theirs over.
const QUEUE_MAX: usize = 256;
/// Batches in one group. At 1 MiB each this bounds what one group adds to a backend's log; the gain of sharing a sync
/// is long reached.
pub const GROUP_MAX: usize = 128;
/// Hints that a slow watcher may fall behind by before it loses some; each is a scope and a number.
const HINTS_MAX: usize = 1024;

/// What became of a batch that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The scope's state revision after it.
    pub revision: Revision,
    /// Whether that moved now (not for a repeated batch, nor on the log lane).
    pub moved: bool,
}

/// How a backend commits. Its methods run on the writer's thread alone, and may block.
pub trait Commits: Send + 'static {
    /// Commits the group, each batch wholly or not at all, in this order, and answers each batch once it is durable
    /// or certainly refused. A batch that is left without an answer is [`CommitError::Unknown`] to its caller.
    fn commit(&mut self, group: &[Batch], answers: &mut Answers<'_>);

    /// `commit` panicked: what it may have left half-way must not be used again.
    fn panicked(&mut self);

    /// Nobody hands batches over any more. The default does nothing.
    fn close(self)
    where
        Self: Sized,
    {
    }
}

/// Where the answers to one group go.
pub struct Answers<'a> {
    group: &'a [Batch],
    waiting: &'a mut [Option<oneshot::Sender<Answer>>],
    hints: &'a broadcast::Sender<Hint>,
}

type Answer = Result<Revision, CommitError>;

impl Answers<'_> {
    /// Answers the batch at this index of the group, and hints that its scope moved. Only the first answer counts.
    pub fn give(&mut self, at: usize, result: Result<Applied, CommitError>) {
        let Some(waiting) = self.waiting[at].take() else { return };
        let result = result.map(|applied| {
            if applied.moved {
                let hint = Hint { scope: self.group[at].scope.clone(), revision: applied.revision };
                // Nobody watching is no error.
                let _ = self.hints.send(hint);
            }
            applied.revision
        });
        // A caller that went away has its batch committed all the same.
        let _ = waiting.send(result);
    }
}

struct Job {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// A handle to the writer's thread; dropping it ends the thread, after what was sent, and waits for that.
pub struct GroupCommit {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    hints: broadcast::Sender<Hint>,
}

impl GroupCommit {
    /// Starts the thread.
    pub fn start(commits: impl Commits) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let (hints, _) = broadcast::channel(HINTS_MAX);
        let thread = Builder::new().name("sequel-store-write".into()).spawn({
            let hints = hints.clone();
            move || run(commits, jobs, &hints)
        })?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), hints })
    }

    /// Hands a checked batch over and waits until it is durable or refused.
    pub async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let id = batch.id;
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("taken by drop alone");
        jobs.send(Job { batch, answer })
            .await
            .map_err(|_| CommitError::Unavailable("the writer has ended".into()))?;
        // Dropped unanswered: the writer panicked with the batch in its hands.
        answered.await.unwrap_or(Err(CommitError::Unknown(id)))
    }

    /// Hints of what is committed from now on.
    pub fn watch(&self) -> HintStream {
        hint_stream(self.hints.subscribe())
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic was logged by the thread itself; there is nothing left to hand on.
            let _ = thread.join();
        }
    }
}

/// The stream of what is received; hints that were lost are passed over.
pub(crate) fn hint_stream(hints: broadcast::Receiver<Hint>) -> HintStream {
    Box::pin(stream::unfold(hints, |mut hints| async move {
        loop {
            match hints.recv().await {
                Ok(hint) => return Some((hint, hints)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }))
}

fn run(mut commits: impl Commits, mut jobs: mpsc::Receiver<Job>, hints: &broadcast::Sender<Hint>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    while let Some(job) = jobs.blocking_recv() {
        let mut next = Some(job);
        while let Some(Job { batch, answer }) = next {
            group.push(batch);
            waiting.push(Some(answer));
            next = if group.len() < GROUP_MAX { jobs.try_recv().ok() } else { None };
        }
        let mut answers = Answers { group: &group, waiting: &mut waiting, hints };
        // What a panic may leave behind is what `panicked` gives up.
        if catch_unwind(AssertUnwindSafe(|| commits.commit(&group, &mut answers))).is_err() {
            tracing::error!(batches = group.len(), "the writer panicked; it goes on with the next commits");
            commits.panicked();
        }
        // Whoever has no answer by now learns from the dropped sender that the outcome is not known.
        waiting.clear();
        group.clear();
    }
    commits.close();
}
