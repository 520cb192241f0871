//! What Sequel asks of a database, whichever it is.
//!
//! This crate owns the [`Connector`] and [`DataSource`] traits, queries and their limits, rows as a
//! stream of batches, schema types, the read-only guard over a parse tree, the registry of
//! connectors and the conformance suite that every connector runs. It knows no driver.
//!
//! **Invariant:** no query runs without limits on rows, bytes, cell bytes, columns and time (a
//! [`Query`] cannot be built without [`Limits`]).

mod configuration;
#[cfg(feature = "conformance")]
pub mod conformance;
mod declaration;
mod egress;
mod error;
mod expansion;
mod functions;
mod guard;
mod identifier;
mod intake;
mod nearest;
mod network;
mod origin;
mod own_runtime;
mod party;
mod plan;
mod postgres_names;
mod postgres_text;
mod postgres_tokens;
mod postgres_tree;
mod profile;
mod query;
mod registry;
mod rows;
mod schema;
mod shape;

pub use configuration::{Configuration, Secret, Secrets};
pub use declaration::{Declaration, Setting, SettingKind};
pub use egress::{Egress, EgressError};
pub use error::{OpenError, QueryError, Said, words};
pub use functions::refused_function;
pub use guard::{Called, Dialect, PlainStatement, SQL_BYTES_MAX, check, check_explainable, plain_postgres};
pub use intake::{Intake, bounded_columns};
pub use nearest::nearest;
pub use network::{Network, NetworkError};
pub use origin::Origin;
pub use own_runtime::OwnRuntime;
pub use party::Party;
pub use plan::{Plan, PlanStep};
pub use profile::{Profile, ProfileAsk, RowCount, SampleLimits, profile_by_queries};
pub use query::{Course, Limits, Query};
pub use registry::Registry;
pub use rows::{Column, Ending, RowBatch, RowBatchBuilder, RowSender, Rows, Truncated, Value, row_channel};
pub use schema::{ColumnSchema, ForeignKey, IndexSchema, Schema, SchemaAsk, Table, TableKind};
pub use shape::shape;

use std::sync::Arc;

use async_trait::async_trait;

/// What a configured data source says about how to reach its database: a JSON object whose members
/// the connector defines (`{"path": "…"}` for SQLite). Never holds a secret.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// The factory for one kind of database. Holds the operator's policy for that kind.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What it is called and what it asks for.
    fn declaration(&self) -> &'static Declaration;

    /// `sqlite`, `postgres`, …: the word that a configured source names it by.
    fn kind(&self) -> &'static str {
        self.declaration().word
    }

    /// Holds a configuration against the connector's shape and the operator's policy, without opening
    /// anything. Returns it in canonical form (paths absolute, defaults left out), with no secret among its
    /// settings. Looks at files or names on the connector's own threads, never on the caller's.
    async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError>;

    /// Opens a handle for a party; checks settings and policy again, on what is really opened. Where handles have to
    /// share something (the processor, a pool), each party gets the same share of it, however many handles it has.
    async fn open(&self, given: &Configuration, party: &Party) -> Result<Arc<dyn DataSource>, OpenError>;
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

    /// What whoever connects it should know, in sentences: that the role could do more than read, for instance.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), QueryError>;
}
