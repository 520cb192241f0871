//! What readers ask: one record, a page, a delta. Knows nothing of threads.
//!
//! sled has no snapshots: a caller holds the writer off while these run (`log`), so each sees one moment.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use sequel_store::{Changes, Key, KeyRange, Page, READ_BYTES_MAX, Record, Revision, ScanLimit, Scope};
use sled::Tree;

use crate::fault::Fault;
use crate::pending::Rows;
use crate::rows::{self, Head, ScopeState, Value};

/// Keys in one delta; a reader that is further behind loads afresh, in pages.
const DELTA_KEYS_MAX: usize = 4096;
/// Records in one page, whatever is asked.
const PAGE_RECORDS_MAX: usize = 10_000;

/// The state of a scope; that of one that was never written to where there is none.
pub(crate) fn state(rows: &impl Rows, scope: &Scope) -> Result<ScopeState, Fault> {
    rows.row(&rows::scope_row(scope))?.map_or(Ok(ScopeState::default()), |row| ScopeState::decode(&row))
}

/// The row of a record, be it live or a tombstone.
pub(crate) fn head(rows: &impl Rows, scope: &Scope, key: &Key) -> Result<Option<Head>, Fault> {
    rows.row(&rows::record_row(scope, key))?.map(|row| Head::decode(&row)).transpose()
}

/// The record that a row stands for; `None` for a tombstone.
pub(crate) fn record_of(
    rows: &impl Rows,
    scope: &Scope,
    key: &Key,
    head: Option<&Head>,
) -> Result<Option<Record>, Fault> {
    let Some(head) = head else { return Ok(None) };
    let value = match &head.value {
        Value::Deleted => return Ok(None),
        Value::Whole(value) => value.clone(),
        Value::Chunked(bytes) => joined(rows, scope, key, *bytes)?,
    };
    Ok(Some(Record { key: key.clone(), value, revision: Revision(head.revision) }))
}

fn joined(rows: &impl Rows, scope: &Scope, key: &Key, bytes: usize) -> Result<Bytes, Fault> {
    let mut value = BytesMut::with_capacity(bytes);
    for index in 0..rows::chunks(bytes) {
        if let Some(chunk) = rows.row(&rows::chunk_row(scope, key, index))? {
            value.extend_from_slice(&chunk);
        }
    }
    if value.len() != bytes {
        return Err(Fault::Damaged(format!(
            "a value of {bytes} bytes in {scope} has {} of them",
            value.len()
        )));
    }
    Ok(value.freeze())
}

/// The record at `key`.
pub(crate) fn get(tree: &Tree, scope: &Scope, key: &Key) -> Result<Option<Record>, Fault> {
    record_of(tree, scope, key, head(tree, scope, key)?.as_ref())
}

/// One page.
pub(crate) fn scan(tree: &Tree, scope: &Scope, range: &KeyRange, limit: ScanLimit) -> Result<Page, Fault> {
    let most = limit.records.clamp(1, PAGE_RECORDS_MAX);
    let (from, to) = range.half_open();
    let records = rows::records(scope);
    let mut page = Page { records: Vec::new(), next: None, revision: Revision(state(tree, scope)?.revision) };
    let mut bytes = 0;
    for row in tree.range([&records, &from[..]].concat()..[&records, &to[..]].concat()) {
        let (row, head) = row?;
        let (_, key) = rows::parse_record_row(&row)?;
        let Some(record) = record_of(tree, scope, &key, Some(&Head::decode(&head)?))? else { continue };
        if page.records.len() == most || bytes >= READ_BYTES_MAX {
            page.next = page.records.last().map(|record| record.key.clone());
            break;
        }
        bytes += record.key.as_bytes().len() + record.value.len();
        page.records.push(record);
    }
    Ok(page)
}

/// What moved since `after`.
pub(crate) fn changes(tree: &Tree, scope: &Scope, after: Revision) -> Result<Changes, Fault> {
    let now = state(tree, scope)?.revision;
    // Ahead of the store: it was restored from a backup beneath the reader.
    if after.0 > now {
        return Ok(Changes::Gap);
    }
    let mut keys = BTreeSet::new();
    let mut commits = 0;
    for change in tree.range(rows::change_row(scope, after.0 + 1)..=rows::change_row(scope, now)) {
        keys.extend(rows::decode_keys(&change?.1)?);
        commits += 1;
        if keys.len() > DELTA_KEYS_MAX {
            return Ok(Changes::Gap);
        }
    }
    // Each commit leaves one row: where some are missing, they were forgotten.
    if commits < now - after.0 {
        return Ok(Changes::Gap);
    }
    let mut records = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for key in keys {
        if bytes >= READ_BYTES_MAX {
            return Ok(Changes::Gap);
        }
        let record = get(tree, scope, &key)?;
        bytes += key.as_bytes().len() + record.as_ref().map_or(0, |record| record.value.len());
        records.push((key, record));
    }
    Ok(Changes::Delta { to: Revision(now), records })
}
