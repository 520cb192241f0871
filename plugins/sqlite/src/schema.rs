//! What an SQLite file says about its tables.

use std::collections::{BTreeMap, HashMap};

use rusqlite::ffi::ErrorCode;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Row};
use sequel_connector::{ColumnSchema, ForeignKey, IndexSchema, Schema, SchemaAsk, Table, TableKind};

use crate::comments::{self, Comments};

/// Longest CREATE statement that is read for comments, in bytes. Hand-written ones have some KiB.
const COMMENTED_SQL_BYTES_MAX: i64 = 64 * 1024;

/// All tables and views but SQLite's own and the shadows of virtual tables, in name order, up to the limits.
pub(crate) fn read(connection: &Connection, ask: &SchemaAsk) -> rusqlite::Result<Schema> {
    // The planner's statistics, where somebody ran ANALYZE: a row count without counting.
    let mut counts = row_counts(connection, ask.tables)?;
    let mut comments = all_comments(connection, ask.bytes)?;
    let mut tables = connection.prepare(
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
         AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
    )?;
    let mut rows = tables.query([])?;
    let mut schema = Schema::default();
    let mut room = Room(ask.bytes);
    while let Some(row) = rows.next()? {
        if schema.tables.len() >= ask.tables {
            schema.truncated = true;
            break;
        }
        let (name, kind) = (text(row, 0)?, text(row, 1)?);
        let kind = if kind == "view" { TableKind::View } else { TableKind::Table };
        let comments = comments.remove(&name).unwrap_or_default();
        // One that is read with less than all of its columns or keys would be a lie, so it is left out.
        let Some(table) = table(connection, name, kind, comments, &mut counts, &room)? else {
            schema.truncated = true;
            break;
        };
        if !room.take(table.heap_bytes()) {
            schema.truncated = true;
            break;
        }
        schema.tables.push(table);
    }
    Ok(schema)
}

/// The bytes that may still be read. A few pages of a file can declare thousands of indexes of thousands of columns
/// each, so they count while they are read.
#[derive(Clone)]
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or_default();
        left.is_some()
    }

    /// Room for a part of a table, about as [`Table::heap_bytes`] counts it.
    fn take_texts(&mut self, texts: &[&str]) -> bool {
        const TEXT: usize = size_of::<String>() + 16;
        self.take(texts.iter().map(|text| text.len() + TEXT).sum())
    }
}

/// A table, or `None` where there is no room for it.
fn table(
    connection: &Connection,
    name: String,
    kind: TableKind,
    mut comments: Comments,
    counts: &mut HashMap<String, u64>,
    room: &Room,
) -> rusqlite::Result<Option<Table>> {
    let mut room = room.clone();
    let columns = match columns(connection, &name, &mut room) {
        // A view over a table that is gone: its name is all that there is to tell.
        Err(error) if is_about_the_view(&error) => Some(Default::default()),
        read => read?,
    };
    let Some((mut columns, primary_key)) = columns else { return Ok(None) };
    let Some(foreign_keys) = foreign_keys(connection, &name, &mut room)? else { return Ok(None) };
    let Some(indexes) = indexes(connection, &name, &mut room)? else { return Ok(None) };
    for column in &mut columns {
        column.comment = comments.columns.remove(&column.name.to_ascii_lowercase());
    }
    Ok(Some(Table {
        schema: None,
        kind,
        comment: comments.table,
        columns,
        primary_key,
        foreign_keys,
        indexes,
        rows_approximate: counts.remove(&name),
        name,
    }))
}

/// A text that may be missing, or in another encoding than it should be.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => String::new(),
    })
}

/// Whether the engine could not work a view out; not a lock, a deadline or a broken disk.
fn is_about_the_view(error: &Error) -> bool {
    let code = match error {
        Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => failure.code,
        _ => return false,
    };
    matches!(code, ErrorCode::Unknown | ErrorCode::AuthorizationForStatementDenied)
}

/// Columns in order, and the names of the primary key's.
type Columns = (Vec<ColumnSchema>, Vec<String>);

