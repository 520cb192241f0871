//! What the file holds: the schema in numbered versions, and the views for operators.
//!
//! Owns `application_id` and `user_version`. A file with another application id is not touched; a
//! file of a newer version is refused. A migration is one transaction, so a crash inside it leaves
//! the version before.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sequel_store::OpenError;

use crate::fault;

/// `Seql` in ASCII: how a file says that it is ours (SQLite's `application_id`), wherever it lies.
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Seql");
/// Each brings a file from the version of its index to the next.
const MIGRATIONS: [&str; 1] = [include_str!("v1.sql")];
/// The newest version that this build knows.
pub(crate) const KNOWN: u32 = MIGRATIONS.len() as u32;
const VIEWS: &str = include_str!("views.sql");

/// Whether the file is ours, or empty, and of a version that this build knows.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let state = state(connection).map_err(|error| fault::open(path, &error))?;
    let known = MIGRATIONS.len() as u32;
    match state {
        State::Empty => Ok(()),
        State::Ours(found) if found <= known => Ok(()),
        State::Ours(found) => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        State::Foreign => Err(OpenError::Damaged {
            path: path.to_owned(),
            why: "it is a database of another program. Use another data folder.".to_owned(),
        }),
    }
}

/// Brings a checked file to this build's version.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let done = match state(connection)? {
        State::Ours(version) => version as usize,
        State::Empty | State::Foreign => 0,
    };
    if done >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let views: Vec<String> = transaction
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for view in views {
        transaction.execute_batch(&format!("DROP VIEW \"{}\"", view.replace('"', "\"\"")))?;
    }
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(VIEWS)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    transaction.commit()
}

enum State {
    Empty,
    Ours(u32),
    Foreign,
}

fn state(connection: &Connection) -> rusqlite::Result<State> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match application {
        APPLICATION_ID => State::Ours(version.unsigned_abs()),
        0 if version == 0 && objects == 0 => State::Empty,
        _ => State::Foreign,
    })
}
