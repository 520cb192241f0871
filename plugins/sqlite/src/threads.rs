//! The connector's own threads: no caller's thread ever waits for a disk.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::turns::Turns;

/// Threads that may block, over all sources. Only queries take them for long, and the queries of an
/// organization, of a key and of a source are bounded, so this is a backstop: beyond it queries wait for a
/// thread within their own time. An idle thread ends after ten seconds.
const BLOCKING_THREADS_MAX: usize = 256;

/// A runtime that may be dropped anywhere, also inside another runtime.
#[derive(Debug, Clone)]
pub(crate) struct Threads(Arc<Owned>, Arc<Turns>);

#[derive(Debug)]
struct Owned(Option<Runtime>);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            // Timers and the last messages of slow readers: one thread is plenty.
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("sequel-sqlite")
            .enable_time()
            .build()?;
        Ok(Self(Arc::new(Owned(Some(runtime))), Arc::new(Turns::of_this_machine())))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("the runtime is only taken when it is dropped").handle()
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
