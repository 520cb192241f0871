//! The store as a whole: as a file and back, from one backend to another, and whether it is sound.
//!
//! Owns the format of backups, what a restore brings back and what it does not, and the list of all kinds of records.
//! It knows the trait and no backend, and it does not know who serves.
//!
//! **Invariant:** what was revoked after a backup was made is not revived by its restore (`restore`).
//! **Invariant:** half a restore or copy is never served (`system::whole`).

mod check;
mod copy;
mod error;
mod export;
mod fill;
mod format;
mod kind;
mod place;
mod restore;
mod seal;

pub use check::{Checker, Finding, Holds};
pub use copy::copy;
pub use error::BackupError;
pub use export::Exporter;
pub use format::{Decoder, Entry, Head, Item};
pub use place::{Backup, BackupFile, NewFile};
pub use restore::{Manner, Restoration, Restore};
pub use seal::{Passphrase, SealError, Sealer};
