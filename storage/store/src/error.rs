//! What can go wrong, named for what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{CommitId, Revision};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A read that gave no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The backend is away or broken; try again later. The source is for the log only.
    #[error("the store is not available")]
    Unavailable(#[source] Source),
    /// A stored record cannot be read as the backend wrote it.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
}

/// A batch that was not acknowledged.
#[derive(Debug, Error)]
pub enum CommitError {
    /// A precondition did not hold; nothing changed. `now` is the scope's revision.
    #[error("a precondition did not hold; the scope is at revision {now:?}")]
    Conflict {
        /// The scope's revision when the batch was refused.
        now: Revision,
    },
    /// No space is left on the device; nothing changed.
    #[error("no space is left for the store")]
    Full,
    /// The batch is over a limit; nothing changed.
    #[error("the batch is over a limit of the store")]
    TooLarge,
    /// The batch contradicts itself; nothing changed. A mistake of the caller's code.
    #[error("the batch is malformed: {0}")]
    Malformed(&'static str),
    /// The backend is away; nothing changed.
    #[error("the store is not available")]
    Unavailable(#[source] Source),
    /// The commit was sent and its outcome is not known: commit the same batch again to find out.
    #[error("the outcome of commit {0} is not known")]
    Unknown(CommitId),
}

/// A store that could not be opened. The messages are one sentence for an operator that says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error(
        "{path} is in use by another Sequel process{holder}. Stop it first, or use another data folder or storage.url."
    )]
    Locked {
        /// The locked store.
        path: PathBuf,
        /// ` (pid 123, serving)` or empty.
        holder: String,
    },
    /// The folder or file is missing, unreadable or not writable.
    #[error("cannot open {path}: {why}")]
    Path {
        /// What was opened.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The store was written by a newer version of Sequel.
    #[error(
        "{path} was written by a newer version of Sequel (schema {found}, this one reads up to {known}). Install that version, or restore a backup made before the upgrade."
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest schema version this build reads.
        known: u32,
    },
    /// A database server that cannot be used.
    #[error("cannot open {at}: {why}")]
    Server {
        /// Its URL without a password, or the setting that names it.
        at: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// This build has no such backend.
    #[error(
        "this build of Sequel has no backend for {backend}: stores. Set another storage.url, or build it with --features {backend}."
    )]
    Unbuilt {
        /// The scheme of the store's URL, which is the feature's name.
        backend: &'static str,
    },
    /// No space is left on the device.
    #[error("{path}: the disk is full. Free some space and start again; nothing is lost.")]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// The file is there and is not a store of Sequel's, or is damaged.
    #[error("{path} is not a readable Sequel store: {why}")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What was found.
        why: String,
    },
}

impl OpenError {
    /// What the operating system's refusal to open, make or write the file at `path` means for an operator.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return OpenError::Full { path: path.to_owned() },
            io::ErrorKind::NotFound => "its folder does not exist. Create the folder, or use another data folder.".to_owned(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "permission denied. Make the folder writable for the user that runs Sequel, or use another data folder."
                    .to_owned()
            }
            io::ErrorKind::NotADirectory => "its parent is not a folder. Use another data folder.".to_owned(),
            _ => format!("{error}. Check the data folder and its disk."),
        };
        OpenError::Path { path: path.to_owned(), why }
    }
}
