//! How PostgreSQL tells a query's plan.

use sequel_connector::{Plan, PlanStep, QueryError, Rows, Truncated, Value};

/// What stands before a statement that is explained.
pub(crate) const EXPLAIN: &str = "EXPLAIN ";

/// Lines of `EXPLAIN` as steps. A node stands two columns behind what it belongs to, or six behind its own arrow.
pub(crate) async fn read(mut rows: Rows) -> Result<Plan, QueryError> {
    let mut plan = Plan::default();
    while let Some(batch) = rows.next_batch().await? {
        for mut row in batch.rows() {
            let Some(Value::Text(line)) = row.next() else {
                return Err(QueryError::Unavailable("PostgreSQL told the plan in another shape".into()));
            };
            let detail = line.trim_start();
            let indent = line.len() - detail.len();
            let depth = u32::try_from((indent + 4) / 6).unwrap_or(u32::MAX);
            let detail = detail.strip_prefix("->").map_or(detail, str::trim_start);
            if !detail.is_empty() {
                plan.steps.push(PlanStep { depth, detail: detail.to_owned() });
            }
        }
    }
    plan.truncated =
        rows.ending().is_some_and(|ending| ending.truncated.is_some_and(|cut| cut != Truncated::CellBytes));
    Ok(plan)
}
