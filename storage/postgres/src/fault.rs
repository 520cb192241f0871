//! What PostgreSQL's errors mean for a caller. Owns the mapping and nothing else.

use deadpool_postgres::PoolError;
use sequel_store::{CommitError, CommitId, OpenError, ReadError};
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::address::{Address, refused};
use crate::connections::NoAnswer;

/// The database did not answer in time.
#[derive(Debug)]
pub(crate) struct Silent;

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database did not answer in time")
    }
}

impl std::error::Error for Silent {}

/// A read that could not run.
pub(crate) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}

/// A read that the server refused.
pub(crate) fn read(error: Error) -> ReadError {
    match error.code() {
        Some(&SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED) => ReadError::Damaged(error.to_string()),
        _ => unavailable(error),
    }
}

/// A batch that was sent and not acknowledged.
///
/// An error ends a statement's transaction; whatever else ends a connection may have come after the commit.
pub(crate) fn commit(error: Error, id: CommitId) -> CommitError {
    let Some(told) = error.as_db_error() else { return CommitError::Unknown(id) };
    match told.parsed_severity() {
        // A pooler says so of a server that it lost, after it had passed the statement on.
        Some(Severity::Error) if told.code().code().starts_with("08") => CommitError::Unknown(id),
        Some(Severity::Error) => match *told.code() {
            SqlState::DISK_FULL => CommitError::Full,
            _ => CommitError::Unavailable(Box::new(error)),
        },
        _ => CommitError::Unknown(id),
    }
}

/// A database that could not be opened.
pub(crate) fn open(address: &Address, error: &Error) -> OpenError {
    let why = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "the server does not accept this user with this password. Check both, and pg_hba.conf.".to_owned()
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            "there is no such database. Make it with 'createdb', or name another one.".to_owned()
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            "this user may not make or use the schema 'sequel' there. Let it: GRANT CREATE ON DATABASE … TO …, or make it \
             the schema's owner."
                .to_owned()
        }
        Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            "the server has no connection left. Raise its max_connections, or lower what others use.".to_owned()
        }
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            "the server takes no writes: it is a standby or set to read-only. Name the primary.".to_owned()
        }
        Some(&SqlState::CANNOT_CONNECT_NOW) => {
            "the server is starting or stopping. Try again in a moment.".to_owned()
        }
        Some(&SqlState::DISK_FULL) => "the server's disk is full. Free some space there.".to_owned(),
        Some(code) => format!("the server refuses it ({}, {}).", code.code(), told(error)),
        None if told(error).ends_with("password missing") => {
            "the server wants a password. Put it into the URL, or into the file that storage.password_file names.".to_owned()
        }
        None => {
            format!("no PostgreSQL answers there ({}). Check the host, the port, TLS, and that it runs.", told(error))
        }
    };
    refused(&address.to_string(), &why)
}

/// A database that gave no connection.
pub(crate) fn unreached(address: &Address, why: &NoAnswer) -> OpenError {
    match why {
        NoAnswer::NotAsked(PoolError::Backend(error)) => open(address, error),
        NoAnswer::NotAsked(other) => refused(&address.to_string(), &format!("{other}.")),
        NoAnswer::NoConnection | NoAnswer::Silent => refused(
            &address.to_string(),
            "no PostgreSQL answers there in time. Check the host, the port, and that it runs.",
        ),
    }
}

/// An error with its causes, for the log: the driver's own text says `db error` and no more.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = String::new();
    let mut cause = Some(error);
    while let Some(at) = cause {
        causes.push_str(if causes.is_empty() { "" } else { ": " });
        causes.push_str(&at.to_string());
        cause = at.source();
    }
    causes
}
