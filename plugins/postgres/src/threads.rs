//! The connector's own threads: no caller's thread ever waits for a socket.

use sequel_connector::OwnRuntime;
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;

/// Waiting for sockets and copying rows; what is dear is done by the server.
const THREADS: usize = 2;

/// A runtime of our own.
#[derive(Debug, Clone)]
pub(crate) struct Threads(OwnRuntime);

impl Threads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("sequel-postgres")
            .enable_all()
            .build()?;
        Ok(Self(runtime.into()))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.handle()
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
