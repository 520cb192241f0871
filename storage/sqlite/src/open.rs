//! Opening the file: where it is, who may read it, and how each connection is set up.
//!
//! Owns paths, modes and pragmas. It knows nothing of tables; `schema` decides what a file holds.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::ffi::SQLITE_READONLY;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use sequel_store::OpenError;

use crate::{fault, schema};

/// Statements that a connection keeps prepared; there are fewer than this.
const STATEMENTS_MAX: usize = 32;
/// An operator's `sqlite3` may hold the write lock for a moment; beyond this the store says it is away.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// The absolute path of the store, which is a file or not there yet.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let path = sequel_store::resolve(path)?;
    if path.is_dir() {
        let why = "it is a folder. Name a file inside the data folder.".to_owned();
        return Err(OpenError::Path { path, why });
    }
    Ok(path)
}

/// The first connection: makes the file (mode 0600) where there is none, checks what it holds,
/// migrates it, and goes on as the writer's.
pub(crate) fn first(path: &Path, pages_max: Option<u32>) -> Result<Connection, OpenError> {
    private_file(path)?;
    sync_wal(path).map_err(|error| OpenError::Path {
        path: path.to_owned(),
        why: format!("what it holds cannot be made durable ({error}). Check the disk."),
    })?;
    let mut connection = connect(path).map_err(|error| fault::open(path, &error))?;
    // Looked at before anything is written, WAL's header included: a foreign file stays as it is.
    schema::check(&connection, path)?;
    set_up(&connection, pages_max).map_err(|error| fault::open(path, &error))?;
    schema::migrate(&mut connection).map_err(|error| fault::open(path, &error))?;
    Ok(connection)
}

/// Another writing connection, after the first was lost to an I/O error.
///
/// Where a sync of the WAL failed, syncing it once more may say that all is well although it is not: the system has
/// given the pages up. So what is in the WAL is written to the database, which is synced. A reader of an older state
/// keeps pages from that, and as long as there is one nothing unsynced is taken for committed (see `Writer::doubted`).
pub(crate) fn writer(path: &Path, pages_max: Option<u32>) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    if connection.is_readonly(MAIN_DB)? {
        // What SQLite makes of a disk that is read-only just now; it would stay so when the disk no longer is.
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(SQLITE_READONLY), None));
    }
    set_up(&connection, pages_max)?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(connection)
}

/// Syncs what a process that was killed may have written and not synced: from here on it is read, and a batch that
/// is committed once more is answered by it.
fn sync_wal(path: &Path) -> io::Result<()> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match fs::File::open(wal) {
        Ok(wal) => wal.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes read connections.
pub(crate) fn reader_manager(path: &Path) -> SqliteConnectionManager {
    SqliteConnectionManager::file(path).with_flags(flags()).with_init(|connection| {
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // 256 KiB of cache each: pages are re-read from the operating system's cache cheaply, and an organization
        // is read once. Four readers of 1 MiB were a tenth of a loaded server's memory.
        connection.execute_batch("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-256;")
    })
}

fn flags() -> OpenFlags {
    // No CREATE: `private_file` made it with the right mode. No mutex: a connection has one thread at a time.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn set_up(connection: &Connection, pages_max: Option<u32>) -> rusqlite::Result<()> {
    // FULL syncs the WAL at each COMMIT: that is what makes an answer durable. A WAL that a long
    // export let grow is cut back to 16 MiB.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;
         PRAGMA journal_size_limit=16777216; PRAGMA cache_size=-1024;",
    )?;
    if let Some(pages) = pages_max {
        connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Makes the file for its owner alone, and takes others' rights away from one that is there.
/// SQLite gives `-wal` and `-shm` the same mode.
fn private_file(path: &Path) -> Result<(), OpenError> {
    let refuse = |error: io::Error| {
        match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { path: path.to_owned() },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::Path {
            path: path.to_owned(),
            why: "permission denied. Make the file and its folder readable and writable for the user that runs Sequel."
                .to_owned(),
        },
        _ => OpenError::Path { path: path.to_owned(), why: format!("{error}. Check the data folder and its disk.") },
    }
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(refuse)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(refuse)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "the store was open to other users; it is private now");
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(refuse)?;
        }
    }
    Ok(())
}
