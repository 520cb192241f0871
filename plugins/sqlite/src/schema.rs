//! What an SQLite file says about its tables.

use std::collections::BTreeMap;

use rusqlite::Connection;
use sequel_connector::{ColumnSchema, ForeignKey, IndexSchema, Schema, Table, TableKind};

/// Tables that are described at most: a schema of more is described up to here, in name order.
const TABLES_MAX: i64 = 2_000;

/// All tables and views but SQLite's own and the shadows of virtual tables, in name order.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Schema> {
    // The planner's statistics, where somebody ran ANALYZE: a row count without counting.
    let mut counts = row_counts(connection).unwrap_or_default();
    let mut tables = connection.prepare(
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
         AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name LIMIT ?1",
    )?;
    let named: Vec<(String, String)> = tables
        .query_map([TABLES_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut schema = Schema::default();
    for (name, kind) in named {
        let kind = if kind == "view" { TableKind::View } else { TableKind::Table };
        // A view over a table that is gone cannot be described; the others can.
        let Ok((columns, primary_key)) = columns(connection, &name) else {
            continue;
        };
        schema.tables.push(Table {
            schema: None,
            kind,
            comment: None,
            columns,
            primary_key,
            foreign_keys: foreign_keys(connection, &name)?,
            indexes: indexes(connection, &name)?,
            rows_approximate: counts.remove(&name),
            name,
        });
    }
    Ok(schema)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<(Vec<ColumnSchema>, Vec<String>)> {
    // hidden: 0 plain, 1 of a virtual table, 2 and 3 generated.
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
    )?;
    let mut rows = statement.query([table])?;
    let mut columns = Vec::new();
    let mut keys: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let type_name: String = row.get(1)?;
        let key: i64 = row.get(3)?;
        // INTEGER PRIMARY KEY is the row id, which is never NULL, whatever was declared.
        let nullable = row.get::<_, i64>(2)? == 0 && !(key > 0 && type_name.eq_ignore_ascii_case("INTEGER"));
        if key > 0 {
            keys.push((key, name.clone()));
        }
        columns.push(ColumnSchema { name, type_name, nullable, comment: None });
    }
    keys.sort();
    Ok((columns, keys.into_iter().map(|(_, name)| name).collect()))
}

fn foreign_keys(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut keys: BTreeMap<i64, ForeignKey> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, references_table): (i64, String) = (row.get(0)?, row.get(1)?);
        let key = keys.entry(id).or_insert_with(|| ForeignKey {
            columns: Vec::new(),
            references_table,
            references_columns: Vec::new(),
        });
        key.columns.push(row.get(2)?);
        // NULL where the other table's primary key is meant.
        key.references_columns.extend(row.get::<_, Option<String>>(3)?);
    }
    // SQLite numbers them from the last one declared.
    Ok(keys.into_values().rev().collect())
}

fn indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<IndexSchema>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin <> 'pk' ORDER BY name",
    )?;
    let named: Vec<(String, bool)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut of_index = connection
        .prepare_cached("SELECT name FROM pragma_index_info(?1) WHERE name IS NOT NULL ORDER BY seqno")?;
    named
        .into_iter()
        .map(|(name, unique)| {
            let columns = of_index.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(IndexSchema { name, columns, unique })
        })
        .collect()
}

fn row_counts(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement =
        connection.prepare("SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl")?;

    statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.max(0) as u64)))?
        .collect()
}
