//! What happens on a timer: usage is written down, idle organizations leave memory, history and sessions whose time
//! is over are removed, deleted organizations whose time is over are purged, and users who are being deleted go on going.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::flow::purge_orgs::purge_orgs;
use crate::flow::{OAuth, People, register, users};
use crate::org::{Registry, Retention};
use crate::system::OrgIndex;

/// How often usage is written down: what a crash may lose of it.
const COLLECT_EVERY: Duration = Duration::from_secs(1);
/// How often idle organizations are looked for, in rounds of collection.
const EVICT_EVERY_ROUNDS: u32 = 30;
/// How often deleted organizations are looked for: a scan of a list that is nearly always empty.
const PURGE_EVERY: Duration = Duration::from_secs(5);
/// How often history whose time is over is looked for. Two small reads for each organization.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// How long after the start it is looked for first: who restarts every day still has it removed.
const PRUNE_FIRST: Duration = Duration::from_secs(60);

/// How far the wall clock may move away before the operator is told.
const DRIFT_TOLD_MS: i64 = 60_000;

/// What the timers work on.
#[derive(Clone)]
pub struct Sweeper {
    /// All organizations.
    pub registry: Registry,
    /// All organizations by name.
    pub index: OrgIndex,
    /// All people.
    pub people: People,
    /// All OAuth clients.
    pub oauth: OAuth,
    /// The process's clock and randomness.
    pub context: Context,
    /// How long history is kept.
    pub retention: Retention,
}

impl Sweeper {
    /// Runs until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        // Each for itself: what a crash may lose of the usage must not grow with what there is to remove.
        tokio::join!(self.collect(&stop), self.purge(&stop), self.prune(&stop));
    }

    async fn collect(&self, stop: &CancellationToken) {
        let Self { registry, context, .. } = self;
        let clock = &context.clock;
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

    async fn purge(&self, stop: &CancellationToken) {
        let purge = async {
            loop {
                tokio::time::sleep(PURGE_EVERY).await;
                if let Err(error) = purge_orgs(&self.registry, &self.index, &self.context).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "deleted organizations could not be looked for; it is tried again");
                }
                if let Err(error) = users::finish_all(&self.people).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "users that are being deleted could not be looked for; it is tried again"
                    );
                }
            }
        };
        // In the middle of one as well: each step can be repeated after the next start.
        tokio::select! {
            () = stop.cancelled() => {}
            () = purge => {}
        }
    }

    async fn prune(&self, stop: &CancellationToken) {
        let mut wait = PRUNE_FIRST;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = PRUNE_EVERY;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.prune_once() => {}
            }
        }
    }

    async fn prune_once(&self) {
        let keep_from = self.retention.audit_from(self.context.clock.now());
        if let Err(error) = users::prune(&self.people, keep_from).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "sessions whose time is over could not be removed");
        }
        if let Err(error) = register::purge(&self.oauth).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "OAuth clients that nobody uses could not be looked for");
        }
        let orgs = match self.index.all().await {
            Ok(orgs) => orgs,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "old history could not be looked for");
                return;
            }
        };
        let mut pruned = 0;
        for org in orgs {
            match self.registry.prune_org(org, self.retention).await {
                Ok(count) => pruned += count,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%org, error, "old history could not be removed");
                }
            }
        }
        if pruned > 0 {
            tracing::info!(records = pruned, "old audit entries, usage and queries were removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::purge_orgs::sweep_beside_a_purge_that_hangs;

    #[test]
    fn usage_is_written_down_while_a_purge_takes_its_time() {
        let retention =
            Retention { audit_days: 90, audit_entries_max: 1_000, usage_days: 90, query_days: 30 };
        sweep_beside_a_purge_that_hangs(|oauth, stop| {
            let people = oauth.people().clone();
            let (registry, index, context) =
                (people.registry.clone(), people.index.clone(), people.context.clone());
            Sweeper { registry, index, people, oauth, context, retention }.run(stop)
        });
    }
}
