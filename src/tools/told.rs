//! Tables and columns as a model reads them: few words, and names as SQL writes them.
//!
//! A database may give a table a name of megabytes and an index a thousand columns, so all that is told is bounded:
//! names, lines, lists and, with a [`Budget`], what they come to in an answer.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sequel_connector::{ColumnSchema, ForeignKey, IndexSchema, Table, TableKind};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalog::Catalog;

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;

/// Most bytes of what is told of tables in one answer, both forms together; with its head and its marks it stays
/// below [`super::fenced::OUTCOME_BYTES_MAX`].
pub(super) const BYTES_MAX: usize = 480 * 1024;
/// Most characters of a name: no engine but SQLite allows more than 128, and there nobody writes them.
const NAME_CHARS_MAX: usize = 200;
/// Most characters of a declared type.
const TYPE_CHARS_MAX: usize = 200;
/// Most names in a row within one key or index.
const ROW_MAX: usize = 32;
/// Most foreign keys that stand on the line of one column.
const TARGETS_MAX: usize = 4;
/// Most entries of one list of keys or indexes, and most bytes of it, both forms together.
const LIST_MAX: usize = 200;
const LIST_BYTES_MAX: usize = 48 * 1024;

/// Most characters of a comment; the rest is cut.
const COMMENT_CHARS_MAX: usize = 300;
/// Most bytes of one table's columns among others, both forms together.
const LINES_BYTES_MAX: usize = 128 * 1024;

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
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_primary_key: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) foreign_keys: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_foreign_keys: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) referenced_by: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_referenced_by: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) indexes: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_indexes: usize,
}

/// One column, in full.
#[derive(Debug, Serialize)]
pub(super) struct ColumnTold<'a> {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_name: Cow<'a, str>,
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

/// What is left of the bytes that an answer may take, both forms together.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.0
    }

    /// What is told, encoded, if there is room for it.
    pub(super) fn told(&mut self, told: &impl Serialize) -> Option<Box<RawValue>> {
        let json = serde_json::value::to_raw_value(told).ok()?;
        self.take(json.get()).then_some(json)
    }

    /// Takes the room of a piece of JSON in both forms, or says that there is none.
    fn take(&mut self, json: &str) -> bool {
        // As it is, and escaped: what is escaped there takes one byte more. A `<` may have to be written as an
        // escape of its own in both. A comma follows in both.
        let escapes: usize = json
            .bytes()
            .map(|byte| match byte {
                b'"' | b'\\' => 1,
                b'<' => 11,
                _ => 0,
            })
            .sum();
        let bytes = 2 * json.len() + escapes + 2;
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => return false,
        }
        true
    }

    /// The first of so many lines, as far as there is room, and the number of the others.
    fn lines(
        &mut self,
        lines: impl Iterator<Item = String>,
        total: usize,
        most: usize,
    ) -> (Vec<String>, usize) {
        let fits = |line: &String| serde_json::to_string(line).is_ok_and(|json| self.take(&json));
        let told: Vec<_> = lines.take(most).take_while(fits).collect();
        let more = total - told.len();
        (told, more)
    }
}

/// A name as SQL writes it. One that is cut means nothing there, but nobody writes one that long.
pub(super) fn name(catalog: &Catalog, name: &str) -> String {
    catalog.sql(&cut(name, NAME_CHARS_MAX))
}

/// A table's name as SQL writes it, with its schema where it has one.
pub(super) fn table_name(catalog: &Catalog, table: &Table) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", name(catalog, schema), name(catalog, &table.name)),
        None => name(catalog, &table.name),
    }
}

/// A declared type.
pub(super) fn type_name(text: &str) -> Cow<'_, str> {
    cut(text, TYPE_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        None => text.into(),
        Some((at, _)) => format!("{}…", &text[..at]).into(),
    }
}

/// A table's name, kind and size, without its columns.
pub(super) fn table(catalog: &Catalog, table: &Table) -> TableTold {
    TableTold {
        name: table_name(catalog, table),
        kind: table.kind,
        rows: table.rows_approximate,
        comment: table.comment.as_deref().and_then(comment),
        columns: Vec::new(),
        more_columns: 0,
        keys: Keys::default(),
    }
}

/// The keys and indexes of a table.
pub(super) fn keys(catalog: &Catalog, table: &Table) -> Keys {
    let list = |lines: &mut dyn Iterator<Item = String>, total: usize| {
        Budget::new(LIST_BYTES_MAX).lines(lines, total, LIST_MAX)
    };
    let mut primary = table.primary_key.iter().map(|column| name(catalog, column));
    let mut foreign = table.foreign_keys.iter().map(|key| foreign_key(catalog, table, key));
    let mut references = catalog.references_to(table).map(|(from, key)| reference(catalog, table, from, key));
    let mut indexes = table.indexes.iter().map(|found| index(catalog, found));
    let (primary_key, more_primary_key) = list(&mut primary, table.primary_key.len());
    let (foreign_keys, more_foreign_keys) = list(&mut foreign, table.foreign_keys.len());
    let (referenced_by, more_referenced_by) = list(&mut references, catalog.references_to(table).count());
    let (indexes, more_indexes) = list(&mut indexes, table.indexes.len());
    Keys {
        primary_key,
        more_primary_key,
        foreign_keys,
        more_foreign_keys,
        referenced_by,
        more_referenced_by,
        indexes,
        more_indexes,
    }
}

