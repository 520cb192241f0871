//! The shared store, as far as the protocol uses it: one scope's revision, its row of `narrowing`,
//! and the lease rows with their acknowledgements.
//!
//! It knows no record. A scope's revision counts narrowing changes alone: the n-th of them takes
//! the n-th permission away, so a view at revision r refuses the first r permissions.

use crate::{NODES_MAX, SCOPES_MAX};

/// A primary: what is committed there, visible to every new snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Primary {
    /// The revision of each scope.
    pub revisions: [u8; SCOPES_MAX],
    /// The newest row of `narrowing` of each scope, 0 where it was removed. Publishing it publishes the older ones.
    pub narrowing: [u8; SCOPES_MAX],
    /// The sequence number of that row; only a mistake looks at it, all others leave it 0.
    pub sequence: [u8; SCOPES_MAX],
    /// Each node's lease row with its acknowledgement of each scope; `None` where it has none.
    pub leases: [Option<[u8; SCOPES_MAX]>; NODES_MAX],
}

impl Primary {
    /// Commits a narrowing change and its row in one transaction. Returns the new revision.
    pub(crate) fn narrow(&mut self, scope: usize, sequence: u8) -> u8 {
        self.revisions[scope] += 1;
        self.narrowing[scope] = self.revisions[scope];
        self.sequence[scope] = sequence;
        self.revisions[scope]
    }

    /// Commits a node's lease row; what it has acknowledged stays.
    pub(crate) fn renew(&mut self, node: usize) {
        self.leases[node].get_or_insert_default();
    }

    /// Commits an acknowledgement, which never goes back. False where the node has no lease row.
    pub(crate) fn acknowledge(&mut self, node: usize, scope: usize, revision: u8) -> bool {
        let Some(acks) = &mut self.leases[node] else { return false };
        acks[scope] = acks[scope].max(revision);
        true
    }

    /// Which nodes have a lease row, a bit for each.
    pub(crate) fn listed(&self) -> u8 {
        (0..NODES_MAX).filter(|node| self.leases[*node].is_some()).fold(0, |bits, node| bits | 1 << node)
    }

    /// Whether all nodes but `own` that have a lease row and are among `of` have acknowledged the revision.
    pub(crate) fn acknowledged(&self, own: usize, of: u8, scope: usize, revision: u8) -> bool {
        let others = self.leases.iter().enumerate().filter(|(node, _)| *node != own && of & 1 << node != 0);
        others.filter_map(|(_, lease)| lease.as_ref()).all(|acks| acks[scope] >= revision)
    }
}

/// A primary that was replaced. Nothing commits there any more, because that waits for the standby
/// that became the new primary; but whoever is still connected goes on reading what it last held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Former {
    /// What it held when it was replaced.
    pub held: Primary,
    /// The scope whose newest change there had not reached the standby: its revision is given anew.
    pub lost: Option<u8>,
}
