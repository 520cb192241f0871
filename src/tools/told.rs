//! Tables and columns as a model reads them: few words, and names as SQL writes them.

use std::collections::BTreeSet;

use sequel_connector::{ColumnSchema, ForeignKey, IndexSchema, Table, TableKind};
use serde::Serialize;

use crate::catalog::Catalog;

/// Most characters of a comment; the rest is cut.
const COMMENT_CHARS_MAX: usize = 300;
/// Most keys of other tables that are told; a table that everything refers to has thousands.
const REFERENCES_MAX: usize = 100;

/// One of the tables that were found.
#[derive(Debug, Serialize)]
pub(super) struct TableTold {
    pub(super) name: String,
    pub(super) kind: TableKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) columns: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_columns: usize,
    #[serde(flatten)]
    pub(super) keys: Keys,
}

/// How a table is bound to others, and what finds its rows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Keys {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) primary_key: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) foreign_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) referenced_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) indexes: Vec<String>,
}

/// One column, in full.
#[derive(Debug, Serialize)]
pub(super) struct ColumnTold<'a> {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_name: &'a str,
    pub(super) nullable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) samples: &'a [String],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A table's name, kind and size, without its columns.
pub(super) fn table(catalog: &Catalog, table: &Table) -> TableTold {
    TableTold {
        name: catalog.sql_table(table),
        kind: table.kind,
        rows: table.rows_approximate,
        comment: table.comment.as_deref().and_then(comment),
        columns: Vec::new(),
        more_columns: 0,
        keys: Keys::default(),
    }
}

/// All keys and indexes of a table.
pub(super) fn keys(catalog: &Catalog, table: &Table) -> Keys {
    Keys {
        primary_key: table.primary_key.iter().map(|name| catalog.sql(name)).collect(),
        foreign_keys: table.foreign_keys.iter().map(|key| foreign_key(catalog, table, key)).collect(),
        referenced_by: catalog
            .references_to(table)
            .take(REFERENCES_MAX)
            .map(|(from, key)| reference(catalog, table, from, key))
            .collect(),
        indexes: table.indexes.iter().map(|found| index(catalog, found)).collect(),
    }
}

/// One column on one line: `state TEXT NOT NULL PK → states.code -- postal code`.
pub(super) fn column_line(catalog: &Catalog, table: &Table, column: &ColumnSchema) -> String {
    let mut line = catalog.sql(&column.name);
    if !column.type_name.is_empty() {
        line.push(' ');
        line.push_str(&column.type_name);
    }
    let is_key = table.primary_key.contains(&column.name);
    if is_key {
        line.push_str(" PK");
    } else if !column.nullable {
        line.push_str(" NOT NULL");
    }
    for key in table.foreign_keys.iter().filter(|key| key.columns.len() == 1 && key.columns[0] == column.name)
    {
        line.push_str(" → ");
        line.push_str(&target(catalog, table, key));
    }
    if let Some(comment) = column.comment.as_deref().and_then(comment) {
        line.push_str(" -- ");
        line.push_str(&comment);
    }
    line
}

/// `origin → airports.iata`, or `(a, b) → t (x, y)`.
fn foreign_key(catalog: &Catalog, table: &Table, key: &ForeignKey) -> String {
    format!("{} → {}", columns(catalog, &key.columns), target(catalog, table, key))
}

/// `flights.origin → iata`: a key of another table that leads here.
fn reference(catalog: &Catalog, table: &Table, from: &Table, key: &ForeignKey) -> String {
    let name = catalog.sql_table(from);
    let there = match &key.columns[..] {
        [only] => format!("{name}.{}", catalog.sql(only)),
        several => format!("{name} {}", columns(catalog, several)),
    };
    let here = if key.references_columns.is_empty() { &table.primary_key } else { &key.references_columns };
    if here.is_empty() { there } else { format!("{there} → {}", columns(catalog, here)) }
}

fn target(catalog: &Catalog, table: &Table, key: &ForeignKey) -> String {
    let found = catalog.referenced(table, key);
    let name = found.map_or_else(|| catalog.sql(&key.references_table), |found| catalog.sql_table(found));
    // Where no columns are named, the other table's primary key is meant.
    let named = match (&key.references_columns[..], found) {
        ([], Some(found)) => &found.primary_key[..],
        (named, _) => named,
    };
    match named {
        [] => name,
        [only] => format!("{name}.{}", catalog.sql(only)),
        several => format!("{name} {}", columns(catalog, several)),
    }
}

/// `unique airports_by_name (name, city)`.
fn index(catalog: &Catalog, index: &IndexSchema) -> String {
    let unique = if index.unique { "unique " } else { "" };
    let columns: Vec<_> = index.columns.iter().map(|name| catalog.sql(name)).collect();
    format!("{unique}{} ({})", catalog.sql(&index.name), columns.join(", "))
}

fn columns(catalog: &Catalog, names: &[String]) -> String {
    match names {
        [only] => catalog.sql(only),
        several => {
            let several: Vec<_> = several.iter().map(|name| catalog.sql(name)).collect();
            format!("({})", several.join(", "))
        }
    }
}

/// On one line, cut; `None` where nothing is left.
pub(super) fn comment(text: &str) -> Option<String> {
    let words =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let line = match line.char_indices().nth(COMMENT_CHARS_MAX) {
        None => line,
        Some((at, _)) => format!("{}…", &line[..at]),
    };
    (!line.is_empty()).then_some(line)
}

/// The positions of at most `most` of a table's columns: those that were found, then the first ones; in order.
pub(super) fn chosen(columns: usize, found: &[usize], most: usize) -> BTreeSet<usize> {
    let mut chosen: BTreeSet<usize> = found.iter().copied().take(most).collect();
    for at in 0..columns {
        if chosen.len() >= most {
            break;
        }
        chosen.insert(at);
    }
    chosen
}
