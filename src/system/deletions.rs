//! The list of organizations that were deleted and wait to be purged: a hint, written before the deletion and
//! removed when nothing is left. The organization's own record says whether and when.

use sequel_store::{Key, Record, Write};
use serde::{Deserialize, Serialize};

use super::orgs::{IndexError, OrgIndex};
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
    pub async fn note_deletion(&self, deletion: &Deletion) -> Result<(), IndexError> {
        let write = Write::Put(at(deletion.org), encode(deletion));
        self.commit(&self.deletions, Vec::new(), vec![write]).await
    }

    /// Takes an organization from the list.
    pub async fn forget_deletion(&self, org: OrgId) -> Result<(), IndexError> {
        self.commit(&self.deletions, Vec::new(), vec![Write::Delete(at(org))]).await
    }

    /// The whole list. An entry that cannot be read is left out and told in the log: the others count as before.
    pub async fn deletions(&self) -> Result<Vec<Deletion>, IndexError> {
        let records = self.scan(&self.deletions).await?;
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

fn at(org: OrgId) -> Key {
    Key::new(format!("org/{org}")).expect("a prefix and an id are a legal key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_fixture_still_decodes() {
        let fixture = include_str!("../../tests/it/fixtures/records/deletion.v1.json");
        let deletion = decode::<Deletion>(fixture.as_bytes()).unwrap();
        assert_eq!(deletion.name, "Acme");
        assert_eq!(encode(&deletion), fixture.as_bytes());
    }
}
