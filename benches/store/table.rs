//! The rows of the table, one column a backend, and what explains them.

use std::collections::BTreeMap;

/// What was measured of every backend.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<(String, BTreeMap<&'static str, String>)>,
    notes: Vec<String>,
}

impl Table {
    /// Adds a value to a row; rows and columns stand in the order in which they were first named.
    pub(crate) fn put(&mut self, what: &str, backend: &'static str, value: String) {
        eprintln!("  {backend}: {what}: {value}");
        if !self.columns.contains(&backend) {
            self.columns.push(backend);
        }
        let row = match self.rows.iter().position(|(name, _)| name == what) {
            Some(row) => row,
            None => {
                self.rows.push((what.to_owned(), BTreeMap::new()));
                self.rows.len() - 1
            }
        };
        self.rows[row].1.insert(backend, value);
    }

    /// Adds a line that explains, and says it at once: a run takes minutes.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            let rows: Vec<_> = self
                .rows
                .iter()
                .map(|(what, values)| serde_json::json!({ "what": what, "measured": values }))
                .collect();
            println!("{}", serde_json::json!({ "rows": rows, "notes": self.notes }));
            return;
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        let columns = self.columns.iter().map(|column| (*column).to_owned());
        table.set_header(std::iter::once(String::new()).chain(columns));
        for (what, values) in &self.rows {
            let cells = self.columns.iter().map(|column| values.get(column).cloned().unwrap_or_default());
            table.add_row(std::iter::once(what.clone()).chain(cells));
        }
        println!("{table}\n");
        for note in &self.notes {
            println!("- {note}");
        }
    }
}
