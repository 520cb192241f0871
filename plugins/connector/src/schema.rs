//! What a database says about its tables.

use serde::{Deserialize, Serialize};

/// All tables and views that a source shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// In name order.
    pub tables: Vec<Table>,
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
    /// In order.
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
