//! Carries out what `mcp` decided: one file per tool. Knows data sources and their limits, nothing of
//! HTTP.

pub mod encode;
mod list_data_sources;
mod run_query;

pub use run_query::QueryPolicy;

use crate::context::Context;
use crate::mcp::{ToolCall, ToolOutcome};
use crate::org::CallGuard;

/// What tools need besides the call.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Time and randomness.
    pub context: Context,
    /// Limits of queries.
    pub query: QueryPolicy,
}

impl Tools {
    /// Carries out one call. The future may be dropped at any moment; what runs in a data source
    /// then stops. `request_id` stands beside what is logged of a failure.
    pub async fn carry_out(&self, tool: &ToolCall, guard: &CallGuard, request_id: &str) -> ToolOutcome {
        match tool {
            ToolCall::ListDataSources => list_data_sources::list(guard),
            ToolCall::RunQuery(query) => run_query::run(self, query, guard, request_id).await,
        }
    }

    /// Whether the tool touches a data source, so that its answer may take long.
    pub fn touches_a_source(tool: &ToolCall) -> bool {
        match tool {
            ToolCall::ListDataSources => false,
            ToolCall::RunQuery(_) => true,
        }
    }
}
