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
mod identifier;
mod nearest;
mod party;
mod plan;
mod profile;
mod query;
mod registry;
mod rows;
mod schema;

pub use error::{OpenError, QueryError};
pub use functions::refused_function;
pub use guard::{Dialect, SQL_BYTES_MAX, check, check_explainable};
pub use nearest::nearest;
pub use party::Party;
pub use plan::{Plan, PlanStep};
pub use profile::{Profile, ProfileAsk, RowCount, SampleLimits, profile_by_queries};
pub use query::{Limits, Query};
pub use registry::Registry;
pub use rows::{Column, Ending, RowBatch, RowBatchBuilder, RowSender, Rows, Truncated, Value, row_channel};
pub use schema::{ColumnSchema, ForeignKey, IndexSchema, Schema, SchemaAsk, Table, TableKind};

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

    /// Opens a handle for a party; checks settings and policy again, on what is really opened. Where handles have to
    /// share something (the processor, a pool), each party gets the same share of it, however many handles it has.
    async fn open(&self, settings: &Settings, party: &Party) -> Result<Arc<dyn DataSource>, OpenError>;
}

/// An open handle to one database, shared by concurrent calls. Dropping the last one closes it,
/// without keeping the dropper's thread waiting.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// Runs one read-only statement. Answers when the columns are known; the rows follow as a
    /// stream. Dropping the [`Rows`], or the query's token being cancelled, stops the query in the
    /// database.
    async fn query(&self, query: Query) -> Result<Rows, QueryError>;

    /// Tables and views with their columns, keys, indexes, comments and the row counts that the database knows
    /// without counting. Dropping the future, or the token being cancelled, stops the reading.
    async fn schema(&self, ask: SchemaAsk) -> Result<Schema, QueryError>;

    /// How the database would carry a query out, without running it. The same statements are refused as by
    /// [`DataSource::query`], under the same limits (a step is a row), and stopped in the same ways.
    async fn explain(&self, query: Query) -> Result<Plan, QueryError>;

    /// How many rows a table has and a few values of each column, as far as time and policy allow; what could not
    /// be had is left out. An error says that the table itself cannot be read.
    async fn profile(&self, ask: ProfileAsk) -> Result<Profile, QueryError> {
        profile_by_queries(self, &ask).await
    }

    /// How names are quoted and statements are read.
    fn dialect(&self) -> Dialect;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), QueryError>;
}
