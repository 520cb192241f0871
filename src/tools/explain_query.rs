//! `explain_query`: how the database would carry a query out.

use sequel_connector::{Limits, Plan};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::fenced::{self, NOTICE};
use super::on_source::Asked;
use super::run_query::{Failure, choose};
use crate::mcp::{ExplainQuery, ToolOutcome};

/// Most steps of a plan; one of a few tables has below twenty.
const STEPS_MAX: u64 = 500;
/// Most bytes of all steps together, and of one.
const BYTES_MAX: u64 = 128 * 1024;
const STEP_BYTES_MAX: u64 = 4 * 1024;
/// More than any engine tells a plan in.
const COLUMNS_MAX: u32 = 16;

#[derive(Serialize)]
struct Content<'a> {
    notice: &'static str,
    source: &'a str,
    plan: Vec<String>,
    truncated: bool,
}

pub(super) async fn explain(asked: Asked<'_>, wanted: &ExplainQuery) -> ToolOutcome {
    let source = match choose(wanted.source.as_deref(), asked.guard) {
        Ok(source) => source,
        Err(message) => return ToolOutcome::error(&message),
    };
    let explained = asked.on_source(&source, async {
        let handle = asked.open(&source).await?;
        // Dropping this future, for whatever reason, stops the query.
        let cancel = CancellationToken::new();
        let _stop_on_drop = cancel.clone().drop_guard();
        let limits = Limits {
            rows: STEPS_MAX,
            bytes: BYTES_MAX,
            cell_bytes: STEP_BYTES_MAX,
            columns: COLUMNS_MAX,
            time: asked.tools.query.time_max,
        };
        let query = asked.query(&wanted.sql, handle.dialect(), limits, cancel);
        let plan = handle.explain(query).await.map_err(Failure::Query)?;
        let content = content(&source.record().name, plan);
        fenced::outcome(&asked.tools.context.rng, &content).map_err(|_| Failure::Random)
    });
    explained.await.unwrap_or_else(|message: String| ToolOutcome::error(&message))
}

/// One line a step, two blanks for each step that it stands below.
fn content(source: &str, plan: Plan) -> Content<'_> {
    let line = |step: sequel_connector::PlanStep| {
        // Deeper ones stay where the text still has room.
        let depth = usize::try_from(step.depth).unwrap_or_default().min(40);
        format!("{}{}", "  ".repeat(depth), step.detail)
    };
    let truncated = plan.truncated;
    Content { notice: NOTICE, source, plan: plan.steps.into_iter().map(line).collect(), truncated }
}
