//! What can go wrong, named for what the caller can do about it.

use thiserror::Error;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A data source that could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The settings are wrong; the message says what to change. Safe to show to an org's admin.
    #[error("{0}")]
    Settings(String),
    /// The operator's policy refuses it; the message names the setting. Safe to show.
    #[error("{0}")]
    Policy(String),
    /// The database cannot be reached or refuses us. The source is for the log only.
    #[error("the database cannot be opened")]
    Unavailable(#[source] Source),
}

/// A query that gave no (complete) answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The guard or the engine refuses it as not read-only, not one statement, or not allowed.
    /// The message says what to change and is safe to show to the client.
    #[error("{0}")]
    Refused(String),
    /// The SQL is wrong (syntax, unknown table or column, type). The message was written for the
    /// author of the SQL and holds no connection detail; safe to show.
    #[error("{0}")]
    Sql(String),
    /// A hard limit was met where a partial answer would mislead (time, columns). Safe to show.
    #[error("{0}")]
    Limit(String),
    /// The query's token was cancelled, or its rows were dropped.
    #[error("the query was cancelled")]
    Cancelled,
    /// The database is away or busy; try again. The source is for the log only. Where it is an [`OpenError`] of settings or
    /// policy, trying again does not help: somebody changed what the source was opened with.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
}
