//! What happens to nodes and to the primary: time, crashes, starts, departures, failover.

use crate::clock::pass;
use crate::node::{Node, RenewalStep, Revoke, RevokeStep};
use crate::store::Former;
use crate::{Mistake, NODES_MAX, Protocol, State};

impl Protocol {
    /// A tick of real time: each node's clock goes on by its rate.
    pub(crate) fn tick(&self, state: &mut State, rates: [u8; NODES_MAX]) -> Option<()> {
        for (node, rate) in state.nodes.iter_mut().zip(rates) {
            pass(&mut node.lease, rate);
            pass(&mut node.distrust, rate);
            pass(&mut node.revoke.left, rate);
            let uncounted = self.sizes.late_t0 && node.renewal.step == RenewalStep::Begun;
            if !uncounted && !self.breaks(Mistake::LeaseCountedFromTheEnd) {
                pass(&mut node.renewal.left, rate);
            }
            if node.renewal.left == 0 {
                // It would move the deadline to where it has passed already.
                node.renewal = Default::default();
            }
        }
        Some(())
    }

    /// A node dies, and with it what it had in memory; its lease row stays.
    pub(crate) fn crash(&self, state: &mut State, node: usize) -> Option<()> {
        (self.sizes.crashes && state.nodes[node].up).then_some(())?;
        self.take_down(state, node);
        Some(())
    }

    /// A node stops in good order: it serves nothing any more, then its lease row goes.
    pub(crate) fn leave(&self, state: &mut State, node: usize) -> Option<()> {
        let at = &state.nodes[node];
        at.renewing(RenewalStep::Idle)?;
        at.revoking(RevokeStep::Idle)?;
        (self.sizes.departures && state.primary.leases[node].is_some()).then_some(())?;
        state.primary.leases[node] = None;
        if !self.breaks(Mistake::RowRemovedBeforeTheLastRequest) {
            self.take_down(state, node);
        }
        Some(())
    }

    fn take_down(&self, state: &mut State, node: usize) {
        state.nodes[node] = Node::default();
        state.call.lose_node(node);
    }

    /// A node starts, with nothing in memory.
    pub(crate) fn start(&self, state: &mut State, node: usize) -> Option<()> {
        (!state.nodes[node].up).then_some(())?;
        let trusts =
            !self.sizes.failover || node >= self.who_revokes() || self.breaks(Mistake::AcksTrustedAfterStart);
        state.nodes[node] = Node {
            up: true,
            distrust: if trusts { 0 } else { self.wait() },
            mixed: state.former.is_some(),
            ..Node::default()
        };
        Some(())
    }

    /// The standby becomes the primary. What was acknowledged is there, since commits wait for it; a
    /// commit that has not returned may be missing (`lost` names its node), although it could
    /// already be read.
    pub(crate) fn fail_over(&self, state: &mut State, lost: Option<usize>) -> Option<()> {
        (self.sizes.failover && state.former.is_none()).then_some(())?;
        let held = state.primary;
        let lost = match lost {
            None => None,
            Some(node) => Some(self.lose_commit(state, node)?),
        };
        state.former = Some(Former { held, lost });
        for (at, node) in state.nodes.iter_mut().enumerate().filter(|(_, node)| node.up) {
            node.mixed = true;
            node.renewal.on_former = node.renewal.step == RenewalStep::Committed;
            if at >= self.who_revokes() {
                continue;
            }
            // A node notices later and ignores acknowledgements for longer; this is the worst case.
            node.distrust = match self.mistake {
                Some(Mistake::AcksTrustedAfterFailover) => 0,
                Some(Mistake::AcksTrustedAfterD) => self.sizes.clocks.lease,
                _ => self.wait(),
            };
        }
        Some(())
    }

    /// The first nodes are those that revoke; the others need no acknowledgement.
    fn who_revokes(&self) -> usize {
        if self.sizes.repeats { self.sizes.nodes } else { self.sizes.revokers }
    }

    /// Takes back the commit of a revoke that has not returned; whoever has read it does not know.
    fn lose_commit(&self, state: &mut State, node: usize) -> Option<u8> {
        let revoke = state.nodes[node].revoke;
        (self.sizes.unreplicated && revoke.step == RevokeStep::Committed).then_some(())?;
        let scope = usize::from(revoke.scope);
        // Only the newest commit can be the one that is missing.
        (state.primary.revisions[scope] == revoke.revision).then_some(())?;
        let kept = revoke.revision - 1;
        state.primary.revisions[scope] = kept;
        state.primary.narrowing[scope] = kept;
        for acks in state.primary.leases.iter_mut().flatten() {
            acks[scope] = acks[scope].min(kept);
        }
        for place in state.nodes.iter_mut().map(|node| &mut node.places[scope]) {
            for seen in [&mut place.view, &mut place.read].into_iter().flatten() {
                seen.void = seen.revision > kept;
            }
        }
        // Its caller is told that it failed, or it is tried again: a new revoke either way.
        state.nodes[node].revoke = Revoke::default();
        Some(revoke.scope)
    }
}
