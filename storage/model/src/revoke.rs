//! Revokes: the change, its wait, and its answer.

use crate::node::{By, Revoke, RevokeStep};
use crate::{Mistake, Protocol, State};

/// All nodes.
const EVERY_NODE: u8 = u8::MAX;

impl Protocol {
    /// The transaction of a revoke begins, and takes its sequence number.
    pub(crate) fn begin_revoke(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        state.nodes[node].revoking(RevokeStep::Idle)?;
        let open = state
            .nodes
            .iter()
            .filter(|node| node.revoke.step == RevokeStep::Open && usize::from(node.revoke.scope) == scope);
        let taken = usize::from(state.primary.revisions[scope]) + open.count();
        (node < self.sizes.revokers && taken < usize::from(self.sizes.narrowings)).then_some(())?;
        let mut revoke = Revoke { step: RevokeStep::Open, scope: scope as u8, ..Revoke::default() };
        if self.breaks(Mistake::NarrowingsSinceSequence) {
            state.next_sequence += 1;
            revoke.sequence = state.next_sequence;
        }
        if self.breaks(Mistake::LeasesReadBeforeCommit) {
            revoke.listed = state.primary.listed();
        }
        if self.breaks(Mistake::WaitCountedFromBeforeCommit) {
            revoke.left = self.wait();
        }
        state.nodes[node].revoke = revoke;
        Some(())
    }

    /// The transaction commits: the change and its row of `narrowing`.
    pub(crate) fn commit_revoke(&self, state: &mut State, node: usize) -> Option<()> {
        let revoke = &mut state.nodes[node].revoke;
        (revoke.step == RevokeStep::Open).then_some(())?;
        revoke.revision = state.primary.narrow(usize::from(revoke.scope), revoke.sequence);
        revoke.sequence = 0;
        revoke.step = RevokeStep::Committed;
        Some(())
    }

    /// COMMIT has returned: tc is taken, and the node hears of its own change.
    pub(crate) fn await_settling(&self, state: &mut State, node: usize) -> Option<()> {
        let node = &mut state.nodes[node];
        node.revoking(RevokeStep::Committed)?;
        if !self.breaks(Mistake::WaitCountedFromBeforeCommit) {
            node.revoke.left = self.wait();
        }
        node.revoke.step = RevokeStep::Waiting;
        node.places[usize::from(node.revoke.scope)].raise(node.revoke.revision);
        Some(())
    }

    /// Somebody revokes what is revoked already: nothing is committed, and it waits like the first.
    pub(crate) fn repeat_revoke(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let revision = state.primary.revisions[scope];
        // What can be read is replicated, unless the model says otherwise; then a repeated revoke has to commit too.
        (self.sizes.repeats && !self.sizes.unreplicated && revision > 0).then_some(())?;
        let at = &mut state.nodes[node];
        at.revoking(RevokeStep::Idle)?;
        at.places[scope].raise(revision);
        let left = if self.breaks(Mistake::RepeatAnsweredAtOnce) { 0 } else { self.wait() };
        at.revoke =
            Revoke { step: RevokeStep::Waiting, scope: scope as u8, revision, left, ..Revoke::default() };
        Some(())
    }

    /// The answer leaves: from now on the revoked credential must not be good for anything that
    /// begins. An answer that leaves later promises less, so this is the worst case.
    pub(crate) fn answer(&self, state: &mut State, node: usize, by: By) -> Option<()> {
        self.settled(state, node, by).then_some(())?;
        let Revoke { scope, revision, .. } = state.nodes[node].revoke;
        let answered = &mut state.answered[usize::from(scope)];
        *answered = revision.max(*answered);
        state.nodes[node].revoke = Revoke::default();
        Some(())
    }

    /// Whether a node may answer its revoke: by the lease rows of a new snapshot, or because the wait is over.
    pub(crate) fn settled(&self, state: &State, node: usize, by: By) -> bool {
        let at = &state.nodes[node];
        let revoke = at.revoke;
        let scope = usize::from(revoke.scope);
        if !at.up || revoke.step != RevokeStep::Waiting || !self.clear_of(&at.places[scope], revoke.revision)
        {
            return false;
        }
        match by {
            By::Deadline => revoke.left == 0,
            By::Acks => {
                let server = match state.former {
                    Some(former) if at.mixed && self.breaks(Mistake::LeasesReadOnTheFormer) => former.held,
                    _ => state.primary,
                };
                let asked =
                    if self.breaks(Mistake::LeasesReadBeforeCommit) { revoke.listed } else { EVERY_NODE };
                at.distrust == 0 && server.acknowledged(node, asked, scope, revoke.revision)
            }
        }
    }

    /// A row of `narrowing` whose revoke was answered is removed.
    pub(crate) fn prune(&self, state: &mut State, scope: usize) -> Option<()> {
        let row = &mut state.primary.narrowing[scope];
        (self.sizes.pruning && *row > 0 && state.answered[scope] >= *row).then_some(())?;
        *row = 0;
        state.primary.sequence[scope] = 0;
        Some(())
    }

    /// How long a revoke waits on its own clock when acknowledgements are missing.
    pub(crate) fn wait(&self) -> u8 {
        let clocks = self.sizes.clocks;
        match self.mistake {
            Some(Mistake::DriftLeftOut) => clocks.lease,
            Some(Mistake::DriftAgainstRealTime) => clocks.wait_by_real_time(),
            _ => clocks.wait(),
        }
    }
}
