//! One connection to an SQLite file, with every layer of "read-only" that SQLite itself has.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use sequel_connector::{OpenError, SQL_BYTES_MAX};

use crate::authorizer::authorize;
use crate::error::open_error;
use crate::patterns::PATTERN_BYTES_MAX;
use crate::place::{Place, Policy, belongs_to_the_server, identity};

/// Largest text or blob that SQLite builds or reads, in bytes. It bounds what one instruction can take, during
/// which nobody looks at the watch: 10 to 30 ms for a function over such a text (measured, on a busy machine),
/// where 4 MiB took over 100. Answers show 64 KiB of a cell at most.
pub(crate) const VALUE_BYTES_MAX: i32 = 1024 * 1024;

/// Most arguments of a function: `json_object` of 32 members. A JSON function walks its text once for each
/// path, 2 to 4 ms for the largest text, so that one call takes a quarter of a second at worst.
const ARGUMENTS_MAX: i32 = 64;

/// How long the first look into a file waits for a writer. Later waits are those of the query's own watch.
const FIRST_LOOK_WAIT: Duration = Duration::from_secs(1);

/// How long SQLite itself waits for a writer before it hands back to us, who look at the token and the
/// deadline and try again: a tenth of the second within which a cancelled query must stop.
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// Opens what the policy found, and holds that the same file is still there afterwards.
pub(crate) fn open(policy: &Policy, place: &Place) -> Result<Connection, OpenError> {
    // NOFOLLOW: SQLite itself refuses a link that took the place of any part of the path since it was
    // looked at. The path is absolute, so that it cannot be read as a `file:` URI.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(&place.path, flags).map_err(open_error)?;
    harden(&connection).map_err(open_error)?;
    not_our_own(&connection, policy)?;
    connection.authorizer(Some(authorize)).map_err(open_error)?;
    let now = place.path.symlink_metadata().map_err(|error| OpenError::Unavailable(Box::new(error)))?;
    if !now.is_file() || identity(&now) != place.identity {
        return Err(OpenError::Unavailable("the file was replaced while it was opened".into()));
    }
    Ok(connection)
}

/// Refuses a copy of the server's own store, which no path gives away.
fn not_our_own(connection: &Connection, policy: &Policy) -> Result<(), OpenError> {
    if policy.refused_application_ids.is_empty() {
        return Ok(());
    }
    connection.busy_timeout(FIRST_LOOK_WAIT).map_err(open_error)?;
    let id: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(open_error)?;
    connection.busy_timeout(BUSY_WAIT).map_err(open_error)?;
    if policy.refused_application_ids.contains(&id) { Err(belongs_to_the_server()) } else { Ok(()) }
}

fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false)?;
    connection.pragma_update(None, "query_only", true)?;
    // What a query sorts and collects stays in memory, which has a limit of its own (see `memory`); in files it
    // filled the disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
        // With room for what explaining puts before a statement; the guard has counted the statement itself.
        (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX as i32 + 64),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1_000),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
        // 64 tables of 2000 columns need some 100,000 instructions.
        (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, ARGUMENTS_MAX),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        // Ours hold themselves to it; SQLite's own are not reached.
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES_MAX as i32),
        // Only our own reading of the schema binds anything.
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 8),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    crate::linear::install(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every layer of the engine, without the guard above them.
    #[test]
    fn the_engine_alone_refuses_what_the_guard_should_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("victim.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
            .unwrap();
        let before = std::fs::read(&path).unwrap();
        let place = Place { identity: identity(&path.metadata().unwrap()), path };
        let connection = open(&Policy::default(), &place).unwrap();
        let new = folder.path().join("new.db").display().to_string();
        for sql in [
            "INSERT INTO t VALUES (2)".to_owned(),
            "DELETE FROM t".into(),
            "UPDATE t SET a = 2".into(),
            "DROP TABLE t".into(),
            "CREATE TABLE u (a)".into(),
            "CREATE TEMP TABLE u (a)".into(),
            "CREATE TEMP VIEW u AS SELECT 1".into(),
            "CREATE VIRTUAL TABLE u USING fts5(a)".into(),
            "ALTER TABLE t RENAME TO u".into(),
            format!("ATTACH '{new}' AS x"),
            "DETACH main".into(),
            "VACUUM".into(),
            format!("VACUUM INTO '{new}'"),
            "ANALYZE".into(),
            "BEGIN IMMEDIATE".into(),
            "SAVEPOINT a".into(),
            "PRAGMA query_only = 0".into(),
            "PRAGMA trusted_schema = 1".into(),
            "PRAGMA writable_schema = 1".into(),
            "PRAGMA journal_mode = WAL".into(),
            "PRAGMA page_size = 1024".into(),
            "PRAGMA temp_store_directory = '/'".into(),
            "SELECT load_extension('x')".into(),
            "SELECT fts3_tokenizer('simple')".into(),
            "SELECT zeroblob(10)".into(),
            "SELECT * FROM pragma_journal_mode".into(),
        ] {
            let ran = connection.prepare(&sql).and_then(|mut statement| {
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            });
            assert!(ran.is_err(), "{sql}");
        }
        assert_eq!(std::fs::read(&place.path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_file_in_the_place_of_the_one_that_was_looked_at_is_not_kept_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let place = Place { identity: (0, 0), path: path.clone() };
        assert!(matches!(open(&Policy::default(), &place), Err(OpenError::Unavailable(_))));
        let link = path.with_file_name("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let place = Place { identity: identity(&path.metadata().unwrap()), path: link };
        assert!(open(&Policy::default(), &place).is_err());
    }
}
