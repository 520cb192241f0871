//! The query log: the list with its filter, and one entry.

use askama::Template;

use super::text::query_string;
use super::{Name, Paging, Pick, Room, Shell, When, filters};

/// What is filtered by, as the address says it; empty where it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryFilter {
    /// The id of a data source.
    pub source: String,
    /// A part of who asked.
    pub by: String,
    /// How it ended: `ok`, `refused`, ….
    pub outcome: String,
    /// How far back: `1d`, `7d`, `30d`.
    pub since: String,
}

impl QueryFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As a query string.
    pub fn query(&self) -> String {
        query_string(&[
            ("source", &self.source),
            ("by", &self.by),
            ("outcome", &self.outcome),
            ("since", &self.since),
        ])
    }
}

/// How a call ended, in words.
#[derive(Debug, Clone)]
pub struct Ended {
    /// For people: `Timed out`.
    pub label: &'static str,
    /// Which limit, or why it was refused.
    pub why: Option<Name>,
    /// Whether there was an answer.
    pub is_answer: bool,
}

/// One call, as the list shows it.
#[derive(Debug, Clone)]
pub struct QueryRow {
    /// Names it in addresses.
    pub id: String,
    /// `run_query`, ….
    pub tool: Name,
    /// How it ended.
    pub ended: Ended,
    /// The key or app that asked: its name, or its visible prefix once it is gone.
    pub by: Name,
    /// Whose it is.
    pub person: Option<Name>,
    /// The data source's name, or its id once it is gone.
    pub source: Name,
    /// Rows of the answer.
    pub rows: usize,
    /// Milliseconds until there was a connection.
    pub waited_ms: usize,
    /// Milliseconds behind that.
    pub ran_ms: usize,
    /// When it began.
    pub at: When,
    /// What was asked, without its values.
    pub asked: Option<Name>,
}

/// An entry of the list.
#[derive(Debug, Clone)]
pub enum QueryLine {
    /// A call.
    Call(Box<QueryRow>),
    /// So many calls are missing here.
    Lost(u64),
}

/// The list.
#[derive(Debug, Clone, Template)]
#[template(path = "queries.html")]
pub struct Queries {
    /// What surrounds it.
    pub shell: Shell,
    /// What is filtered by.
    pub filter: QueryFilter,
    /// The data sources that can be filtered by.
    pub sources: Vec<Pick>,
    /// The outcomes that can be filtered by.
    pub outcomes: Vec<Pick>,
    /// Newest first.
    pub lines: Vec<QueryLine>,
    /// The way to older ones.
    pub paging: Paging,
    /// For how many days entries are kept; `None` where none are.
    pub kept_days: Option<u64>,
}

impl Queries {
    const SINCE: &[(&str, &str)] =
        &[("", "Any time"), ("1d", "Last day"), ("7d", "Last 7 days"), ("30d", "Last 30 days")];

    fn export(&self) -> String {
        let query = self.filter.query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/queries.json{mark}{query}", self.shell.base())
    }
}

/// One entry, with all that is known of it.
#[derive(Debug, Clone, Template)]
#[template(path = "query-entry.html")]
pub struct QueryDetail {
    /// What surrounds it.
    pub shell: Shell,
    /// The call.
    pub row: QueryRow,
    /// Bytes of the answer.
    pub bytes: usize,
    /// The id of the request.
    pub request: Name,
    /// The id of the key or app.
    pub by_id: String,
    /// The page of the key or app, where it still is.
    pub by_link: Option<String>,
    /// The page of the data source, where it still is.
    pub source_link: Option<String>,
}
