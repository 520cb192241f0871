//! The list of organizations that were deleted and wait to be purged: a hint, written before the deletion and
//! removed when nothing is left. The organization's own record says whether and when.

use sequel_store::{Key, Record, Scope, Write};
use serde::{Deserialize, Serialize};

use super::{OrgIndex, TableError};
use crate::context::Timestamp;
use crate::credential::OrgId;
use crate::record::{decode, encode, versioned};

/// An organization that was deleted, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Which one.
    pub org: OrgId,
    /// Its name, to be given up when nothing else is left.
    pub name: String,
    /// When to look at it.
    pub due: Timestamp,
}

versioned! {
    Deletion, "deletion", 1;
}

impl OrgIndex {
    /// Notes an organization, or notes it anew.
    pub async fn note_deletion(&self, deletion: &Deletion) -> Result<(), TableError> {
        let write = Write::Put(at(deletion.org), encode(deletion));
        self.deletions.commit(Vec::new(), vec![write]).await
    }

    /// Takes an organization from the list.
    pub async fn forget_deletion(&self, org: OrgId) -> Result<(), TableError> {
        self.deletions.commit(Vec::new(), vec![Write::Delete(at(org))]).await
    }

    /// The whole list. An entry that cannot be read is left out and told in the log: the others count as before.
    pub async fn deletions(&self) -> Result<Vec<Deletion>, TableError> {
        let records = self.deletions.all(DELETIONS).await?;
        let readable = |record: &Record| match decode(&record.value) {
            Ok(deletion) => Some(deletion),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    key = ?record.key,
                    error,
                    "the entry of a deleted organization cannot be read"
                );
                None
            }
        };
        Ok(records.iter().filter_map(readable).collect())
    }
}

/// Where the list is.
pub fn scope() -> Scope {
    Scope::system("deleted-orgs").expect("a constant that is a legal scope name")
}

/// The prefix of all entries.
pub const DELETIONS: &str = "org/";

/// Where an organization's entry is.
pub fn at(org: OrgId) -> Key {
    Key::new(format!("{DELETIONS}{org}")).expect("a prefix and an id are a legal key")
}
