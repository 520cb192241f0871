//! The connector's own threads: no caller's thread ever waits for a disk.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use sequel_connector::OwnRuntime;
use tokio::runtime::{Builder, Handle};

use crate::turns::Turns;

/// Threads that may block, over all sources. Only queries take them for long, and the queries of an
/// organization, of a key and of a source are bounded, so this is a backstop: beyond it queries wait for a
/// thread within their own time. An idle thread ends after ten seconds.
const BLOCKING_THREADS_MAX: usize = 256;

/// A runtime of our own, and the turns on it.
#[derive(Debug, Clone)]
pub(crate) struct Threads(OwnRuntime, Arc<Turns>);

impl Threads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            // Timers and the last messages of slow readers: one thread is plenty.
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("sequel-sqlite")
            .enable_time()
            .build()?;
        Ok(Self(runtime.into(), Arc::new(Turns::of_this_machine())))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.handle()
    }

    /// The turns of those that work long.
    pub(crate) fn turns(&self) -> &Arc<Turns> {
        &self.1
    }

    /// Runs blocking work; `None` when it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.handle().spawn_blocking(work).await.ok()
    }

    /// Finishes a future here if it is ready, else on the runtime, without waiting for it.
    pub(crate) fn finish(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        if pin!(&mut future).poll(&mut context).is_pending() {
            self.handle().spawn(future);
        }
    }
}
