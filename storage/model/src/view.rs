//! Views: loading, catching up, publishing, notices and their acknowledgements.

use crate::node::{Place, Seen};
use crate::{Mistake, Protocol, State};

impl Protocol {
    /// A notice arrives; it may have been lost before, and may come late, twice, or never.
    pub(crate) fn notice(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let revision = state.primary.revisions[scope];
        let place = &mut state.nodes[node].places[scope];
        if place.registered {
            // Once it is published and acknowledged, hearing it again changes nothing.
            let acks = state.primary.leases[node].map_or(0, |acks| acks[scope]);
            let known = place.view.is_some() && self.clear_of(place, revision) && acks >= revision;
            (place.floor < revision && !known).then_some(())?;
            place.raise(revision);
            return Some(());
        }
        // Nothing is held of the scope, and a later load reads later: there is nothing to wait for.
        let before = state.primary.leases[node];
        state.primary.acknowledge(node, scope, revision);
        (state.primary.leases[node] != before).then_some(())
    }

    /// The floor is acknowledged, as soon as nothing below it is served.
    pub(crate) fn acknowledge(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let place = state.nodes[node].places[scope];
        let published = self.clear_of(&Place { unswept: false, ..place }, place.floor);
        (published || self.breaks(Mistake::AckBeforePublish)).then_some(())?;
        let swept = !place.unswept || self.breaks(Mistake::AckBeforeSweep);
        (place.registered && swept).then_some(())?;
        let before = state.primary.leases[node]?[scope];
        (before.max(place.acking) < place.floor).then_some(())?;
        if self.sizes.slow_acks {
            state.nodes[node].places[scope].acking = place.floor;
            return Some(());
        }
        state.primary.acknowledge(node, scope, place.floor).then_some(())
    }

    /// An acknowledgement arrives at the lease row that it is for.
    pub(crate) fn land(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let revision = std::mem::take(&mut state.nodes[node].places[scope].acking);
        (revision > 0).then_some(())?;
        state.primary.acknowledge(node, scope, revision);
        Some(())
    }

    /// Nothing below `revision` is served by this place, nor will be, nor goes on.
    pub(crate) fn clear_of(&self, place: &Place, revision: u8) -> bool {
        let newer = place.view.is_some_and(|view| view.revision >= revision);
        let nothing = place.view.is_none() && (self.sizes.floors || !place.registered || revision == 0);
        !place.unswept && (newer || nothing)
    }

    /// Whether a floor keeps what lies below it from being published.
    pub(crate) fn keeps_floors(&self) -> bool {
        self.sizes.floors && !self.breaks(Mistake::PublishBelowTheFloor)
    }

    /// A load begins: it registers.
    pub(crate) fn load(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let place = &mut state.nodes[node].places[scope];
        (!self.breaks(Mistake::LoadRegisteredLate) && !place.registered).then_some(())?;
        place.registered = true;
        Some(())
    }

    /// A load or a catch-up reads the scope, on the former primary where the pool still reaches it.
    pub(crate) fn read(&self, state: &mut State, node: usize, scope: usize, former: bool) -> Option<()> {
        let mixed = state.nodes[node].mixed;
        let place = &mut state.nodes[node].places[scope];
        (place.registered || self.breaks(Mistake::LoadRegisteredLate)).then_some(())?;
        let seen = if former {
            let former = state.former.filter(|_| mixed)?;
            let void = former.lost == Some(scope as u8);
            Seen { revision: former.held.revisions[scope], void }
        } else {
            Seen { revision: state.primary.revisions[scope], void: false }
        };
        (place.read.is_none() && place.view != Some(seen)).then_some(())?;
        place.read = Some(seen);
        Some(())
    }

    /// What was read is published, unless it lies below the floor or below the view.
    pub(crate) fn publish(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let place = &mut state.nodes[node].places[scope];
        let read = place.read.take()?;
        let below = read.revision < place.floor && self.keeps_floors();
        let older = place.view.is_some_and(|view| view.revision >= read.revision);
        if !below && !older {
            place.unswept = self.sizes.calls && place.view.is_some();
            place.view = Some(read);
            place.registered = true;
        }
        Some(())
    }

    /// The calls that the view forbids are ended.
    pub(crate) fn sweep(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let place = &mut state.nodes[node].places[scope];
        place.unswept.then_some(())?;
        place.unswept = false;
        state.call.sweep(node, scope);
        Some(())
    }

    /// The scope leaves the node's memory: its view is closed and its calls are ended before that counts.
    pub(crate) fn evict(&self, state: &mut State, node: usize, scope: usize) -> Option<()> {
        let place = &mut state.nodes[node].places[scope];
        (self.sizes.evictions && place.registered).then_some(())?;
        *place = Default::default();
        state.call.sweep(node, scope);
        Some(())
    }
}
