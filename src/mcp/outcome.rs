//! What a tool call came to, ready to be put into a response of either era.
//!
//! Holds the text already in the form in which it stands between the quotes of a JSON string, and
//! the structured content already as JSON, so that an answer of many rows is written once.

use serde::Serialize;

use super::json;
use super::pieces::Pieces;

/// A tool's outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolOutcome {
    pub(super) escaped_text: Pieces,
    pub(super) structured: Option<Pieces>,
    pub(super) is_error: bool,
}

/// One line of `list_data_sources`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DataSourceEntry<'a> {
    /// The name by which `run_query` takes it.
    pub name: &'a str,
    /// The connector's kind, which is also the SQL dialect.
    pub kind: &'a str,
    /// What the organization says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
}

impl ToolOutcome {
    /// A failure that the model can act on: `isError` with one text, no structured content.
    pub fn error(message: &str) -> Self {
        let mut escaped_text = Vec::with_capacity(message.len());
        json::escape_into(&mut escaped_text, message.as_bytes());
        Self { escaped_text: escaped_text.into(), structured: None, is_error: true }
    }

    /// A text alone, for a tool without an `outputSchema`.
    pub fn text(text: &str) -> Self {
        Self { is_error: false, ..Self::error(text) }
    }

    /// An outcome whose two forms are already encoded: `escaped_text` is what stands between the
    /// quotes of a JSON string, `structured` is a JSON object that fits the tool's `outputSchema`.
    pub fn encoded(escaped_text: impl Into<Pieces>, structured: impl Into<Pieces>) -> Self {
        Self { escaped_text: escaped_text.into(), structured: Some(structured.into()), is_error: false }
    }

    /// The outcome of `list_data_sources`, in the order given.
    pub fn data_sources<'a>(sources: impl IntoIterator<Item = DataSourceEntry<'a>>) -> Self {
        #[derive(Serialize)]
        struct Listed<'a> {
            data_sources: Vec<DataSourceEntry<'a>>,
        }
        let listed = Listed { data_sources: sources.into_iter().collect() };
        let structured = serde_json::to_vec(&listed).expect("strings always serialize");
        let mut escaped_text = Vec::with_capacity(structured.len() + structured.len() / 4);
        json::escape_into(&mut escaped_text, &structured);
        Self::encoded(escaped_text, structured)
    }

    /// Whether the tool failed.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// Bytes that it adds to a response.
    pub fn size(&self) -> usize {
        self.escaped_text.len() + self.structured.as_ref().map_or(0, Pieces::len)
    }
}
