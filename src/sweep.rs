//! What happens on a timer: last uses are written down, idle organizations leave memory.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::context::Clock;
use crate::org::Registry;

/// How often last uses are written down: what a crash may lose of them.
const COLLECT_EVERY: Duration = Duration::from_secs(1);
/// How often idle organizations are looked for, in rounds of collection.
const EVICT_EVERY_ROUNDS: u32 = 30;

/// How far the wall clock may move away before the operator is told.
const DRIFT_TOLD_MS: i64 = 60_000;

/// Runs until `stop` is cancelled.
pub async fn sweep(registry: Registry, clock: Clock, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(COLLECT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0u32;
    let mut told_drift_ms = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        registry.collect_uses().await;
        round = round.wrapping_add(1);
        if round.is_multiple_of(EVICT_EVERY_ROUNDS) {
            let drift_ms = clock.wall_drift_ms();
            if (drift_ms - told_drift_ms).abs() > DRIFT_TOLD_MS {
                told_drift_ms = drift_ms;
                tracing::warn!(
                    drift_ms,
                    "the wall clock was set; expiries go by the time at start until a restart"
                );
            }
            registry.prune();
            let evicted = registry.evict_idle();
            if evicted > 0 {
                tracing::debug!(evicted, active = registry.active(), "idle organizations left memory");
            }
        }
    }
}
