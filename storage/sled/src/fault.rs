//! What sled's errors mean for a caller. Owns the mapping and nothing else.

use std::io;
use std::path::Path;

use sequel_store::{CommitError, OpenError, ReadError};

/// Why the log could not be read or written.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What sled or the operating system says.
    Sled(sled::Error),
    /// A row that does not say what this backend writes.
    Damaged(String),
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sled(error) => error.fmt(f),
            Self::Damaged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Whether it is the disk that refused something.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Sled(sled::Error::Io(_)))
    }

    /// Whether no space is left; a limit on the size of files is one on space.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Sled(sled::Error::Io(error)) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }
}

/// A read that failed.
pub(crate) fn read(fault: Fault) -> ReadError {
    match fault {
        Fault::Sled(sled::Error::Corruption { .. }) => ReadError::Damaged(fault.to_string()),
        Fault::Damaged(what) => ReadError::Damaged(what),
        Fault::Sled(error) => ReadError::Unavailable(Box::new(error)),
    }
}

/// A read whose thread did not come back with an answer.
pub(crate) fn lost(error: tokio::task::JoinError) -> ReadError {
    if error.is_panic() {
        // sled holds what it reads against what it expects by panicking.
        return ReadError::Damaged(format!("sled gave up while reading: {error}"));
    }
    ReadError::Unavailable(Box::new(error))
}

/// A batch that certainly did not happen.
pub(crate) fn refused(fault: &Fault) -> CommitError {
    if fault.is_full() { CommitError::Full } else { CommitError::Unavailable(fault.to_string().into()) }
}

/// Whether another handle to the log still holds sled's own lock on it.
pub(crate) fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// A folder whose log could not be opened.
pub(crate) fn open(path: &Path, fault: &Fault) -> OpenError {
    let path = path.to_owned();
    if fault.is_full() {
        return OpenError::Full { path };
    }
    match fault {
        Fault::Sled(error) if is_held(error) => OpenError::Path {
            path,
            why: "another program has its log open. Close that program and start again.".to_owned(),
        },
        Fault::Sled(sled::Error::Io(error)) => OpenError::io(&path, error),
        Fault::Sled(sled::Error::Unsupported(what)) => OpenError::Damaged {
            path,
            why: format!("{what} Open it with the version of Sequel that wrote it, or restore a backup."),
        },
        Fault::Sled(error) => OpenError::Damaged { path, why: format!("{error}. Restore a backup.") },
        Fault::Damaged(what) => OpenError::Damaged { path, why: format!("{what}. Restore a backup.") },
    }
}
