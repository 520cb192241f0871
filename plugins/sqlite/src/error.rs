//! SQLite's errors in Sequel's words.
//!
//! What SQLite says about the SQL goes to its author; what it says about files and locks goes to the log.

use rusqlite::ffi::ErrorCode;
use rusqlite::{Connection, Error};
use sequel_connector::{OpenError, QueryError, Said, nearest, words};

use crate::watch::Watch;

/// Most names that a hint is looked for among: enough for real schemas, and bounded.
const CANDIDATES_MAX: u32 = 5_000;

pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The engine's code, also of errors that carry the SQL.
fn code(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::SqliteFailure(failure, _) => Some(failure.code),
        Error::SqlInputError { error, .. } => Some(error.code),
        _ => None,
    }
}

/// Characters of SQLite's own words that are passed on. They may repeat what stands in rows and in the schema.
const ENGINE_CHARS_MAX: usize = 300;

/// Most names that a hint lists, and most characters of each.
const HINT_NAMES_MAX: usize = 10;
const HINT_NAME_CHARS_MAX: usize = 64;

/// A failed query. `connection` still carries the query's watch, so that the search for a hint ends in time.
pub(crate) fn query_error(error: Error, connection: &Connection, watch: &Watch) -> QueryError {
    match code(&error) {
        Some(ErrorCode::OperationInterrupted) => {
            watch.reason().unwrap_or_else(|| QueryError::Unavailable(Box::new(error)))
        }
        Some(ErrorCode::TooBig) => QueryError::Limit(Said::new(
            words::MEMORY,
            format!(
                "A text or blob in the query is larger than {} MiB, which is the most. Select a part of it with substr(), \
             or its length().",
                crate::connection::VALUE_BYTES_MAX / (1024 * 1024)
            ),
        )),
        Some(ErrorCode::OutOfMemory) => QueryError::Limit(Said::new(
            words::MEMORY,
            "The query needs more memory than this server gives to SQLite. Sort, group or join fewer rows, select \
             fewer or shorter columns, or use simpler views.",
        )),
        Some(ErrorCode::AuthorizationForStatementDenied) => not_authorized(message(&error).0),
        Some(ErrorCode::ReadOnly) => QueryError::Refused(Said::new(
            words::WRITES,
            "The statement would write, and this data source is read-only. Send a SELECT.",
        )),
        Some(
            ErrorCode::Unknown
            | ErrorCode::TypeMismatch
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::ConstraintViolation
            | ErrorCode::ApiMisuse,
        ) => sql_error(error, connection),
        Some(_) => QueryError::Unavailable(Box::new(error)),
        None => match error {
            Error::MultipleStatement => {
                let said = "Only one statement is run at a time. Send one SELECT statement.";
                QueryError::Refused(Said::new(words::SEVERAL_STATEMENTS, said))
            }
            other => QueryError::Unavailable(Box::new(other)),
        },
    }
}

/// The authorizer's refusal, which has several codes.
fn not_authorized(message: String) -> QueryError {
    QueryError::Refused(Said::new(
        words::ENGINE,
        format!(
            "{}. This data source is read-only and allows plain SELECT statements over its tables and views.",
            capitalized(message)
        ),
    ))
}

fn sql_error(error: Error, connection: &Connection) -> QueryError {
    let (message, place) = message(&error);
    if message.starts_with("not authorized") {
        return not_authorized(message);
    }
    if message.contains("too many columns") {
        let said = "The result has more columns than SQLite allows (2000). Name fewer columns.";
        return QueryError::Limit(Said::new(words::COLUMNS, said));
    }
    let mut text = format!("SQLite says: {message}{}.", place.unwrap_or_default());
    if let Some(table) = message.strip_prefix("no such table: ") {
        let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table','view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'";
        text += &hint(connection, table, sql, "tables");
    } else if let Some(column) = message.strip_prefix("no such column: ") {
        let column = column.split(" - ").next().unwrap_or(column);
        let sql = "SELECT DISTINCT c.name FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c \
                   WHERE t.type IN ('table','view') AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~'";
        text += &hint(connection, column, sql, "");
    } else if message.starts_with("wrong number of arguments to function")
        || message.starts_with("no such function")
    {
        text += " See SQLite's own functions: dates are strftime() and date(), there is no extract() or to_char().";
    }
    QueryError::Sql(text)
}

/// " Did you mean …?", or the names that there are where they are few.
fn hint(connection: &Connection, wrong: &str, candidates_sql: &str, what: &str) -> String {
    let wrong = wrong.rsplit('.').next().unwrap_or(wrong);
    let names = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(&format!("{candidates_sql} LIMIT {CANDIDATES_MAX}"))?;

        statement.query_map([], |row| row.get(0))?.collect()
    };
    // A hint is a courtesy: where none can be found, the message stands without it.
    let mut names = names().unwrap_or_default();
    // Whoever makes a table may write a sentence into its name.
    names.retain(|name| is_plain(name));
    match nearest(wrong, names.iter().map(String::as_str)) {
        Some(near) => format!(" Did you mean {near}?"),
        None if !what.is_empty() && !names.is_empty() && names.len() <= HINT_NAMES_MAX => {
            format!(" The {what} are: {}.", names.join(", "))
        }
        None => String::new(),
    }
}

fn is_plain(name: &str) -> bool {
    name.chars().count() <= HINT_NAME_CHARS_MAX
        && name.chars().all(|char| char.is_alphanumeric() || char == '_')
}

/// SQLite's message, cut and without control characters, and, where it knows one, the place in the SQL.
fn message(error: &Error) -> (String, Option<String>) {
    let (text, place) = own_words(error);
    let mut words: String =
        text.chars().filter(|char| !char.is_control()).take(ENGINE_CHARS_MAX + 1).collect();
    if let Some((cut, _)) = words.char_indices().nth(ENGINE_CHARS_MAX) {
        words.truncate(cut);
        words.push('…');
    }
    (words, place)
}

fn own_words(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SqlInputError { msg, sql, offset, .. } => {
            let before = usize::try_from(*offset).ok().and_then(|offset| sql.get(..offset));
            let place = before.map(|before| {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!(" (line {line}, column {column})")
            });
            (msg.clone(), place)
        }
        Error::SqliteFailure(_, Some(message)) => (message.clone(), None),
        other => (other.to_string(), None),
    }
}

fn capitalized(text: String) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

pub(crate) fn not_a_database() -> OpenError {
    OpenError::Settings(
        "The file is not an SQLite database, or it is encrypted. Give the path of an SQLite 3 file.".into(),
    )
}

/// A file that could not be opened, in words for an org's admin.
pub(crate) fn open_error(error: Error) -> OpenError {
    match code(&error) {
        Some(ErrorCode::NotADatabase) => not_a_database(),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Settings(
            "The file is a damaged SQLite database. Check it with \"PRAGMA integrity_check\" in the sqlite3 shell.".into(),
        ),
        Some(ErrorCode::CannotOpen) => OpenError::Settings(
            "The file cannot be opened. The server's user needs to read it and, where the database is in WAL mode, to \
             write into its folder; otherwise run \"PRAGMA journal_mode=DELETE\" on it once."
                .into(),
        ),
        Some(ErrorCode::PermissionDenied) => {
            OpenError::Settings("The server's user may not read the file. Change its permissions.".into())
        }
        _ => OpenError::Unavailable(Box::new(error)),
    }
}
