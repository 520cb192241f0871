//! The tools' definitions and their arguments.
//!
//! Definitions are static text (`tools.json`): no name or word of an organization ever reaches a
//! tool's description. Arguments that do not fit are the model's to mend, so they are told as a
//! tool's failure that says what to change (2025-11-25 and 2026-07-28, server/tools, "Error
//! Handling"); only an unknown tool is a protocol error.

use serde_json::value::RawValue;

use super::arguments::{Arguments, Mistake};
use super::era::quoted;
use super::jsonrpc::string;

/// The definitions, a JSON array in the order in which they are listed.
pub const TOOLS: &str = include_str!("tools.json");

/// What a tool call asks for, its arguments checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolCall {
    /// `list_data_sources`.
    ListDataSources,
    /// `search_schema`.
    SearchSchema(SearchSchema),
    /// `describe_table`.
    DescribeTable(DescribeTable),
    /// `explain_query`.
    ExplainQuery(ExplainQuery),
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
            Self::SearchSchema(_) => "search_schema",
            Self::DescribeTable(_) => "describe_table",
            Self::ExplainQuery(_) => "explain_query",
            Self::RunQuery(_) => "run_query",
            Self::Injected(name) => name,
        }
    }
}

/// Arguments of `search_schema`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchSchema {
    /// Name of the data source; `None` where the caller means the only one.
    pub source: Option<String>,
    /// Words to look for; blank for all tables.
    pub query: String,
    /// How much is told of each table.
    pub detail: Detail,
    /// Most tables, at least 1; the server's own limit still holds.
    pub limit: Option<u32>,
    /// Whether the schema is read anew.
    pub refresh: bool,
}

/// How much is told of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Its name, and the columns that were found.
    Names,
    /// All its columns.
    #[default]
    Columns,
    /// Keys and indexes, too.
    Full,
}

/// Arguments of `describe_table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeTable {
    /// Name of the data source; `None` where the caller means the only one.
    pub source: Option<String>,
    /// The table, as the caller writes it.
    pub table: String,
    /// Whether the schema is read anew.
    pub refresh: bool,
}

/// Arguments of `explain_query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainQuery {
    /// Name of the data source; `None` where the caller means the only one.
    pub source: Option<String>,
    /// One statement; not blank.
    pub sql: String,
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
    Arguments(Mistake),
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
    let call = match &*name {
        "list_data_sources" => list_data_sources(arguments),
        "search_schema" => search_schema(arguments),
        "describe_table" => describe_table(arguments),
        "explain_query" => explain_query(arguments),
        "run_query" => run_query(arguments),
        other => {
            return Err(BadCall::Protocol(format!(
                "Unknown tool: {}. Ask tools/list for the names.",
                quoted(other)
            )));
        }
    };
    call.map_err(BadCall::Arguments)
}

fn list_data_sources(arguments: &str) -> Result<ToolCall, Mistake> {
    Arguments::read("list_data_sources", arguments, &[])?;
    Ok(ToolCall::ListDataSources)
}

fn search_schema(arguments: &str) -> Result<ToolCall, Mistake> {
    let known = ["query", "source", "detail", "limit", "refresh"];
    let given = Arguments::read("search_schema", arguments, &known)?;
    let details = [("columns", Detail::Columns), ("names", Detail::Names), ("full", Detail::Full)];
    Ok(ToolCall::SearchSchema(SearchSchema {
        source: given.text("source")?,
        query: given.text("query")?.unwrap_or_default(),
        detail: given.one_of("detail", &details)?,
        limit: given.count("limit")?,
        refresh: given.flag("refresh")?,
    }))
}

fn describe_table(arguments: &str) -> Result<ToolCall, Mistake> {
    let given = Arguments::read("describe_table", arguments, &["table", "source", "refresh"])?;
    Ok(ToolCall::DescribeTable(DescribeTable {
        source: given.text("source")?,
        table: given.needed("table", "the name of a table or view, as search_schema tells it")?,
        refresh: given.flag("refresh")?,
    }))
}

fn explain_query(arguments: &str) -> Result<ToolCall, Mistake> {
    let given = Arguments::read("explain_query", arguments, &["sql", "source"])?;
    Ok(ToolCall::ExplainQuery(ExplainQuery {
        source: given.text("source")?,
        sql: given.needed("sql", "one SELECT statement")?,
    }))
}

fn run_query(arguments: &str) -> Result<ToolCall, Mistake> {
    let given = Arguments::read("run_query", arguments, &["sql", "source", "row_limit", "format"])?;
    let formats = [("json", Format::Json), ("csv", Format::Csv), ("markdown", Format::Markdown)];
    Ok(ToolCall::RunQuery(RunQuery {
        sql: given.needed("sql", "one SQL statement that only reads, such as SELECT")?,
        source: given.text("source")?,
        row_limit: given.count("row_limit")?,
        format: given.one_of("format", &formats)?,
    }))
}
