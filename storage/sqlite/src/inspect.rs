//! Looking at a store from outside, also while another process holds it: whether it opens, of which version it is,
//! whether it is whole. Changes nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sequel_store::{Inspection, OpenError};

use crate::{fault, open, schema};

/// Inspects the store at `path`; `None` where there is none yet. Damage is what SQLite's quick check says.
/// Blocks: reads the whole file.
pub fn inspect(path: &Path) -> Result<Option<Inspection>, OpenError> {
    let path = open::resolve(path)?;
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error: rusqlite::Error| fault::open(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(open::BUSY_WAIT).map_err(failed)?;
    schema::check(&connection, &path)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    // One complaint says enough.
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    // It begins with a line that names the database, of which there is one.
    let complaint = || verdict.lines().rfind(|line| !line.starts_with("***")).unwrap_or(&verdict).to_owned();
    let damage = (verdict != "ok").then(complaint);
    Ok(Some(Inspection { version, known: schema::KNOWN, damage }))
}
