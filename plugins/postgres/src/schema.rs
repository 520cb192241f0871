//! What a database says about its tables: four questions, whatever their number.
//!
//! Only what the role may read is asked for, so that a schema shows what a query reaches. Partitions are left out; the
//! table that they are parts of stands for them.

use std::collections::HashMap;

use sequel_connector::{ColumnSchema, ForeignKey, IndexSchema, Schema, SchemaAsk, Table, TableKind};

use crate::fault::Fault;
use crate::functions::literal;
use crate::link::Link;

type Cells = Vec<Option<String>>;

/// A table while it is put together.
struct Draft {
    table: Table,
    // Names of columns by their numbers, for keys and indexes.
    numbered: HashMap<i32, String>,
}

/// Reads the schema in an open transaction.
pub(crate) async fn read(link: &mut Link, schemas: &[String], ask: &SchemaAsk) -> Result<Schema, Fault> {
    // What the planner fears of so many tables makes it compile the questions first, which takes seconds.
    link.rows("SELECT pg_catalog.set_config('jit', 'off', true)").await?;
    let wanted = wanted(schemas, ask.tables);
    let mut reading =
        Reading { room: ask.bytes.saturating_mul(2), order: Vec::new(), drafts: HashMap::new() };
    let mut truncated = false;
    let relations = format!(
        "SELECT w.oid, w.nspname, w.relname, w.relkind, d.description, w.estimate \
         FROM ({wanted}) w LEFT JOIN pg_catalog.pg_description d \
           ON d.objoid = w.oid AND d.objsubid = 0 AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
         ORDER BY w.relname COLLATE \"C\", w.nspname COLLATE \"C\""
    );
    link.each_row(&relations, |row| {
        let fits = reading.order.len() < ask.tables && reading.relation(&row);
        truncated |= !fits;
        fits
    })
    .await?;
    let columns = format!(
        "SELECT a.attrelid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
                a.attnotnull OR t.typnotnull, d.description \
         FROM ({wanted}) w JOIN pg_catalog.pg_attribute a ON a.attrelid = w.oid \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_description d \
           ON d.objoid = a.attrelid AND d.objsubid = a.attnum AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
         WHERE a.attnum > 0 AND NOT a.attisdropped \
           AND (w.whole OR pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')) \
         ORDER BY a.attrelid, a.attnum"
    );
    link.each_row(&columns, |row| reading.fits(&row) && reading.column(row)).await?;
    let keys = format!(
        "SELECT k.conrelid, k.contype, k.conkey, k.confrelid, k.confkey, f.relname, fn.nspname \
         FROM ({wanted}) w JOIN pg_catalog.pg_constraint k ON k.conrelid = w.oid \
         LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid \
         LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
         WHERE k.contype IN ('p', 'f') AND k.conparentid = 0 ORDER BY k.conrelid, k.conname"
    );
    link.each_row(&keys, |row| reading.fits(&row) && reading.key(&row)).await?;
    let indexes = format!(
        "SELECT i.indrelid, c.relname, i.indisunique, i.indkey, i.indnkeyatts \
         FROM ({wanted}) w JOIN pg_catalog.pg_index i ON i.indrelid = w.oid \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE NOT i.indisprimary AND i.indisvalid ORDER BY i.indrelid, c.relname COLLATE \"C\""
    );
    link.each_row(&indexes, |row| reading.fits(&row) && reading.index(&row)).await?;
    Ok(reading.finish(ask.bytes, truncated))
}

/// The relations that are shown: number, names, kind, whether all columns may be read, and how many rows.
fn wanted(schemas: &[String], tables: usize) -> String {
    let named = match schemas {
        [] => String::new(),
        names => {
            let names: Vec<_> = names.iter().map(|name| literal(name)).collect();
            format!("AND n.nspname IN ({})", names.join(", "))
        }
    };
    // One more tells that there are more.
    let most = tables.saturating_add(1);
    format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, \
                pg_catalog.has_table_privilege(c.oid, 'SELECT') AS whole, \
                CASE WHEN c.relkind = 'p' THEN (SELECT pg_catalog.sum(CASE WHEN l.reltuples > 0 THEN l.reltuples ELSE 0 END) \
                                                  FROM pg_catalog.pg_partition_tree(c.oid) p \
                                                  JOIN pg_catalog.pg_class l ON l.oid = p.relid WHERE p.isleaf) \
                     WHEN c.relkind IN ('r', 'm') THEN c.reltuples END::pg_catalog.int8 AS estimate \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
           AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' {named} \
           AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
           AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT')) \
         ORDER BY c.relname COLLATE \"C\", n.nspname COLLATE \"C\" LIMIT {most}"
    )
}

