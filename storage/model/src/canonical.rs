//! Makes states equal that nothing that follows can tell apart, so that fewer have to be visited.
//!
//! Each rule says why what it forgets can never matter again. `tests/protocol.rs` visits a small
//! model with and without them and finds the same (`what_is_forgotten_changes_no_verdict`).

use crate::node::{Place, RevokeStep};
use crate::{Mistake, Protocol, SCOPES_MAX, State};

impl Protocol {
    /// Forgets what cannot matter.
    pub(crate) fn canonical(&self, state: &mut State) {
        for scope in 0..SCOPES_MAX {
            let waited_for = state
                .nodes
                .iter()
                .any(|node| node.revoke.step != RevokeStep::Idle && usize::from(node.revoke.scope) == scope);
            for (node, lease) in state.nodes.iter_mut().zip(&mut state.primary.leases) {
                let place = &mut node.places[scope];
                self.forget_read(place);
                if let Some(acks) = lease {
                    // A floor that is published and acknowledged asks for nothing; the same notice would
                    // raise it again and find it so.
                    if self.clear_of(place, place.floor) && place.view.is_some() && acks[scope] >= place.floor
                    {
                        place.floor = 0;
                    }
                    // Nobody waits for what is stored already, and a later revoke waits for more.
                    if !waited_for && !self.sizes.repeats && acks[scope] <= state.primary.revisions[scope] {
                        acks[scope] = 0;
                    }
                }
            }
        }
        self.forget_former(state);
    }

    /// Drops what was read and can no longer be published, since floor and view only rise until the
    /// place is given up, and the read with it.
    fn forget_read(&self, place: &mut Place) {
        let Some(read) = place.read else { return };
        let below = read.revision < place.floor && self.keeps_floors();
        let older = place.view.is_some_and(|view| view.revision >= read.revision);
        if below || older {
            place.read = None;
        }
    }

    /// Who reads nothing of the former primary any more cannot tell what it held; its revisions are
    /// kept, since properties ask for them.
    fn forget_former(&self, state: &mut State) {
        let Some(former) = &mut state.former else { return };
        let read = state.nodes.iter().any(|node| node.mixed || node.renewal.on_former);
        if !read {
            former.held.narrowing = [0; SCOPES_MAX];
            former.held.sequence = [0; SCOPES_MAX];
            former.lost = None;
        }
        if !read || !self.breaks(Mistake::LeasesReadOnTheFormer) {
            former.held.leases = Default::default();
        }
    }
}
