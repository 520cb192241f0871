//! What Sequel asks of a database, whichever it is.
//!
//! This crate owns the [`Connector`] and [`DataSource`] traits, queries and their limits, rows as a
//! stream of batches, schema types, the read-only guard over a parse tree, the registry of
//! connectors and the conformance suite that every connector runs. It knows no driver.
//!
//! **Invariant:** no query runs without limits on rows, bytes, cell bytes, columns and time (a
//! [`Query`] cannot be built without [`Limits`]).

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod expansion;
mod functions;
mod guard;
mod nearest;
mod query;
mod registry;
mod rows;
mod schema;

pub use error::{OpenError, QueryError};
pub use functions::refused_function;
pub use guard::{Dialect, SQL_BYTES_MAX, check};
pub use nearest::nearest;
pub use query::{Limits, Query};
pub use registry::Registry;
pub use rows::{Column, Ending, RowBatch, RowBatchBuilder, RowSender, Rows, Truncated, Value, row_channel};
pub use schema::{ColumnSchema, ForeignKey, IndexSchema, Schema, Table, TableKind};

use std::sync::Arc;

use async_trait::async_trait;

/// What a configured data source says about how to reach its database: a JSON object whose members
/// the connector defines (`{"path": "…"}` for SQLite). Never holds a secret.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// The factory for one kind of database. Holds the operator's policy for that kind.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// `sqlite`, `postgres`, …: the word that a configured source names it by.
    fn kind(&self) -> &'static str;

    /// Holds settings against the connector's shape and the operator's policy, without opening
    /// anything. Returns them in canonical form (paths absolute, defaults left out). Looks at files or
    /// names on the connector's own threads, never on the caller's.
    async fn check(&self, settings: &Settings) -> Result<Settings, OpenError>;

    /// Opens a handle; checks settings and policy again, on what is really opened.
    async fn open(&self, settings: &Settings) -> Result<Arc<dyn DataSource>, OpenError>;
}

/// An open handle to one database, shared by concurrent calls. Dropping the last one closes it,
/// without keeping the dropper's thread waiting.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// Runs one read-only statement. Answers when the columns are known; the rows follow as a
    /// stream. Dropping the [`Rows`], or the query's token being cancelled, stops the query in the
    /// database.
    async fn query(&self, query: Query) -> Result<Rows, QueryError>;

    /// Tables and views with their columns, keys and indexes.
    async fn schema(&self) -> Result<Schema, QueryError>;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), QueryError>;
}
