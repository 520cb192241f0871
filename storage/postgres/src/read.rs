//! What readers ask: one record, a page, a delta, a whole consistent cut.
//!
//! Each of the first three is one statement, hence one snapshot and one round trip, and the server itself keeps what it
//! sends within bounds.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sequel_store::{
    Changes, Exported, Key, KeyRange, Page, READ_BYTES_MAX, ReadError, Record, Revision, ScanLimit, Scope,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::fault;

/// Keys in one delta; a reader that is further behind loads afresh, in pages.
const DELTA_KEYS_MAX: i64 = 4096;
/// Records in one page, whatever is asked.
const PAGE_RECORDS_MAX: usize = 10_000;
/// Records that an export fetches at once; of 64 KiB each they are 4 MiB.
const FETCHED: &str = "FETCH 64 FROM sequel_export";
/// How long the server may take for that; it has little to do.
const FETCH_WAIT: Duration = Duration::from_secs(30);
/// Declaring the cursor takes the transaction's snapshot. It walks the indexes in their order: sorting everything first
/// would be quicker in all, and take as much room on the server's disk as there are records.
const BEGIN_EXPORT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
     DECLARE sequel_export NO SCROLL CURSOR FOR
     SELECT s.name, r.key, r.value, r.revision FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id
     WHERE r.value IS NOT NULL ORDER BY s.name, r.key";

/// The record at `key`.
pub(crate) async fn get(client: &Client, scope: &Scope, key: Key) -> Result<Option<Record>, ReadError> {
    let rows = client
        .query_typed(
            "SELECT r.value, r.revision FROM sequel.scopes s JOIN sequel.records r ON r.scope = s.id
             WHERE s.name = $1 AND r.key = $2 AND r.value IS NOT NULL",
            &[(&scope.as_str(), Type::TEXT), (&key.as_bytes(), Type::BYTEA)],
        )
        .await
        .map_err(fault::read)?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Record { key, value: bytes(row, 0)?, revision: revision(row, 1)? }))
}

/// One page.
pub(crate) async fn scan(
    client: &Client,
    scope: &Scope,
    range: &KeyRange,
    limit: ScanLimit,
) -> Result<Page, ReadError> {
    let most = limit.records.clamp(1, PAGE_RECORDS_MAX);
    let (from, to) = range.half_open();
    let rows = client
        .query_typed(
            // `before`: the bytes of the records before it on this page. One beyond the bound is not sent; that there
            // are more says `found`.
            "SELECT s.revision, r.key, r.value, r.revision, r.found
             FROM sequel.scopes s LEFT JOIN LATERAL (
                 SELECT *, count(*) OVER () AS found,
                        sum(octet_length(key) + octet_length(value)) OVER (ORDER BY key) AS upto
                 FROM (SELECT key, value, revision FROM sequel.records
                       WHERE scope = s.id AND key >= $2 AND key < $3 AND value IS NOT NULL
                       ORDER BY key LIMIT $4) AS page
             ) AS r ON r.upto - octet_length(r.key) - octet_length(r.value) < $5
             WHERE s.name = $1 ORDER BY r.key",
            &[
                (&scope.as_str(), Type::TEXT),
                (&from, Type::BYTEA),
                (&to, Type::BYTEA),
                (&(most as i64 + 1), Type::INT8),
                (&(READ_BYTES_MAX as i64), Type::INT8),
            ],
        )
        .await
        .map_err(fault::read)?;
    let Some(first) = rows.first() else {
        return Ok(Page { records: Vec::new(), next: None, revision: Revision(0) });
    };
    let mut page = Page { records: Vec::new(), next: None, revision: revision(first, 0)? };
    let found: Option<i64> = first.try_get(4).map_err(fault::read)?;
    // Without records there is one row all the same, of the scope alone.
    for row in rows.iter().take(if found.is_some() { most } else { 0 }) {
        page.records.push(record(row)?);
    }
    if (page.records.len() as i64) < found.unwrap_or(0) {
        page.next = page.records.last().map(|record| record.key.clone());
    }
    Ok(page)
}

