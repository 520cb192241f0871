//! Which organizations a user may be a member of: a hint. The truth is the member's record in the organization; an entry
//! is written before that and removed after it, so that a crash in between leaves an entry too many, never one too few.

use std::sync::Arc;

use sequel_store::{Key, Scope, Store, Write};
use serde::{Deserialize, Serialize};

use super::table::{Table, TableError};
use crate::context::Rng;
use crate::credential::{OrgId, UserId};
use crate::record::{decode, encode, versioned};

/// An organization that a user is a member of, was, or was about to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// Which one.
    pub org: OrgId,
}

versioned! {
    MembershipRecord, "membership", 1;
}

/// The index. Clones share the table.
#[derive(Clone)]
pub struct Memberships {
    table: Table,
}

impl Memberships {
    /// Over the table `system/memberships`.
    pub fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        Self { table: Table::new(store, scope(), rng) }
    }

    /// Notes an organization, or notes it again.
    pub async fn note(&self, user: UserId, org: OrgId) -> Result<(), TableError> {
        let write = Write::Put(at(user, org), encode(&MembershipRecord { org }));
        self.table.commit(Vec::new(), vec![write]).await
    }

    /// Takes an organization from a user's list.
    pub async fn forget(&self, user: UserId, org: OrgId) -> Result<(), TableError> {
        self.table.commit(Vec::new(), vec![Write::Delete(at(user, org))]).await
    }

    /// A user's list.
    pub async fn of(&self, user: UserId) -> Result<Vec<OrgId>, TableError> {
        let records = self.table.all(&format!("{MEMBERSHIPS}{user}/")).await?;
        records.iter().map(|stored| Ok(decode::<MembershipRecord>(&stored.value)?.org)).collect()
    }
}

/// Where the index is.
pub fn scope() -> Scope {
    Scope::system("memberships").expect("a constant that is a legal scope name")
}

/// The prefix of all entries.
pub const MEMBERSHIPS: &str = "user/";

fn at(user: UserId, org: OrgId) -> Key {
    Key::new(format!("{MEMBERSHIPS}{user}/{org}")).expect("a prefix and two ids are a legal key")
}
