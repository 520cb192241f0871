//! What the registry does on a timer: it writes down what was counted, and lets go of what is over.

use std::time::Duration;

use futures_util::StreamExt;

use super::actor::CollectUses;
use super::audit::AuditRetention;
use super::error::{ChangeError, ResolveError};
use super::handle::Org;
use super::query_pages::QueryRetention;
use super::registry::Registry;
use super::usage::{day_of, usage_before};
use crate::context::Timestamp;
use crate::credential::OrgId;

/// Organizations whose last uses are written down at once: as many as a group commit takes well.
const COLLECTED_AT_ONCE: usize = 64;

const DAY: Duration = Duration::from_secs(86_400);

/// How long an organization's history is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days that entries of the audit trail are kept.
    pub audit_days: u32,
    /// Most entries of one organization.
    pub audit_entries_max: u64,
    /// Days that usage is kept, today included.
    pub usage_days: u32,
    /// Days that entries of the query log are kept.
    pub query_days: u32,
}

impl Retention {
    /// From when on entries of an audit trail are kept.
    pub fn audit_from(&self, now: Timestamp) -> Timestamp {
        now.minus(DAY * self.audit_days)
    }

    fn audit(&self, now: Timestamp) -> AuditRetention {
        AuditRetention { keep_from: self.audit_from(now), entries_max: self.audit_entries_max }
    }
}

impl Registry {
    /// Writes down what organizations counted that have left memory.
    pub(super) async fn collect_orphans(&self) {
        for id in self.0.orphans.orgs() {
            if let Err(error) = {
                let (context, most) = (&self.0.parts.context, self.0.parts.limits.queries.entries_max);
                self.0.orphans.settle(id, &self.store_of(id), context, most).await
            } {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "usage and queries were not written down"
                );
                break;
            }
        }
    }

    fn query_retention(&self, days: u32) -> QueryRetention {
        let keep_from = self.0.parts.context.clock.now().minus(DAY * days);
        QueryRetention { keep_from, entries_max: self.0.parts.limits.queries.entries_max }
    }

    /// Writes down what calls came to and when keys were used last. A crash may lose what was counted since
    /// the last time, and of keys that call no tool the last minute of when they were used.
    pub async fn collect_uses(&self) {
        self.collect_orphans().await;
        let used = std::mem::take(&mut *self.0.used.lock());
        // Together, so that the store commits them together.
        let told = used.into_iter().map(|entry| async move {
            let keys = std::mem::take(&mut *entry.used_keys.lock());
            if keys.is_empty() && !entry.has_unwritten() {
                return Ok(());
            }
            let org = Org::new(entry, self.clone());
            let told = org.tell(CollectUses(keys.clone())).await;
            if told.is_err() {
                // They still wait: for the next round.
                org.entry.used_keys.lock().extend(keys);
                self.0.used.lock().push(org.entry);
            }
            told
        });
        let mut told = futures_util::stream::iter(told).buffer_unordered(COLLECTED_AT_ONCE);
        while let Some(outcome) = told.next().await {
            if let Err(error) = outcome {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "usage and queries were not written down");
            }
        }
    }

    /// Removes what an organization need not keep any more. Loads it only where there is something to remove.
    pub async fn prune_org(&self, id: OrgId, retention: Retention) -> Result<usize, ChangeError> {
        let store = self.store_of(id);
        let today = day_of(self.0.parts.context.clock.now());
        let keep_from = today.saturating_sub(jiff::Span::new().days(i64::from(retention.usage_days)));
        let audit = retention.audit(self.0.parts.context.clock.now());
        let has_usage = !usage_before(&store, keep_from, 1).await?.is_empty();
        let has_entries = audit.is_due(&store).await?;
        let dead_grants = self.dead_grants(id).await?;
        let queries = self.query_retention(retention.query_days);
        let has_queries = queries.is_due(&store).await?;
        if !has_usage && !has_entries && dead_grants.is_empty() && !has_queries {
            return Ok(0);
        }
        let org = match self.resolve(id).await {
            // Deleted: what is left of it goes with the rest.
            Err(ResolveError::NotFound) => return Ok(0),
            found => found?,
        };
        let usage = if has_usage { org.prune_usage(keep_from).await? } else { 0 };
        let entries = if has_entries { org.prune_audit(audit).await? } else { 0 };
        let grants = org.sweep_grants(&dead_grants).await?;
        let queries = if has_queries { org.prune_queries(queries).await? } else { 0 };
        Ok(usage + entries + grants + queries)
    }

    /// Forgets what the throttle need not remember any more.
    pub fn prune(&self) {
        self.0.throttle.prune();
    }
}
