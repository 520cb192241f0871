//! What can go wrong, named for what the caller can do about it.

use std::fmt;
use std::ops::Deref;

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

/// A sentence for the author of a statement, and the word that stands for it where nothing of the statement may be
/// kept. The sentence may repeat parts of the statement; the word is fixed when a connector is built, so it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    word: &'static str,
    sentence: String,
}

impl Said {
    /// `word` in lower case with underscores; those that mean something to others are in [`words`].
    pub fn new(word: &'static str, sentence: impl Into<String>) -> Self {
        Self { word, sentence: sentence.into() }
    }

    /// The word.
    pub fn word(&self) -> &'static str {
        self.word
    }
}

impl<S: Into<String>> From<S> for Said {
    fn from(sentence: S) -> Self {
        Self::new(words::OTHER, sentence)
    }
}

impl Deref for Said {
    type Target = str;

    fn deref(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Words for why a statement was refused or ended by a limit.
pub mod words {
    /// For what has no word of its own.
    pub const OTHER: &str = "other";

    /// There is no statement.
    pub const EMPTY: &str = "empty";
    /// More than one statement.
    pub const SEVERAL_STATEMENTS: &str = "several_statements";
    /// Another statement than a query, by itself or inside of one.
    pub const NOT_A_QUERY: &str = "not_a_query";
    /// A query that would change something.
    pub const WRITES: &str = "writes";
    /// A query that would lock rows.
    pub const LOCKS: &str = "locks";
    /// `EXPLAIN` of something that is not explained.
    pub const EXPLAIN: &str = "explain";
    /// A function that is not allowed.
    pub const FUNCTION: &str = "function";
    /// A table or view that is not shown.
    pub const RELATION: &str = "relation";
    /// A clause that is not allowed.
    pub const CLAUSE: &str = "clause";
    /// A text that readers take differently.
    pub const AMBIGUOUS: &str = "ambiguous";
    /// A statement that is too long.
    pub const TOO_LONG: &str = "too_long";
    /// A statement that nests too deep or grows too large.
    pub const TOO_COMPLEX: &str = "too_complex";
    /// What the engine itself does not allow.
    pub const ENGINE: &str = "engine";

    /// It ran for as long as it may.
    pub const TIME: &str = "time";
    /// Others kept all connections.
    pub const BUSY: &str = "busy";
    /// Another program kept the database locked.
    pub const LOCKED: &str = "locked";
    /// The engine has no more memory or room for it.
    pub const MEMORY: &str = "memory";
    /// Too many columns, or names of them that are too long.
    pub const COLUMNS: &str = "columns";
}

/// A query that gave no (complete) answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The guard or the engine refuses it as not read-only, not one statement, or not allowed.
    /// The message says what to change and is safe to show to the client.
    #[error("{0}")]
    Refused(Said),
    /// The SQL is wrong (syntax, unknown table or column, type). The message was written for the
    /// author of the SQL and holds no connection detail; safe to show.
    #[error("{0}")]
    Sql(String),
    /// A hard limit was met where a partial answer would mislead (time, columns). Safe to show.
    #[error("{0}")]
    Limit(Said),
    /// The query's token was cancelled, or its rows were dropped.
    #[error("the query was cancelled")]
    Cancelled,
    /// The database is away or busy; try again. The source is for the log only. Where it is an [`OpenError`] of settings or
    /// policy, trying again does not help: somebody changed what the source was opened with.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
}
