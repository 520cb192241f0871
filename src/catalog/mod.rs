//! The catalog of one data source: its schema, ready to be searched and looked up.
//!
//! A value made once from what a connector told, shared by all calls until it is read anew. Owns how a name that
//! somebody wrote is matched, how tables are ranked for words, and how names are written in SQL. It knows no
//! source, no credential and no protocol.

use std::collections::HashMap;
use std::sync::Arc;

use sequel_connector::{Dialect, ForeignKey, OpenError, QueryError, Schema, Table, nearest};
use thiserror::Error;

mod search;

#[cfg(test)]
mod tests;

use search::Index;
pub use search::{Found, Matches};

/// Most names that a slip of the pen is compared with: enough for real schemas, and bounded.
const CANDIDATES_MAX: usize = 5_000;

/// Most characters of a name that is offered as a completion.
const OFFERED_CHARS_MAX: usize = 128;

/// A data source's schema with what makes it quick to look things up.
#[derive(Debug)]
pub struct Catalog {
    schema: Schema,
    dialect: Dialect,
    /// Positions of tables by their name in lower case.
    by_name: HashMap<Box<str>, Vec<u32>>,
    /// Positions of the foreign keys that lead to a table, and of the tables they are of, by that table's name in
    /// lower case.
    referenced_by: HashMap<Box<str>, Vec<(u32, u32)>>,
    index: Index,
    bytes: usize,
}

/// A schema that could not be read. Whoever shares a reading shares its error.
#[derive(Debug, Clone, Error)]
pub enum CatalogError {
    /// The source cannot be opened.
    #[error("the data source cannot be opened")]
    Open(#[source] Arc<OpenError>),
    /// Its schema cannot be read.
    #[error("the schema cannot be read")]
    Read(#[source] Arc<QueryError>),
}

/// What a name comes to.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// Just one table.
    Table(&'a Table),
    /// Several, in as many schemas; some of their names as SQL writes them.
    Several(Vec<String>),
    /// None; the name that was probably meant, as SQL writes it.
    Unknown(Option<String>),
}

impl Catalog {
    /// Takes 150 ms for 10,000 tables of ten columns without optimization (`benches/schema.rs`), so not on a thread that
    /// answers requests.
    pub fn new(schema: Schema, dialect: Dialect) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        let mut referenced_by: HashMap<Box<str>, Vec<(u32, u32)>> = HashMap::new();
        for (at, table) in (0u32..).zip(&schema.tables) {
            by_name.entry(folded(&table.name)).or_default().push(at);
            for (number, key) in (0u32..).zip(&table.foreign_keys) {
                referenced_by.entry(folded(&key.references_table)).or_default().push((at, number));
            }
        }
        let index = Index::new(&schema.tables);
        let tables: usize = schema.tables.iter().map(Table::heap_bytes).sum();
        // Two more copies of each table's name, with the maps' own room.
        let maps: usize =
            (by_name.keys().chain(referenced_by.keys())).map(|name| name.len() + 64).sum::<usize>()
                + referenced_by.values().map(|keys| keys.capacity() * size_of::<(u32, u32)>()).sum::<usize>();
        let bytes = tables + maps + index.bytes();
        Self { schema, dialect, by_name, referenced_by, index, bytes }
    }

    /// All tables and views, in name order.
    pub fn tables(&self) -> &[Table] {
        &self.schema.tables
    }

    /// Whether the database has more than was read.
    pub fn is_truncated(&self) -> bool {
        self.schema.truncated
    }

    /// How its names are quoted.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// About how many bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A name of a table, column or index as SQL writes it.
    pub fn sql(&self, name: &str) -> String {
        self.dialect.identifier(name)
    }

    /// A table's name as SQL writes it, with its schema where it has one.
    pub fn sql_table(&self, table: &Table) -> String {
        match &table.schema {
            Some(schema) => format!("{}.{}", self.sql(schema), self.sql(&table.name)),
            None => self.sql(&table.name),
        }
    }

    /// The table that a name means: bare or quoted in any dialect's manner, with its schema or without, and
    /// without regard to case where only one fits then.
    pub fn table(&self, written: &str) -> Lookup<'_> {
        let written = written.trim();
        let plain = Dialect::unquoted(written);
        // A name with a dot in it comes before a table in a schema.
        let whole = [written, &*plain].map(|name| self.named(None, name));
        let found = whole
            .into_iter()
            .chain(qualified(written).map(|(schema, name)| self.named(Some(&schema), &name)));
        match found.into_iter().find(|found| !found.is_empty()).as_deref() {
            Some([only]) => Lookup::Table(only),
            Some(several) => {
                const NAMES_SHOWN: usize = 10;
                Lookup::Several(several.iter().take(NAMES_SHOWN).map(|table| self.sql_table(table)).collect())
            }
            None => Lookup::Unknown(self.nearest(&plain)),
        }
    }