fn columns(connection: &Connection, table: &str, room: &mut Room) -> rusqlite::Result<Option<Columns>> {
    // hidden: 0 plain, 1 of a virtual table, 2 and 3 generated.
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
    )?;
    let mut rows = statement.query([table])?;
    let mut columns = Vec::new();
    let mut keys: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, type_name) = (text(row, 0)?, text(row, 1)?);
        if !room.take_texts(&[&name, &type_name]) {
            return Ok(None);
        }
        let key: i64 = row.get(3)?;
        // INTEGER PRIMARY KEY is the row id, which is never NULL, whatever was declared.
        let nullable = row.get::<_, i64>(2)? == 0 && !(key > 0 && type_name.eq_ignore_ascii_case("INTEGER"));
        if key > 0 {
            if !room.take_texts(&[&name]) {
                return Ok(None);
            }
            keys.push((key, name.clone()));
        }
        columns.push(ColumnSchema { name, type_name, nullable, comment: None });
    }
    keys.sort();
    Ok(Some((columns, keys.into_iter().map(|(_, name)| name).collect())))
}

fn foreign_keys(
    connection: &Connection,
    table: &str,
    room: &mut Room,
) -> rusqlite::Result<Option<Vec<ForeignKey>>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut keys: BTreeMap<i64, ForeignKey> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, references_table): (i64, String) = (row.get(0)?, text(row, 1)?);
        let (from, to) = (text(row, 2)?, text(row, 3)?);
        if !room.take_texts(&[&references_table, &from, &to]) {
            return Ok(None);
        }
        let key = keys.entry(id).or_insert_with(|| ForeignKey {
            columns: Vec::new(),
            references_schema: None,
            references_table,
            references_columns: Vec::new(),
        });
        key.columns.push(from);
        // NULL where the other table's primary key is meant.
        key.references_columns.extend((row.get_ref(3)? != ValueRef::Null).then_some(to));
    }
    // SQLite numbers them from the last one declared.
    Ok(Some(keys.into_values().rev().collect()))
}

fn indexes(
    connection: &Connection,
    table: &str,
    room: &mut Room,
) -> rusqlite::Result<Option<Vec<IndexSchema>>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin <> 'pk' ORDER BY name",
    )?;
    let mut of_index = connection
        .prepare_cached("SELECT name FROM pragma_index_info(?1) WHERE name IS NOT NULL ORDER BY seqno")?;
    let mut named = statement.query([table])?;
    let mut indexes = Vec::new();
    while let Some(row) = named.next()? {
        let (name, unique) = (text(row, 0)?, row.get(1)?);
        if !room.take_texts(&[&name]) {
            return Ok(None);
        }
        let mut columns = Vec::new();
        let mut rows = of_index.query([&name])?;
        while let Some(row) = rows.next()? {
            let column = text(row, 0)?;
            if !room.take_texts(&[&column]) {
                return Ok(None);
            }
            columns.push(column);
        }
        indexes.push(IndexSchema { name, columns, unique });
    }
    Ok(Some(indexes))
}

/// Rows by table, where the planner's statistics are there.
fn row_counts(connection: &Connection, tables_max: usize) -> rusqlite::Result<HashMap<String, u64>> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sqlite_stat1'";
    if !connection.prepare(there)?.exists([])? {
        return Ok(HashMap::new());
    }
    let mut statement = connection.prepare(
        // Anybody may write into it, names that no table has as well.
        "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE typeof(tbl) = 'text' AND length(tbl) <= 1000 \
         GROUP BY tbl LIMIT ?1",
    )?;
    let limit = i64::try_from(tables_max).unwrap_or(i64::MAX);
    statement.query_map([limit], |row| Ok((text(row, 0)?, row.get::<_, i64>(1)?.max(0) as u64)))?.collect()
}

/// Comments by table, out of as many CREATE statements as there is room for.
fn all_comments(connection: &Connection, bytes_max: usize) -> rusqlite::Result<HashMap<String, Comments>> {
    let mut statement = connection.prepare(
        "SELECT name, type = 'view', sql FROM sqlite_schema WHERE type IN ('table', 'view') AND length(sql) <= ?1 \
         AND (instr(sql, '--') > 0 OR instr(sql, '/*') > 0)",
    )?;
    let mut rows = statement.query([COMMENTED_SQL_BYTES_MAX])?;
    let mut all = HashMap::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (name, is_view, sql) = (text(row, 0)?, row.get(1)?, text(row, 2)?);
        let found = if is_view { comments::of_view(&sql) } else { comments::of_table(&sql) };
        bytes += name.len() + found.bytes();
        if bytes > bytes_max {
            break;
        }
        all.insert(name, found);
    }
    Ok(all)
}