/// The keys of several columns, which stand on none of their lines.
pub(super) fn wide_keys(catalog: &Catalog, table: &Table) -> Keys {
    let wide = || table.foreign_keys.iter().filter(|key| key.columns.len() != 1);
    let lines = wide().map(|key| foreign_key(catalog, table, key));
    let (foreign_keys, more_foreign_keys) =
        Budget::new(LIST_BYTES_MAX).lines(lines, wide().count(), LIST_MAX);
    Keys { foreign_keys, more_foreign_keys, ..Keys::default() }
}

/// These columns by name, and how many there was no room for.
pub(super) fn column_names(
    catalog: &Catalog,
    table: &Table,
    at: &[usize],
    most: usize,
) -> (Vec<String>, usize) {
    let names = at.iter().filter_map(|at| table.columns.get(*at)).map(|column| name(catalog, &column.name));
    Budget::new(LINES_BYTES_MAX).lines(names, at.len(), most)
}

/// So many columns at most, each on its line and those that were found before others; and how many more there are.
pub(super) fn column_lines(
    catalog: &Catalog,
    table: &Table,
    found: &[usize],
    most: usize,
) -> (Vec<String>, usize) {
    let chosen = chosen(table.columns.len(), found, most);
    let lines = chosen.iter().map(|at| column_line(catalog, table, &table.columns[*at]));
    Budget::new(LINES_BYTES_MAX).lines(lines, table.columns.len(), most)
}

/// One column on one line: `state TEXT NOT NULL PK → states.code -- postal code`.
fn column_line(catalog: &Catalog, table: &Table, column: &ColumnSchema) -> String {
    let mut line = name(catalog, &column.name);
    if !column.type_name.is_empty() {
        line.push(' ');
        line.push_str(&type_name(&column.type_name));
    }
    let is_key = table.primary_key.contains(&column.name);
    if is_key {
        line.push_str(" PK");
    } else if !column.nullable {
        line.push_str(" NOT NULL");
    }
    let keys =
        table.foreign_keys.iter().filter(|key| key.columns.len() == 1 && key.columns[0] == column.name);
    for key in keys.take(TARGETS_MAX) {
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
    let from = table_name(catalog, from);
    let there = match &key.columns[..] {
        [only] => format!("{from}.{}", name(catalog, only)),
        several => format!("{from} {}", columns(catalog, several)),
    };
    let here = if key.references_columns.is_empty() { &table.primary_key } else { &key.references_columns };
    if here.is_empty() { there } else { format!("{there} → {}", columns(catalog, here)) }
}

fn target(catalog: &Catalog, table: &Table, key: &ForeignKey) -> String {
    let found = catalog.referenced(table, key);
    let to = match (found, &key.references_schema) {
        (Some(found), _) => table_name(catalog, found),
        (None, Some(schema)) => format!("{}.{}", name(catalog, schema), name(catalog, &key.references_table)),
        (None, None) => name(catalog, &key.references_table),
    };
    // Where no columns are named, the other table's primary key is meant.
    let named = match (&key.references_columns[..], found) {
        ([], Some(found)) => &found.primary_key[..],
        (named, _) => named,
    };
    match named {
        [] => to,
        [only] => format!("{to}.{}", name(catalog, only)),
        several => format!("{to} {}", columns(catalog, several)),
    }
}

/// `unique airports_by_name (name, city)`.
fn index(catalog: &Catalog, index: &IndexSchema) -> String {
    let unique = if index.unique { "unique " } else { "" };
    format!("{unique}{} ({})", name(catalog, &index.name), row(catalog, &index.columns))
}

fn columns(catalog: &Catalog, names: &[String]) -> String {
    match names {
        [only] => name(catalog, only),
        several => format!("({})", row(catalog, several)),
    }
}

fn row(catalog: &Catalog, names: &[String]) -> String {
    let mut row: Vec<_> = names.iter().take(ROW_MAX).map(|column| name(catalog, column)).collect();
    if names.len() > ROW_MAX {
        row.push("…".to_owned());
    }
    row.join(", ")
}

/// On one line, cut; `None` where nothing is left.
pub(super) fn comment(text: &str) -> Option<String> {
    let words =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    // Each word has a character at least.
    let line = words.take(COMMENT_CHARS_MAX + 1).collect::<Vec<_>>().join(" ");
    let line = cut(&line, COMMENT_CHARS_MAX).into_owned();
    (!line.is_empty()).then_some(line)
}

/// The positions of at most `most` of a table's columns: those that were found, then the first ones; in order.
fn chosen(columns: usize, found: &[usize], most: usize) -> BTreeSet<usize> {
    let mut chosen: BTreeSet<usize> = found.iter().copied().take(most).collect();
    for at in 0..columns {
        if chosen.len() >= most {
            break;
        }
        chosen.insert(at);
    }
    chosen
}
