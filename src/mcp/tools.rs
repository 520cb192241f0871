//! The tools' definitions and their arguments.
//!
//! Definitions are static text (`tools.json`): no name or word of an organization ever reaches a
//! tool's description. Arguments that do not fit are the model's to mend, so they are told as a
//! tool's failure that says what to change (2025-11-25 and 2026-07-28, server/tools, "Error
//! Handling"); only an unknown tool is a protocol error.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::era::quoted;
use super::jsonrpc::{NotObject, object, present, string};

/// The definitions, a JSON array in the order in which they are listed.
pub const TOOLS: &str = include_str!("tools.json");

/// What a tool call asks for, its arguments checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolCall {
    /// `list_data_sources`.
    ListDataSources,
    /// `run_query`.
    RunQuery(RunQuery),
    /// A tool that is mounted, which the product has none of.
    Injected(Box<str>),
}

impl ToolCall {
    /// The tool's name.
    pub fn name(&self) -> &str {
        match self {
            Self::ListDataSources => "list_data_sources",
            Self::RunQuery(_) => "run_query",
            Self::Injected(name) => name,
        }
    }
}

/// Arguments of `run_query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// Name of the data source; `None` where the caller means the only one.
    pub source: Option<String>,
    /// One statement; not blank.
    pub sql: String,
    /// Most rows, at least 1; the server's own limit still holds.
    pub row_limit: Option<u32>,
    /// Form of the text.
    pub format: Format,
}

/// Form of a result's text. The structured content is JSON in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The same JSON as the structured content.
    #[default]
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// A table of GitHub-flavoured Markdown.
    Markdown,
}

/// A tool call that cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadCall {
    /// A protocol error.
    #[error("{0}")]
    Protocol(String),
    /// A tool's failure, written for the model.
    #[error("{0}")]
    Arguments(String),
}

/// Reads the name and arguments of a `tools/call`.
pub(super) fn tool_call(name: Option<&RawValue>, arguments: Option<&RawValue>) -> Result<ToolCall, BadCall> {
    let Some(name) = name.and_then(string) else {
        return Err(BadCall::Protocol("tools/call needs params.name, a string.".into()));
    };
    let arguments = match arguments.map(RawValue::get) {
        None | Some("null") => "{}",
        Some(text) if text.starts_with('{') => text,
        Some(_) => return Err(BadCall::Protocol("params.arguments must be an object.".into())),
    };
    match &*name {
        "list_data_sources" => list_data_sources(arguments),
        "run_query" => run_query(arguments),
        other => {
            Err(BadCall::Protocol(format!("Unknown tool: {}. Ask tools/list for the names.", quoted(other))))
        }
    }
}

fn list_data_sources(arguments: &str) -> Result<ToolCall, BadCall> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {}
    match serde_json::from_str::<Arguments>(arguments) {
        Ok(Arguments {}) => Ok(ToolCall::ListDataSources),
        Err(_) => Err(BadCall::Arguments("list_data_sources takes no arguments; call it with {}.".into())),
    }
}

#[derive(Deserialize)]
struct QueryArguments<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    source: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sql: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    row_limit: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    format: Option<&'a RawValue>,
}

fn run_query(arguments: &str) -> Result<ToolCall, BadCall> {
    let bad = |message: String| BadCall::Arguments(message);
    if let Some(unknown) = unknown_argument(arguments) {
        return Err(bad(format!(
            "run_query has no argument {}; it takes sql, source, row_limit and format.",
            quoted(&unknown)
        )));
    }
    let arguments: QueryArguments<'_> =
        object(arguments).map_err(|_: NotObject| bad("Give each argument of run_query once.".into()))?;
    // Models fill optional arguments with null; that means the same as leaving them out.
    let given = |raw: Option<&'_ RawValue>| {
        raw.filter(|raw| raw.get() != "null").map(RawValue::get).map(str::to_owned)
    };
    let text = |raw: Option<&RawValue>, what: &str| match raw.filter(|raw| raw.get() != "null") {
        None => Ok(None),
        Some(raw) => string(raw)
            .map(|s| Some(s.into_owned()))
            .ok_or_else(|| BadCall::Arguments(format!("The argument {what} must be a string."))),
    };
    let sql = text(arguments.sql, "sql")?.filter(|sql| !sql.trim().is_empty()).ok_or_else(|| {
        bad("run_query needs the argument sql: one SQL statement that only reads, such as SELECT.".into())
    })?;
    let source = text(arguments.source, "source")?;
    let row_limit = match given(arguments.row_limit) {
        None => None,
        Some(raw) => Some(row_limit(&raw).ok_or_else(|| {
            bad("The argument row_limit must be a whole number of 1 or more, without quotes.".into())
        })?),
    };
    let format = match text(arguments.format, "format")?.as_deref() {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("markdown") => Format::Markdown,
        Some(_) => return Err(bad("The argument format must be \"json\", \"csv\" or \"markdown\".".into())),
    };
    Ok(ToolCall::RunQuery(RunQuery { source, sql, row_limit, format }))
}

/// A positive whole number, also written as `10.0`; above what fits, the largest that does (the
/// server's own limit is far below).
fn row_limit(raw: &str) -> Option<u32> {
    let number: f64 = serde_json::from_str(raw).ok()?;
    // The cast saturates.
    (number >= 1.0 && number.fract() == 0.0).then_some(number as u32)
}

/// The first argument that `run_query` does not know.
fn unknown_argument(arguments: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Any<'a>(#[serde(borrow)] std::collections::BTreeMap<std::borrow::Cow<'a, str>, &'a RawValue>);
    let Any(members) = serde_json::from_str(arguments).ok()?;
    members
        .into_keys()
        .find(|name| !matches!(&**name, "sql" | "source" | "row_limit" | "format"))
        .map(std::borrow::Cow::into_owned)
}
