//! What can go wrong with a backup, each a sentence for the operator that says what to do.

use std::path::PathBuf;

use sequel_store::{CommitError, ReadError};
use thiserror::Error;

use crate::context::RngError;
use crate::record::RecordError;
use crate::system::TableError;

/// Something that was not done, and why.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Something else is in the file.
    #[error("this is no backup that Sequel made. Name a file that 'sequel backup' wrote.")]
    NotABackup,
    /// A newer Sequel wrote it.
    #[error(
        "the backup has format {found}; this version reads format {known}. Use the Sequel that made it, or a newer one."
    )]
    Newer {
        /// The file's format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// It ends too early.
    #[error(
        "the backup is not whole: it ends in the middle. Copy it anew from where it was made, or use another one."
    )]
    Truncated,
    /// It is not what was written.
    #[error("the backup is damaged: {0}. Copy it anew from where it was made, or use another one.")]
    Damaged(&'static str),
    /// It is encrypted and nobody said with what.
    #[error("the backup is encrypted. Name the file that its passphrase is in with --passphrase-file.")]
    NeedsPassphrase,
    /// It is not encrypted, although it should be: somebody may have put another one in its place.
    #[error("the backup is not encrypted. If that is right, leave --passphrase-file out.")]
    NotEncrypted,
    /// Another passphrase.
    #[error("the passphrase is not the one that the backup was encrypted with. Use the right one.")]
    WrongPassphrase,
    /// A passphrase that protects nothing.
    #[error("the file {} holds no passphrase: its first line is empty. Write one into it, better a long one.", .0.display())]
    EmptyPassphrase(PathBuf),
    /// The server stopped sending.
    #[error("the server broke the backup off before it was whole ({0}). Look at its log, then try again.")]
    BrokenOff(String),
    /// The backend says that its files are damaged, and they cannot be read to their end.
    #[error(
        "the store is damaged ({0}) and cannot be read to its end. Keep a copy of it, and restore a backup."
    )]
    DamagedStore(String),
    /// The target is there already.
    #[error("{} is there already. Choose another name, or add --force to replace it.", .0.display())]
    Exists(PathBuf),
    /// A pipe, a device, a folder.
    #[error(
        "{} is no regular file. Name one: a backup is read twice, and written beside its place before it is moved there.",
        .0.display()
    )]
    NoFile(PathBuf),
    /// A file cannot be read or written.
    #[error("{} cannot be {what} ({source}).", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Reading the backup itself failed.
    #[error("the backup cannot be read ({0}).")]
    Read(#[source] std::io::Error),
    /// A record of a kind that is not known here.
    #[error(
        "{scope} holds a record that this version does not know ({key}): a newer Sequel wrote it. Use that version, or a newer one."
    )]
    UnknownKind {
        /// In which scope.
        scope: String,
        /// At which key.
        key: String,
    },
    /// A record that cannot be used.
    #[error(
        "the record {key} in {scope} cannot be used: {source}. Use the version of Sequel that wrote it, or an older backup."
    )]
    Record {
        /// In which scope.
        scope: String,
        /// At which key.
        key: String,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The target holds something.
    #[error("{0}")]
    NotEmpty(&'static str),
    /// The other store is unfinished itself.
    #[error("{0}")]
    Unfinished(String),
    /// What was copied is not what is there.
    #[error(
        "the copy differs from its source at {scope}, key {key}: nothing may be served from it. Run the copy again; if it differs again, look at both with 'sequel storage check'."
    )]
    Differs {
        /// In which scope.
        scope: String,
        /// At which key.
        key: String,
    },
    /// The store gave no answer.
    #[error("the store cannot be read ({}). Look at its disk and its log, then try again.", causes(.0))]
    StoreRead(#[from] ReadError),
    /// The store took no change.
    #[error(
        "the store did not confirm a change ({}). Mend that, then run the command again: it begins anew and loses nothing.",
        causes(.0)
    )]
    StoreCommit(#[from] CommitError),
    /// The store's own records.
    #[error("the store's own records cannot be read or written ({0}).")]
    Whole(#[from] TableError),
    /// Encryption could not begin.
    #[error(transparent)]
    Seal(#[from] super::SealError),
    /// No random bytes.
    #[error(transparent)]
    Rng(#[from] RngError),
}

/// An error and what lies beneath it, in one breath: behind the sentence nobody would look for it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    all.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_stands_inside_the_sentence() {
        let away = || -> Box<dyn std::error::Error + Send + Sync> { "no answer in time".into() };
        let told = BackupError::from(CommitError::Unavailable(away())).to_string();
        assert!(told.contains("no answer in time). Mend that") && told.ends_with("loses nothing."), "{told}");
        let told = BackupError::from(ReadError::Unavailable(away())).to_string();
        assert!(told.contains("no answer in time). Look at") && told.ends_with("try again."), "{told}");
    }
}
