//! Carries out what `mcp` decided: one file per tool, and one for resources and completions. Knows data sources and
//! their limits, nothing of HTTP.

mod describe_table;
pub mod encode;
mod explain_query;
mod fenced;
mod injected;
mod list_data_sources;
mod on_source;
mod resources;
mod run_query;
mod search_schema;
mod told;

pub use injected::InjectedTools;
pub use run_query::QueryPolicy;

use std::sync::Arc;
use std::time::Duration;

use crate::context::{Clock, Context};
use crate::mcp::{Complete, Outcome, Task, ToolCall, ToolOutcome};
use crate::metrics::Metrics;
use crate::org::CallGuard;
use on_source::Asked;

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
    pub fn refusal(&self) -> Outcome {
        Outcome::Failed(
            "The calls before this one used up what a batch may take. Send this call by itself.".to_owned(),
        )
    }
}

impl Tools {
    /// Carries out one call. The future may be dropped at any moment; what runs in a data source
    /// then stops. `request_id` stands beside what is logged of a failure.
    pub async fn carry_out(&self, task: &Task, guard: &CallGuard, request_id: &str) -> Outcome {
        let asked = Asked { tools: self, guard, request_id, tool: task.name() };
        match task {
            Task::Tool(ToolCall::ListDataSources) => list_data_sources::list(guard).into(),
            Task::Tool(ToolCall::SearchSchema(search)) => search_schema::search(asked, search).await.into(),
            Task::Tool(ToolCall::DescribeTable(table)) => describe_table::describe(asked, table).await.into(),
            Task::Tool(ToolCall::ExplainQuery(query)) => explain_query::explain(asked, query).await.into(),
            Task::Tool(ToolCall::RunQuery(query)) => run_query::run(asked, query).await.into(),
            Task::Tool(ToolCall::Injected(name)) => match &self.injected {
                Some(mounted) => mounted.carry_out(name, guard).await.into(),
                None => ToolOutcome::error("There is no such tool.").into(),
            },
            Task::ListResources(after) => resources::list(guard, after.as_deref()),
            Task::ReadResource(resource) => resources::read(asked, resource).await,
            Task::Complete(wanted) => resources::complete(asked, wanted).await,
        }
    }

    /// What the calls of one batch may take together: as much as one query.
    pub fn batch_budget(&self) -> BatchBudget {
        let clock = self.context.clock.clone();
        let until = clock.elapsed() + self.query.time_max;
        BatchBudget { bytes_max: self.query.encoded_max(), until, clock }
    }

    /// Whether the call touches a data source, so that its answer may take long.
    pub fn touches_a_source(task: &Task) -> bool {
        match task {
            Task::Tool(ToolCall::ListDataSources) | Task::ListResources(_) => false,
            Task::Complete(Complete::Source { .. } | Complete::Nothing) => false,
            Task::Tool(_) | Task::ReadResource(_) | Task::Complete(Complete::Table { .. }) => true,
        }
    }
}
