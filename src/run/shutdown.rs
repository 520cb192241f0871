//! How a server stops: it says that it is no longer ready, lets running calls end, and goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::goodbye::Goodbye;
use crate::org::Registry;

/// How often running calls are counted while they are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long answers of calls that were stopped at the end of the grace may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The operator's word to stop. Listened for before the server says that it serves: until then a signal
/// ends the process on the spot, from then on it is remembered until somebody waits for it.
pub(super) struct StopSignals {
    term: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Inside a runtime.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn asked_to_stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => tracing::info!("SIGTERM: shutting down"),
            _ = self.interrupt.recv() => tracing::info!("interrupted: shutting down"),
        }
    }
}

/// Drains: readiness fails first, running calls may go on for `grace`, then they are stopped. Asked to stop
/// a second time, it waits no longer.
pub(super) async fn drain(
    server: ServerHandle,
    registry: &Registry,
    ready: &AtomicBool,
    grace: Duration,
    stop: &mut StopSignals,
    goodbye: Goodbye,
) {
    ready.store(false, Ordering::SeqCst);
    registry.begin_draining();
    let calls_end = async {
        while registry.running_calls() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(grace, calls_end) => ended.is_ok(),
        () = stop.asked_to_stop() => false,
    };
    if !ended {
        tracing::warn!(calls = registry.running_calls(), "calls that still run are stopped");
        registry.stop_calls();
    }
    goodbye.say();
    if tokio::time::timeout(LAST_WORDS, server.stop(true)).await.is_err() {
        server.stop(false).await;
    }
}
