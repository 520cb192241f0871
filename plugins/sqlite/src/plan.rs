//! How SQLite tells a query's plan, and the one estimate of a table's size that costs nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use sequel_connector::{
    DataSource, Limits, Plan, PlanStep, ProfileAsk, Query, QueryError, RowCount, Rows, Truncated, Value,
};

/// The statement that explains this one, which the guard has passed as a query.
pub(crate) fn explaining(sql: &str) -> Cow<'_, str> {
    // The guard passes over empty statements, which cannot be explained.
    let sql = sql.trim_start_matches(|char: char| char.is_whitespace() || char == ';');
    Cow::Owned(format!("EXPLAIN QUERY PLAN {sql}"))
}

/// Rows of `EXPLAIN QUERY PLAN` (id, parent, unused, detail) as steps; a parent comes before its children.
pub(crate) async fn read(mut rows: Rows) -> Result<Plan, QueryError> {
    let mut plan = Plan::default();
    let mut depths: HashMap<i64, u32> = HashMap::new();
    while let Some(batch) = rows.next_batch().await? {
        for mut row in batch.rows() {
            let (Some(Value::Int(id)), Some(Value::Int(parent)), _, Some(Value::Text(detail))) =
                (row.next(), row.next(), row.next(), row.next())
            else {
                return Err(QueryError::Unavailable("SQLite told the plan in another shape".into()));
            };
            let depth = depths.get(&parent).map_or(0, |depth| depth + 1);
            depths.insert(id, depth);
            plan.steps.push(PlanStep { depth, detail: detail.to_owned() });
        }
    }
    plan.truncated =
        rows.ending().is_some_and(|ending| ending.truncated.is_some_and(|cut| cut != Truncated::CellBytes));
    Ok(plan)
}

/// The last row id, which is close to the number of rows where few were deleted. `None` where a table has no row
/// ids, for views, and wherever it cannot be had at once.
pub(crate) async fn last_row_id(source: &dyn DataSource, ask: &ProfileAsk) -> Option<RowCount> {
    let limits = Limits { rows: 1, bytes: 64, cell_bytes: 64, columns: 1, time: ask.time };
    let sql = format!("SELECT max(rowid) FROM {}", ask.table);
    let mut rows = source
        .query(Query { cancel: ask.cancel.clone(), origin: ask.origin.clone(), ..Query::new(sql, limits) })
        .await
        .ok()?;
    let batch = rows.next_batch().await.ok()??;
    match batch.rows().next()?.next()? {
        Value::Int(last) => Some(RowCount { rows: u64::try_from(last).ok()?, is_exact: false }),
        _ => None,
    }
}