fn cell(row: &Cells, at: usize) -> Option<&str> {
    row.get(at).and_then(|cell| cell.as_deref())
}

fn number<T: std::str::FromStr>(row: &Cells, at: usize) -> Option<T> {
    cell(row, at)?.parse().ok()
}

/// Numbers of columns: `{1,2}` of a constraint, `1 2` of an index.
fn numbers(row: &Cells, at: usize) -> Vec<i32> {
    let text = cell(row, at).unwrap_or_default();
    text.split([',', ' ', '{', '}']).filter_map(|number| number.parse().ok()).collect()
}

struct Reading {
    room: usize,
    order: Vec<u32>,
    drafts: HashMap<u32, Draft>,
}

impl Reading {
    /// Whether there is still room for a row: a schema that is larger than what is kept of it is read no further.
    fn fits(&mut self, row: &Cells) -> bool {
        let bytes: usize = row.iter().flatten().map(|cell| cell.len() + 16).sum();
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or_default();
        left.is_some()
    }

    fn draft(&mut self, row: &Cells) -> Option<&mut Draft> {
        // A table that came meanwhile is not among them.
        self.drafts.get_mut(&number::<u32>(row, 0)?)
    }

    fn relation(&mut self, row: &Cells) -> bool {
        if !self.fits(row) {
            return false;
        }
        let Some(oid) = number::<u32>(row, 0) else { return true };
        let kind = if matches!(cell(row, 3), Some("v" | "m")) { TableKind::View } else { TableKind::Table };
        let table = Table {
            schema: cell(row, 1).map(str::to_owned),
            name: cell(row, 2).unwrap_or_default().to_owned(),
            kind,
            comment: cell(row, 4).map(str::to_owned),
            columns: Vec::new(),
            primary_key: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            // -1 where nobody has counted yet.
            rows_approximate: number::<i64>(row, 5).and_then(|rows| u64::try_from(rows).ok()),
        };
        self.order.push(oid);
        self.drafts.insert(oid, Draft { table, numbered: HashMap::new() });
        true
    }

    fn column(&mut self, mut row: Cells) -> bool {
        let Some(attribute) = number(&row, 1) else { return true };
        let nullable = cell(&row, 4) != Some("t");
        let (name, type_name) = (row[2].take().unwrap_or_default(), row[3].take().unwrap_or_default());
        let comment = row[5].take();
        if let Some(draft) = self.draft(&row) {
            draft.numbered.insert(attribute, name.clone());
            draft.table.columns.push(ColumnSchema { name, type_name, nullable, comment });
        }
        true
    }

    fn key(&mut self, row: &Cells) -> bool {
        let target = number::<u32>(row, 3).and_then(|oid| self.drafts.get(&oid));
        let referenced = target.map(|target| target.named(&numbers(row, 4))).unwrap_or_default();
        let Some(draft) = self.draft(row) else { return true };
        let columns = draft.named(&numbers(row, 2));
        if cell(row, 1) == Some("p") {
            draft.table.primary_key = columns;
        } else if let Some(table) = cell(row, 5) {
            let elsewhere = cell(row, 6).filter(|schema| draft.table.schema.as_deref() != Some(schema));
            let key = ForeignKey {
                columns,
                references_schema: elsewhere.map(str::to_owned),
                references_table: table.to_owned(),
                references_columns: referenced,
            };
            draft.table.foreign_keys.push(key);
        }
        true
    }

    fn index(&mut self, row: &Cells) -> bool {
        let Some(draft) = self.draft(row) else { return true };
        let mut keys = numbers(row, 3);
        keys.truncate(number(row, 4).unwrap_or(keys.len()));
        let columns = draft.named(&keys);
        let name = cell(row, 1).unwrap_or_default().to_owned();
        draft.table.indexes.push(IndexSchema { name, columns, unique: cell(row, 2) == Some("t") });
        true
    }

    fn finish(mut self, bytes_max: usize, truncated: bool) -> Schema {
        let mut schema = Schema { tables: Vec::new(), truncated };
        // What did not fit came last and may be of any table, so nothing that was read is whole.
        let is_whole = self.room > 0;
        let mut room = bytes_max;
        for oid in self.order {
            let Some(Draft { table, .. }) = self.drafts.remove(&oid) else { continue };
            let Some(left) = room.checked_sub(table.heap_bytes()).filter(|_| is_whole) else {
                schema.truncated = true;
                break;
            };
            room = left;
            schema.tables.push(table);
        }
        schema
    }
}

impl Draft {
    /// Names of columns; expressions (0) and what may not be read are left out.
    fn named(&self, numbers: &[i32]) -> Vec<String> {
        numbers.iter().filter_map(|number| self.numbered.get(number).cloned()).collect()
    }
}
