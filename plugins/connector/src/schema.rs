//! What a database says about its tables, and how much of it is asked for.

use std::mem::size_of;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// A reading of the schema, with its limits and its way to be stopped.
#[derive(Debug, Clone)]
pub struct SchemaAsk {
    /// Most tables and views; the rest is left out and said so.
    pub tables: usize,
    /// Most bytes that the [`Schema`] takes in memory ([`Table::heap_bytes`]); the rest is left out and said so.
    pub bytes: usize,
    /// Longest run; longer is an error.
    pub time: Duration,
    /// Cancelled by whoever no longer wants it.
    pub cancel: CancellationToken,
}

/// All tables and views that a source shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// In name order.
    pub tables: Vec<Table>,
    /// Whether there are more than the limits allowed.
    #[serde(default)]
    pub truncated: bool,
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A base table.
    Table,
    /// A view.
    View,
}

/// One table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The schema that holds it, where the database has schemas.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// The database's own comment on it.
    pub comment: Option<String>,
    /// In order; none for a view that the engine cannot work out any more.
    pub columns: Vec<ColumnSchema>,
    /// Names of the primary key's columns, in key order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its indexes.
    pub indexes: Vec<IndexSchema>,
    /// Roughly how many rows, where the database knows without counting.
    pub rows_approximate: Option<u64>,
}

impl Table {
    /// About how many bytes it takes in memory.
    pub fn heap_bytes(&self) -> usize {
        // Each string is an allocation of its own, which takes some bytes more.
        const ALLOCATION: usize = 16;
        let text = |text: &str| text.len() + ALLOCATION;
        let maybe = |text_or_none: &Option<String>| text_or_none.as_deref().map_or(0, text);
        let names =
            |names: &[String]| names.iter().map(|name| size_of::<String>() + text(name)).sum::<usize>();
        let columns = self.columns.iter().map(|column| {
            size_of::<ColumnSchema>() + text(&column.name) + text(&column.type_name) + maybe(&column.comment)
        });
        let keys = self.foreign_keys.iter().map(|key| {
            let columns = names(&key.columns) + names(&key.references_columns);
            size_of::<ForeignKey>() + columns + maybe(&key.references_schema) + text(&key.references_table)
        });
        let indexes = self
            .indexes
            .iter()
            .map(|index| size_of::<IndexSchema>() + text(&index.name) + names(&index.columns));
        size_of::<Self>()
            + text(&self.name)
            + maybe(&self.schema)
            + maybe(&self.comment)
            + names(&self.primary_key)
            + columns.sum::<usize>()
            + keys.sum::<usize>()
            + indexes.sum::<usize>()
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSchema {
    /// Its name.
    pub name: String,
    /// The declared type, in the database's words.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The database's own comment on it.
    pub comment: Option<String>,
}

/// A reference to another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Columns of this table, in order.
    pub columns: Vec<String>,
    /// The other table's schema, where that is another than this table's.
    pub references_schema: Option<String>,
    /// The other table.
    pub references_table: String,
    /// Columns of the other table, in the same order; empty where its primary key is meant.
    pub references_columns: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSchema {
    /// Its name.
    pub name: String,
    /// Its columns, in order; expressions are left out.
    pub columns: Vec<String>,
    /// Whether it holds each value once.
    pub unique: bool,
}
