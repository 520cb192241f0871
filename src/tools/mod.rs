//! Carries out what `mcp` decided: one file per tool. Knows data sources and their limits, nothing of
//! HTTP.

pub mod encode;
mod injected;
mod list_data_sources;
mod run_query;

pub use injected::InjectedTools;
pub use run_query::QueryPolicy;

use std::sync::Arc;
use std::time::Duration;

use crate::context::{Clock, Context};
use crate::mcp::{ToolCall, ToolOutcome};
use crate::metrics::Metrics;
use crate::org::CallGuard;

/// What tools need besides the call.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Time and randomness.
    pub context: Context,
    /// Limits of queries.
    pub query: QueryPolicy,
    /// What is counted.
    pub metrics: Metrics,
    /// What is mounted beside the product's own tools: nothing, but in test-only builds.
    pub injected: Option<Arc<dyn InjectedTools>>,
}

/// A batch's share of memory and time.
#[derive(Debug)]
pub struct BatchBudget {
    bytes_max: usize,
    until: Duration,
    clock: Clock,
}

impl BatchBudget {
    /// Whether no further call may begin after answers of so many bytes.
    pub fn is_spent(&self, bytes: usize) -> bool {
        bytes >= self.bytes_max || self.clock.elapsed() >= self.until
    }

    /// What a call that may not begin answers.
    pub fn refusal(&self) -> ToolOutcome {
        ToolOutcome::error(
            "The calls before this one used up what a batch may take. Send this call by itself.",
        )
    }
}

impl Tools {
    /// Carries out one call. The future may be dropped at any moment; what runs in a data source
    /// then stops. `request_id` stands beside what is logged of a failure.
    pub async fn carry_out(&self, tool: &ToolCall, guard: &CallGuard, request_id: &str) -> ToolOutcome {
        match tool {
            ToolCall::ListDataSources => list_data_sources::list(guard),
            ToolCall::RunQuery(query) => run_query::run(self, query, guard, request_id).await,
            ToolCall::Injected(name) => match &self.injected {
                Some(mounted) => mounted.carry_out(name, guard).await,
                None => ToolOutcome::error("There is no such tool."),
            },
        }
    }

    /// What the calls of one batch may take together: as much as one query.
    pub fn batch_budget(&self) -> BatchBudget {
        let clock = self.context.clock.clone();
        let until = clock.elapsed() + self.query.time_max;
        BatchBudget { bytes_max: self.query.encoded_max(), until, clock }
    }

    /// Whether the tool touches a data source, so that its answer may take long.
    pub fn touches_a_source(tool: &ToolCall) -> bool {
        match tool {
            ToolCall::ListDataSources => false,
            ToolCall::RunQuery(_) | ToolCall::Injected(_) => true,
        }
    }
}
