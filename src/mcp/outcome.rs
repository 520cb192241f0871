//! What a request came to, ready to be put into a response of either era.
//!
//! Holds the text already in the form in which it stands between the quotes of a JSON string, and
//! the structured content already as JSON, so that an answer of many rows is written once.

use serde::Serialize;

use super::cursor::cursor;
use super::json;
use super::pieces::Pieces;
use super::resources::{JSON_MIME_TYPE, LIST};
use super::uri::source_uri;

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A tool's own outcome.
    Tool(ToolOutcome),
    /// A page of `resources/list`.
    Resources(ResourcePage),
    /// The text of a resource: what stands between the quotes of a JSON string.
    Resource(Vec<u8>),
    /// What an argument may be completed to.
    Completions(Completions),
    /// There is no such resource, or none that this credential reaches.
    NoResource,
    /// It could not be done; a sentence that says why and what to do. A tool tells it to the model, all else to
    /// the client.
    Failed(String),
}

impl Outcome {
    /// Whether it is a failure of any kind.
    pub fn is_error(&self) -> bool {
        match self {
            Self::Tool(outcome) => outcome.is_error,
            Self::NoResource | Self::Failed(_) => true,
            Self::Resources(_) | Self::Resource(_) | Self::Completions(_) => false,
        }
    }

    /// Bytes that it adds to a response, where they can be many.
    pub fn size(&self) -> usize {
        match self {
            Self::Tool(outcome) => outcome.size(),
            Self::Resource(text) => text.len(),
            Self::Resources(_) | Self::Completions(_) | Self::NoResource | Self::Failed(_) => 0,
        }
    }
}

impl From<ToolOutcome> for Outcome {
    fn from(outcome: ToolOutcome) -> Self {
        Self::Tool(outcome)
    }
}

/// Data sources as resources, one page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcePage {
    resources: Vec<u8>,
    next_after: Option<String>,
}

impl ResourcePage {
    /// From all data sources behind the last page's last one, in the order of their names, which are unique.
    pub fn of<'a>(sources: impl IntoIterator<Item = DataSourceEntry<'a>>) -> Self {
        /// A page of them takes some 10 KiB.
        const SOURCES_MAX: usize = 50;
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Resource<'a> {
            uri: String,
            name: &'a str,
            title: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            mime_type: &'static str,
        }
        let mut sources = sources.into_iter().peekable();
        let mut last = None;
        let page: Vec<_> = sources
            .by_ref()
            .take(SOURCES_MAX)
            .map(|DataSourceEntry { name, description, .. }| {
                last = Some(name);
                let title = format!("Tables of {name}");
                Resource { uri: source_uri(name), name, title, description, mime_type: JSON_MIME_TYPE }
            })
            .collect();
        let next_after = last.filter(|_| sources.peek().is_some()).map(str::to_owned);
        Self { resources: serde_json::to_vec(&page).expect("strings always serialize"), next_after }
    }

    pub(super) fn resources_json(&self) -> &[u8] {
        &self.resources
    }

    pub(super) fn next_cursor(&self) -> Option<String> {
        self.next_after.as_ref().map(|after| cursor(LIST, after))
    }
}

/// What an argument may be completed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completions {
    /// Best first, at most [`Completions::VALUES_MAX`].
    pub values: Vec<String>,
    /// How many there are in all.
    pub total: usize,
}

impl Completions {
    /// Most values in an answer ("Completion Results").
    pub const VALUES_MAX: usize = 100;

    pub(super) fn json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Completion<'a> {
            values: &'a [String],
            total: usize,
            has_more: bool,
        }
        let values = &self.values[..self.values.len().min(Self::VALUES_MAX)];
        let completion = Completion { values, total: self.total, has_more: self.total > values.len() };
        serde_json::to_vec(&completion).expect("strings always serialize")
    }
}

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
