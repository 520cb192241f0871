//! The lease: what a node may serve, and how a renewal moves the deadline.

use crate::node::{Node, Renewal, RenewalStep};
use crate::{Mistake, Protocol, SCOPES_MAX, State};

/// What a node answers requests with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// What its views say.
    Views,
    /// 503.
    Nothing,
}

impl Protocol {
    /// What `fence()` says of a node.
    pub(crate) fn serving(&self, node: &Node) -> Served {
        let holds = node.lease > 0 || self.breaks(Mistake::DeadlineNeverChecked);
        if node.up && holds { Served::Views } else { Served::Nothing }
    }

    /// t0 is taken.
    pub(crate) fn begin_renewal(&self, state: &mut State, node: usize) -> Option<()> {
        let rows = state.primary.narrowing;
        let node = &mut state.nodes[node];
        node.renewing(RenewalStep::Idle)?;
        (node.lease < self.sizes.clocks.lease).then_some(())?;
        let early_rows =
            if self.breaks(Mistake::NarrowingsInTheSnapshotOfTheLease) { rows } else { [0; SCOPES_MAX] };
        let early_lapsed = self.breaks(Mistake::LapseJudgedEarly) && node.lease == 0;
        let left = self.sizes.clocks.lease;
        node.renewal = Renewal { step: RenewalStep::Begun, left, on_former: false, early_rows, early_lapsed };
        Some(())
    }

    /// The lease row is committed. On a new primary the node gives up what it has from the former
    /// one: its connections, its reads under way, its views, and, in this very transaction, what it
    /// has acknowledged.
    pub(crate) fn commit_lease(&self, state: &mut State, node: usize) -> Option<()> {
        state.nodes[node].renewing(RenewalStep::Begun)?;
        state.primary.renew(node);
        let renewal = &mut state.nodes[node].renewal;
        renewal.step = RenewalStep::Committed;
        if self.sizes.late_t0 {
            renewal.left = self.sizes.clocks.lease;
        }
        if state.nodes[node].mixed && !self.breaks(Mistake::FormerPrimaryStillRead) {
            self.leave_former(state, node);
            if !self.breaks(Mistake::AcksKeptOverFailover) {
                state.primary.leases[node] = Some([0; SCOPES_MAX]);
            }
        }
        Some(())
    }

    fn leave_former(&self, state: &mut State, node: usize) {
        state.nodes[node].mixed = false;
        for scope in 0..SCOPES_MAX {
            let place = &mut state.nodes[node].places[scope];
            place.read = None;
            place.floor = 0;
            if !self.breaks(Mistake::AcksLandOnTheNewRow) {
                place.acking = 0;
            }
            if !self.breaks(Mistake::ViewsKeptOverFailover) {
                place.view = None;
                place.unswept = false;
                state.call.sweep(node, scope);
            }
        }
    }

    /// The narrowings are read in a new snapshot on the server that has the lease row; after a lapse
    /// also the revisions of all that the node holds.
    pub(crate) fn read_narrowings(&self, state: &mut State, node: usize) -> Option<()> {
        state.nodes[node].renewing(RenewalStep::Committed)?;
        let Renewal { on_former, early_rows, early_lapsed, .. } = state.nodes[node].renewal;
        let server = if on_former { state.former?.held } else { state.primary };
        let node = &mut state.nodes[node];
        let mut rows = server.narrowing;
        if self.breaks(Mistake::NarrowingsInTheSnapshotOfTheLease) {
            rows = early_rows;
        }
        if self.breaks(Mistake::NarrowingsSinceSequence) {
            for (row, sequence) in rows.iter_mut().zip(server.sequence) {
                if sequence <= node.sequence_seen {
                    *row = 0;
                }
            }
            let newest = server.sequence.into_iter().max().unwrap_or_default();
            node.sequence_seen = node.sequence_seen.max(newest);
        }
        let lapsed = match self.mistake {
            // In the early snapshot there is nothing else to compare with.
            Some(Mistake::LapseNotCompared | Mistake::NarrowingsInTheSnapshotOfTheLease) => false,
            Some(Mistake::LapseJudgedEarly) => early_lapsed,
            _ => node.lease == 0,
        };
        for (scope, place) in node.places.iter_mut().enumerate() {
            place.raise(if lapsed { server.revisions[scope] } else { rows[scope] });
            if place.view.is_some_and(|view| view.revision > server.revisions[scope]) && !on_former {
                // The store went back: this is closed, and loaded again.
                place.view = None;
                place.read = None;
            }
        }
        node.renewal = Renewal { step: RenewalStep::Read, left: node.renewal.left, ..Renewal::default() };
        Some(())
    }

    /// All that was read is published: only now the deadline moves.
    pub(crate) fn move_deadline(&self, state: &mut State, node: usize) -> Option<()> {
        let node = &mut state.nodes[node];
        node.renewing(RenewalStep::Read)?;
        let published = node.places.iter().all(|place| self.clear_of(place, place.floor));
        (published || self.breaks(Mistake::LeaseBeforePublish)).then_some(())?;
        node.lease = node.renewal.left;
        if self.breaks(Mistake::LeaseCountedFromTheEnd) {
            node.lease = self.sizes.clocks.lease;
        }
        node.renewal = Renewal::default();
        Some(())
    }
}
