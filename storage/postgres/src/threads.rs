//! The backend's own runtime: callers may be on any, and none of theirs waits for the network.

use sequel_store::OpenError;
use tokio::runtime::{Builder, Runtime};

use crate::address::{Address, refused};

/// A runtime that may be dropped anywhere.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn start(address: &Address, threads: usize) -> Result<Self, OpenError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("sequel-store-pg")
            .enable_all()
            .build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| {
            let why =
                format!("no thread could be started ({error}). Raise the limit on threads or free memory.");
            refused(&address.to_string(), &why)
        })
    }

    pub(crate) fn get(&self) -> &Runtime {
        self.0.as_ref().expect("taken by drop alone")
    }

    /// Waits for work, on a thread of its own: the caller may be inside another runtime.
    pub(crate) fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| self.get().block_on(work));
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed inside another runtime, and nothing is left for them to do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
