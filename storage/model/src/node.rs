//! One node: what it holds of each scope, its lease, and the renewal and the revoke that it has under way.

use crate::{NODES_MAX, SCOPES_MAX};

/// What was read of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The revision that it was read at.
    pub revision: u8,
    /// Its newest change was lost by a failover: it *says* `revision` and holds one change less.
    /// The node does not know.
    pub void: bool,
}

impl Seen {
    /// How many narrowings it really holds.
    pub fn truth(self) -> u8 {
        self.revision - u8::from(self.void)
    }
}

/// A scope on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Whether the node may hold or publish what it reads of the scope: from before a load's first
    /// read until the view was closed.
    pub registered: bool,
    /// What requests are held against.
    pub view: Option<Seen>,
    /// What a load, or a catch-up, has read and not yet published.
    pub read: Option<Seen>,
    /// The newest narrowing that the node has heard of since it registered.
    pub floor: u8,
    /// The acknowledgement that is under way to the store, 0 for none.
    pub acking: u8,
    /// Published, but the calls that were admitted before are not ended yet.
    pub unswept: bool,
}

impl Place {
    /// Raises the floor of a registered place.
    pub(crate) fn raise(&mut self, revision: u8) {
        if self.registered {
            self.floor = self.floor.max(revision);
        }
    }
}

/// How far a renewal has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RenewalStep {
    /// None is under way.
    #[default]
    Idle,
    /// t0 was taken.
    Begun,
    /// The lease row is committed.
    Committed,
    /// The narrowings were read, in a snapshot after that; what they ask for is being published.
    Read,
}

/// A renewal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Renewal {
    /// How far it is.
    pub step: RenewalStep,
    /// What is left of D, counted from t0.
    pub left: u8,
    /// The lease row was committed on the primary that was replaced since.
    pub on_former: bool,
    /// What mistakes remember from the beginning: the narrowings then.
    pub early_rows: [u8; SCOPES_MAX],
    /// … and whether the lease had lapsed then.
    pub early_lapsed: bool,
}

/// Why a revoke may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Every listed node has acknowledged it.
    Acks,
    /// The wait is over.
    Deadline,
}

/// How far a revoke has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RevokeStep {
    /// None is under way.
    #[default]
    Idle,
    /// Its transaction is open and has its sequence number.
    Open,
    /// It is committed; the node does not know yet.
    Committed,
    /// COMMIT has returned, tc was taken; it is answered when it has settled.
    Waiting,
}

/// A revoke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Revoke {
    /// How far it is.
    pub step: RevokeStep,
    /// Its scope.
    pub scope: u8,
    /// The revision that it made, from its commit on.
    pub revision: u8,
    /// What is left of D(1+ρ), counted from tc.
    pub left: u8,
    /// Its sequence number, for the one mistake that looks at it.
    pub sequence: u8,
    /// For the mistake that reads lease rows early: the nodes that had one.
    pub listed: u8,
}

/// A node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Whether it runs.
    pub up: bool,
    /// What it holds of each scope.
    pub places: [Place; SCOPES_MAX],
    /// What is left of its lease; 0 is a lapsed one.
    pub lease: u8,
    /// Its renewal.
    pub renewal: Renewal,
    /// Its revoke.
    pub revoke: Revoke,
    /// For how long it still ignores acknowledgements.
    pub distrust: u8,
    /// Its pool may hold connections to the former primary.
    pub mixed: bool,
    /// For the mistake that reads narrowings since a sequence number.
    pub sequence_seen: u8,
}

impl Node {
    /// A node that runs, holds a lease and serves scope 0.
    pub(crate) fn warm(lease: u8) -> Self {
        let place =
            Place { registered: true, view: Some(Seen { revision: 0, void: false }), ..Place::default() };
        let mut node = Self { up: true, lease, ..Self::default() };
        node.places[0] = place;
        node
    }

    /// Whether a countdown of this node runs, so that its rate matters.
    pub(crate) fn timed(&self) -> bool {
        self.lease > 0 || self.renewal.left > 0 || self.revoke.left > 0 || self.distrust > 0
    }

    /// The step of its renewal that is under way, if it is this one.
    pub(crate) fn renewing(&self, step: RenewalStep) -> Option<()> {
        (self.up && self.renewal.step == step).then_some(())
    }

    /// The step of its revoke that is under way, if it is this one.
    pub(crate) fn revoking(&self, step: RevokeStep) -> Option<()> {
        (self.up && self.revoke.step == step).then_some(())
    }
}

/// All nodes of a model; those that it does not have are down for ever.
pub type Nodes = [Node; NODES_MAX];
