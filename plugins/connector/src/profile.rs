//! What a glance into one table tells: how many rows, and a few values of each column.
//!
//! Goes through [`DataSource::query`] alone, so that every layer of "read-only", every limit and every way to stop
//! holds for it too. Counting is bounded in time: a table too large to count has no count.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{DataSource, Limits, Origin, Query, QueryError, Rows, Value};

/// A glance into one table.
#[derive(Debug, Clone)]
pub struct ProfileAsk {
    /// The table as a statement names it, quoted where it must be, with its schema where there is one.
    pub table: String,
    /// Its columns as statements name them, in the order in which the samples come back.
    pub columns: Vec<String>,
    /// How many values are wanted; `None` for no values.
    pub samples: Option<SampleLimits>,
    /// Longest run of each of the two parts, counting and sampling.
    pub time: Duration,
    /// Cancelled by whoever no longer wants it.
    pub cancel: CancellationToken,
    /// On whose behalf.
    pub origin: Origin,
}

/// How many values a glance brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    /// Most rows that are looked at.
    pub rows: u64,
    /// Most different values of a column.
    pub values: usize,
    /// Most characters of a value; a longer one ends with `…`.
    pub value_chars: usize,
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCount {
    /// Rows.
    pub rows: u64,
    /// Whether they were counted just now; otherwise it is an estimate.
    pub is_exact: bool,
}

/// What a glance found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// `None` where counting would have taken too long.
    pub rows: Option<RowCount>,
    /// Different values of each asked column, as text, in the order of the rows; empty where none were wanted or
    /// could be had. NULL and bytes are left out.
    pub samples: Vec<Vec<String>>,
}

/// The glance by two plain queries: a bounded `count(*)` and the first rows.
pub async fn profile_by_queries<S: DataSource + ?Sized>(
    source: &S,
    ask: &ProfileAsk,
) -> Result<Profile, QueryError> {
    let mut profile = Profile::default();
    let counted = async {
        let rows = source.query(query(ask, format!("SELECT count(*) FROM {}", ask.table), 1, 64)).await?;
        counted(rows).await
    };
    match counted.await {
        Ok(rows) => profile.rows = rows.map(|rows| RowCount { rows, is_exact: true }),
        // Too large, or too long a view: then there is no count.
        Err(QueryError::Limit(_)) => {}
        Err(error) => return Err(error),
    }
    let Some(limits) = ask.samples.filter(|limits| limits.values > 0 && !ask.columns.is_empty()) else {
        return Ok(profile);
    };
    let sql = format!("SELECT {} FROM {} LIMIT {}", ask.columns.join(", "), ask.table, limits.rows);
    // Four bytes are the longest character; one more tells that something was cut.
    let cell_bytes = (limits.value_chars as u64 + 1) * 4;
    let sampled = async {
        let rows = source.query(query(ask, sql, limits.rows, cell_bytes)).await?;
        sampled(rows, limits).await
    };
    match sampled.await {
        Ok(samples) => profile.samples = samples,
        Err(QueryError::Limit(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(profile)
}

fn query(ask: &ProfileAsk, sql: String, rows: u64, cell_bytes: u64) -> Query {
    let columns = u32::try_from(ask.columns.len().max(1)).unwrap_or(u32::MAX);
    let bytes = rows.saturating_mul(u64::from(columns)).saturating_mul(cell_bytes);
    let limits = Limits { rows, bytes, cell_bytes, columns, time: ask.time };
    Query { cancel: ask.cancel.clone(), origin: ask.origin.clone(), ..Query::new(sql, limits) }
}

async fn counted(mut rows: Rows) -> Result<Option<u64>, QueryError> {
    let mut count = None;
    while let Some(batch) = rows.next_batch().await? {
        if let Some(Value::Int(rows)) = batch.rows().next().and_then(|mut row| row.next()) {
            count = u64::try_from(rows).ok();
        }
    }
    Ok(count)
}

async fn sampled(mut rows: Rows, limits: SampleLimits) -> Result<Vec<Vec<String>>, QueryError> {
    let mut samples: Vec<Vec<String>> = vec![Vec::new(); rows.columns().len()];
    while let Some(batch) = rows.next_batch().await? {
        for row in batch.rows() {
            for (values, value) in samples.iter_mut().zip(row) {
                let Some(text) = shown(value, limits.value_chars) else { continue };
                if values.len() < limits.values && !values.contains(&text) {
                    values.push(text);
                }
            }
        }
    }
    Ok(samples)
}

fn shown(value: Value<'_>, chars_max: usize) -> Option<String> {
    let text = match value {
        Value::Null | Value::Bytes(_) => return None,
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Text(text) => match text.char_indices().nth(chars_max) {
            None => text.to_owned(),
            Some((at, _)) => format!("{}…", &text[..at]),
        },
    };
    Some(text)
}
