//! What SQLite's error codes mean for a caller. Owns the mapping and nothing else.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_NOTADB};
use sequel_store::{CommitError, OpenError, ReadError};

/// A read that could not run.
pub(crate) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Unavailable(Box::new(error))
}

/// A read that SQLite refused.
pub(crate) fn read(error: rusqlite::Error) -> ReadError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ReadError::Damaged(error.to_string()),
        _ => ReadError::Unavailable(Box::new(error)),
    }
}

/// A batch that certainly did not happen.
pub(crate) fn refused(error: rusqlite::Error) -> CommitError {
    if is_full(&error) { CommitError::Full } else { CommitError::Unavailable(Box::new(error)) }
}

/// Whether no space is left. SQLite maps ENOSPC of ordinary writes to SQLITE_FULL; growing the
/// shared-memory file is the one place where it does not.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_IOERR_SHMSIZE)
}

/// A file that could not be opened or migrated.
pub(crate) fn open(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    if is_full(error) {
        return OpenError::Full { path };
    }
    let why = match error.sqlite_error_code() {
        _ if error.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_NOTADB) => {
            let why =
                "it is not an SQLite database. Use another data folder, or restore a backup.".to_owned();
            return OpenError::Damaged { path, why };
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return OpenError::Damaged { path, why: format!("{error}. Restore a backup.") };
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "the file or its folder is not writable. Make both writable for the user that runs Sequel."
                .to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program is writing to it. Close that program and start again.".to_owned()
        }
        _ => format!("{error}. Check the disk."),
    };
    OpenError::Path { path, why }
}
