//! What a command prints: one value, as JSON for programs or as text for people.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::context::Timestamp;

/// The outcome of a command that did what it was asked.
#[derive(Debug)]
pub(super) struct Answer {
    // Text without JSON is printed as it is whatever was asked for; nothing at all is printed of neither.
    json: Option<String>,
    text: Option<String>,
    /// 0, or 1 where the answer itself is bad news (`source test`).
    pub(super) exit: u8,
}

impl Answer {
    /// `json` is a documented shape (see `crate::api`); `text` says the same to people.
    pub(super) fn new(json: &impl Serialize, text: String) -> Self {
        // Straight to text: the members keep the order in which the shape documents them.
        let json = serde_json::to_string(json).expect("every answer is a struct with string keys");
        Self { json: Some(json), text: Some(text), exit: 0 }
    }

    /// Nothing to print.
    pub(super) fn silent() -> Self {
        Self { json: None, text: None, exit: 0 }
    }

    /// A text of a form of its own: a script, a document.
    pub(super) fn verbatim(text: String) -> Self {
        Self { json: None, text: Some(text), exit: 0 }
    }

    pub(super) fn write(&self, json: bool, out: &mut dyn Write) -> std::io::Result<()> {
        let Some(line) = self.json.as_ref().filter(|_| json).or(self.text.as_ref()) else { return Ok(()) };
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// An aligned table without lines.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // The width of a terminal never breaks a value apart: names and prefixes are there to be copied.
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Text that cannot steer a terminal: control characters and those that turn the direction of what
/// follows (Unicode's bidirectional controls) become `�`.
pub(super) fn clean(text: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The same for text that may have several lines.
pub(super) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// A time to the minute, in UTC.
pub(super) fn minute(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A time to the second, in UTC.
pub(super) fn second(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A time to the minute, or `otherwise`.
pub(super) fn minute_or(time: Option<Timestamp>, otherwise: &str) -> String {
    time.map_or_else(|| otherwise.to_owned(), minute)
}