/// What moved since `after`.
pub(crate) async fn changes(client: &Client, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
    // Beyond what the server counts to there is nothing.
    let Ok(since) = i64::try_from(after.0) else { return Ok(Changes::Gap) };
    let rows = client
        .query_typed(
            "SELECT s.revision, r.key, r.value, r.revision, r.found, s.forgotten
             FROM sequel.scopes s LEFT JOIN LATERAL (
                 SELECT *, count(*) OVER () AS found,
                        sum(octet_length(key) + coalesce(octet_length(value), 0)) OVER (ORDER BY key) AS upto
                 FROM (SELECT key, value, revision FROM sequel.records
                       WHERE scope = s.id AND lane = 0 AND revision > $2 ORDER BY key LIMIT $3) AS delta
             ) AS r ON r.upto - octet_length(r.key) - coalesce(octet_length(r.value), 0) < $4
             WHERE s.name = $1 ORDER BY r.key",
            &[
                (&scope.as_str(), Type::TEXT),
                (&since, Type::INT8),
                (&(DELTA_KEYS_MAX + 1), Type::INT8),
                (&(READ_BYTES_MAX as i64), Type::INT8),
            ],
        )
        .await
        .map_err(fault::read)?;
    let Some(first) = rows.first() else {
        return Ok(match after.0 {
            0 => Changes::Delta { to: Revision(0), records: Vec::new() },
            _ => Changes::Gap,
        });
    };
    let (to, forgotten) = (revision(first, 0)?, revision(first, 5)?);
    let found = first.try_get::<_, Option<i64>>(4).map_err(fault::read)?.unwrap_or(0);
    // Ahead of the store: it was restored from a backup beneath the reader.
    let is_out_of_reach = after > to || after < forgotten;
    if is_out_of_reach || found > DELTA_KEYS_MAX || (found > 0 && found != rows.len() as i64) {
        return Ok(Changes::Gap);
    }
    let mut records = Vec::with_capacity(rows.len());
    for row in rows.iter().take(found as usize) {
        let is_deleted = row.try_get::<_, Option<&[u8]>>(2).map_err(fault::read)?.is_none();
        let record = if is_deleted { None } else { Some(record(row)?) };
        records.push((key(row)?, record));
    }
    Ok(Changes::Delta { to, records })
}

/// What an export says: a record, or that it was the last one. A reader that hears neither has half an export.
pub(crate) type Told = Result<Option<Exported>, ReadError>;

/// Every live record at one moment, sent to `records` until the reader goes away. `begun` is told once the cut is
/// fixed.
pub(crate) async fn export(
    client: &Client,
    begun: oneshot::Sender<Result<(), ReadError>>,
    records: &mpsc::Sender<Told>,
) {
    if let Err(error) = answered(client.batch_execute(BEGIN_EXPORT)).await {
        return drop(begun.send(Err(error)));
    }
    if begun.send(Ok(())).is_err() {
        return;
    }
    let last = export_all(client, records).await.map(|()| None);
    // Else the server's log complains of a connection that ended in a transaction. Nothing depends on it.
    let _ = answered(client.batch_execute("ROLLBACK")).await;
    // Nobody may be left to hear of it.
    let _ = records.send(last).await;
}

fn export_all<'a>(
    client: &'a Client,
    records: &'a mpsc::Sender<Told>,
) -> BoxFuture<'a, Result<(), ReadError>> {
    Box::pin(async move {
        loop {
            let rows = answered(client.query_typed(FETCHED, &[])).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                let name: &str = row.try_get(0).map_err(fault::read)?;
                let scope = Scope::parse(name)
                    .map_err(|_| ReadError::Damaged(format!("a scope is named {name:?}")))?;
                if records.send(Ok(Some(Exported { scope, record: record(row)? }))).await.is_err() {
                    return Ok(());
                }
            }
        }
    })
}

/// What the server answers to one step of an export.
async fn answered<T>(asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, ReadError> {
    match timeout(FETCH_WAIT, asked).await {
        Ok(answer) => answer.map_err(fault::read),
        Err(_) => Err(fault::unavailable(fault::Silent)),
    }
}

/// From the columns key, value and revision behind another one.
fn record(row: &Row) -> Result<Record, ReadError> {
    Ok(Record { key: key(row)?, value: bytes(row, 2)?, revision: revision(row, 3)? })
}

fn key(row: &Row) -> Result<Key, ReadError> {
    Key::new(bytes(row, 1)?).map_err(|error| ReadError::Damaged(error.to_string()))
}

fn bytes(row: &Row, column: usize) -> Result<Bytes, ReadError> {
    row.try_get::<_, &[u8]>(column).map(Bytes::copy_from_slice).map_err(fault::read)
}

fn revision(row: &Row, column: usize) -> Result<Revision, ReadError> {
    let revision: i64 = row.try_get(column).map_err(fault::read)?;
    u64::try_from(revision).map(Revision).map_err(|_| ReadError::Damaged("a negative revision".to_owned()))
}