    fn named(&self, schema: Option<&str>, name: &str) -> Vec<&Table> {
        let fits = |table: &&Table, same: fn(&str, &str) -> bool| {
            let schema_fits = match (schema, &table.schema) {
                (None, _) => true,
                (Some(asked), Some(own)) => same(asked, own),
                // Where there are no schemas, SQLite still calls the database so.
                (Some(asked), None) => same(asked, "main"),
            };
            schema_fits && same(name, &table.name)
        };
        let at = self.by_name.get(&folded(name)).map(Vec::as_slice).unwrap_or_default();
        let tables = || at.iter().filter_map(|at| self.schema.tables.get(*at as usize));
        let exact: Vec<_> = tables().filter(|table| fits(table, |a, b| a == b)).collect();
        if !exact.is_empty() {
            return exact;
        }
        tables().filter(|table| fits(table, |a, b| folded(a) == folded(b))).collect()
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let names = self.schema.tables.iter().take(CANDIDATES_MAX).map(|table| table.name.as_str());
        nearest(name, names).map(|near| self.sql(near))
    }

    /// Foreign keys of other tables and its own that lead to a table, in name order.
    pub fn references_to<'a>(
        &'a self,
        table: &'a Table,
    ) -> impl Iterator<Item = (&'a Table, &'a ForeignKey)> {
        let keys = self.referenced_by.get(&folded(&table.name)).map(Vec::as_slice).unwrap_or_default();
        keys.iter().filter_map(|(from, key)| {
            let from = self.schema.tables.get(*from as usize)?;
            let key = from.foreign_keys.get(*key as usize)?;
            (schema_of(from, key) == table.schema.as_deref()).then_some((from, key))
        })
    }

    /// The table that a foreign key leads to, where it is in the catalog.
    pub fn referenced(&self, from: &Table, key: &ForeignKey) -> Option<&Table> {
        match self.named(schema_of(from, key), &key.references_table)[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The tables for these words, best first, at most `limit`; all in name order where there are no words.
    pub fn search(&self, words: &str, limit: usize) -> Matches<'_> {
        self.index.search(&self.schema.tables, words, limit)
    }

    /// Names of tables that begin with what was typed, then those that hold it, and how many there are in all. Names
    /// that look like anything but names count, and are not offered.
    pub fn complete(&self, typed: &str, limit: usize) -> (Vec<String>, usize) {
        let typed = folded(typed.trim());
        let (mut begin, mut hold) = (Vec::new(), Vec::new());
        let mut total = 0;
        for table in &self.schema.tables {
            let name = folded(&table.name);
            let values = if name.starts_with(&*typed) {
                &mut begin
            } else if name.contains(&*typed) {
                &mut hold
            } else {
                continue;
            };
            total += 1;
            if values.len() < limit {
                values.extend(offered(table));
            }
        }
        begin.extend(hold);
        begin.truncate(limit);
        (begin, total)
    }
}

/// A table's name with its schema, if it can be shown where no fence stands around it.
fn offered(table: &Table) -> Option<String> {
    let parts = || table.schema.iter().chain([&table.name]);
    if parts().map(String::len).sum::<usize>() > 4 * OFFERED_CHARS_MAX {
        return None;
    }
    let name = parts().map(String::as_str).collect::<Vec<_>>().join(".");
    let is_plain = name.chars().count() <= OFFERED_CHARS_MAX
        && !name.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}'))
        // What the lines of a fence begin with.
        && !name.contains("<<<");
    is_plain.then_some(name)
}

/// The schema of the table that a foreign key leads to.
fn schema_of<'a>(from: &'a Table, key: &'a ForeignKey) -> Option<&'a str> {
    key.references_schema.as_deref().or(from.schema.as_deref())
}

/// How names are compared where case does not matter.
fn folded(name: &str) -> Box<str> {
    if name.is_ascii() { name.to_ascii_lowercase().into() } else { name.to_lowercase().into() }
}

/// `schema.table`, each quoted or not; of several dots outside quotes the last one divides.
fn qualified(written: &str) -> Option<(String, String)> {
    let mut quote = None;
    let mut dot = None;
    for (at, char) in written.char_indices() {
        match (quote, char) {
            (None, '"' | '`') => quote = Some(char),
            (None, '[') => quote = Some(']'),
            (None, '.') => dot = Some(at),
            (Some(close), char) if char == close => quote = None,
            _ => {}
        }
    }
    let (schema, table) = written.split_at(dot?);
    let plain = |name: &str| Dialect::unquoted(name.trim()).into_owned();
    Some((plain(schema), plain(&table[1..])))
}
