//! What must hold in every state, and what must happen in some, lest the model shows nothing.

use stateright::Property;

use crate::call::Call;
use crate::lease::Served;
use crate::node::{By, RenewalStep};
use crate::{Protocol, State};

/// The promise.
pub const PROMISE: &str = "no request that begins after a revoke was answered succeeds";
/// The promise to whoever revokes what is in use.
pub const PROMISE_OF_CALLS: &str =
    "no call is dispatched or goes on after the revoke of its credential was answered";

pub(crate) fn all(failover: bool) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(PROMISE, |model: &Protocol, state: &State| {
            state.call != Call::Succeeded && (model.sizes.calls || !serves_what_is_revoked(model, state))
        }),
        Property::always(PROMISE_OF_CALLS, |_, state: &State| state.call != Call::WentOn),
        Property::sometimes("requests succeed before the revoke is answered", |model, state: &State| {
            served(model, state).any(|(_, scope, revision)| {
                revision < state.primary.revisions[scope] && state.answered[scope] == 0
            })
        }),
        Property::sometimes("requests succeed after it, on another node", |model, state: &State| {
            served(model, state).any(|(node, scope, _)| node > 0 && state.answered[scope] > 0)
        }),
        Property::sometimes(
            "acknowledgements settle a revoke while another node serves",
            |model, state: &State| {
                state.nodes.iter().enumerate().any(|(at, node)| {
                    model.settled(state, at, By::Acks)
                        && served(model, state)
                            .any(|(other, scope, _)| other != at && scope == usize::from(node.revoke.scope))
                })
            },
        ),
        Property::sometimes(
            "the deadline settles a revoke that a node has not acknowledged",
            |model, state: &State| {
                state.nodes.iter().enumerate().any(|(at, node)| {
                    let revoke = node.revoke;
                    model.settled(state, at, By::Deadline)
                        && !state.primary.acknowledged(
                            at,
                            u8::MAX,
                            usize::from(revoke.scope),
                            revoke.revision,
                        )
                })
            },
        ),
        Property::sometimes("a node whose lease had lapsed is about to serve again", |_, state: &State| {
            state.nodes.iter().any(|node| {
                let current = node.places.iter().zip(state.answered).any(|(place, answered)| {
                    answered > 0 && place.view.is_some_and(|view| view.truth() >= answered)
                });
                let renewed = node.renewal.step == RenewalStep::Read && node.renewal.left > 0;
                node.lease == 0 && renewed && current
            })
        }),
    ];
    if failover {
        all.extend(of_failover());
    }
    all
}

/// What may only be asked of a model with a failover.
fn of_failover() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("a revoke that the new primary committed is answered", |_, state: &State| {
            state.answered.iter().enumerate().any(|(scope, answered)| after_failover(state, scope, *answered))
        }),
        Property::sometimes("acknowledgements settle a revoke on the new primary", |model, state: &State| {
            state.nodes.iter().enumerate().any(|(at, node)| {
                let revoke = node.revoke;
                model.settled(state, at, By::Acks)
                    && after_failover(state, usize::from(revoke.scope), revoke.revision)
            })
        }),
    ]
}

fn after_failover(state: &State, scope: usize, revision: u8) -> bool {
    state.former.is_some_and(|former| revision > former.held.revisions[scope])
}

/// Each node and scope with what a request would be held against now, if it were answered at all.
fn served<'a>(model: &'a Protocol, state: &'a State) -> impl Iterator<Item = (usize, usize, u8)> + 'a {
    let serving = state.nodes.iter().enumerate().filter(|(_, node)| model.serving(node) == Served::Views);
    serving.flat_map(|(at, node)| {
        let views = node.places.iter().enumerate();
        views.filter_map(move |(scope, place)| place.view.map(|view| (at, scope, view.truth())))
    })
}

fn serves_what_is_revoked(model: &Protocol, state: &State) -> bool {
    served(model, state).any(|(_, scope, revision)| revision < state.answered[scope])
}
