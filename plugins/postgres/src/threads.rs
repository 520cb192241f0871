//! The connector's own threads: no caller's thread ever waits for a socket.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

/// Waiting for sockets and copying rows; what is dear is done by the server.
const THREADS: usize = 2;

/// A runtime that may be dropped anywhere, also inside another runtime.
#[derive(Debug, Clone)]
pub(crate) struct Threads(Arc<Owned>);

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
            .worker_threads(THREADS)
            .thread_name("sequel-postgres")
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("the runtime is only taken when it is dropped").handle()
    }
}

/// Now, for what is measured here and compared with no stored time.
#[expect(
    clippy::disallowed_methods,
    reason = "a query's time is measured here and compared with no stored time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
