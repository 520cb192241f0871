//! A model of the protocol by which several nodes share one Postgres ([`Protocol`]), small enough
//! that a checker visits every state that it can reach. Nothing in here runs in Sequel.
//!
//! The protocol makes one promise: **no request that begins after a revoke was answered succeeds
//! anywhere** under the stated assumptions, however nodes crash, pause, lose notices or drift. The
//! model holds the protocol's steps, one action for each moment at which another node, the store or
//! the clock may come in between. What Sequel does for real will live in the Postgres backend
//! (`storage/postgres`: lease rows, narrowings, `settle`, `fence`) and, above the trait of
//! `sequel-store`, in `src/org` (loading, publishing, ending calls).
//!
//! *Not* modelled: liveness (that a revoke is answered, that a node comes back), several failovers,
//! SQL, the wire, what a record holds, and ε, since clocks are read exactly.
//!
//! **Invariant:** the protocol keeps its promise (`tests/protocol.rs`).
//! **Invariant:** each [`Mistake`] breaks it (`tests/mistakes.rs`).

mod action;
mod call;
mod canonical;
mod clock;
mod fault;
mod lease;
mod mistake;
mod node;
mod properties;
mod revoke;
mod sizes;
mod store;
mod view;

pub use action::Action;
pub use call::{At, Call, CallStep, Request};
pub use clock::Clocks;
pub use mistake::Mistake;
pub use node::{By, Node, Nodes, Place, Renewal, RenewalStep, Revoke, RevokeStep, Seen};
pub use properties::{PROMISE, PROMISE_OF_CALLS};
pub use sizes::{LARGE, SMALL, Sizes};
pub use store::{Former, Primary};

use stateright::{Model, Property};

/// Most nodes of a model.
pub const NODES_MAX: usize = 3;
/// Most scopes of a model.
pub const SCOPES_MAX: usize = 2;

/// The whole world at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The nodes.
    pub nodes: Nodes,
    /// The store.
    pub primary: Primary,
    /// The primary before, after a failover.
    pub former: Option<Former>,
    /// The one request that is modelled step by step.
    pub call: Call,
    /// The newest revision of each scope whose revoke was answered. No node knows it.
    pub answered: [u8; SCOPES_MAX],
    /// The next sequence number, for the one mistake that looks at it.
    pub next_sequence: u8,
}

/// The protocol, as DESIGN says or with one mistake in it.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How large it is.
    pub sizes: Sizes,
    /// What is wrong with it.
    pub mistake: Option<Mistake>,
    /// Whether states that nothing can tell apart any more are taken for the same.
    pub forgets: bool,
}

impl Protocol {
    /// The protocol as it should be.
    pub const fn right(sizes: Sizes) -> Self {
        Self { sizes, mistake: None, forgets: true }
    }

    /// The protocol with a mistake.
    pub const fn wrong(sizes: Sizes, mistake: Mistake) -> Self {
        Self { sizes, mistake: Some(mistake), forgets: true }
    }

    pub(crate) fn breaks(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    /// All nodes serve scope 0; or all but the last one, which is yet to join.
    fn init_states(&self) -> Vec<State> {
        let started = |running: usize| {
            let mut state = State {
                nodes: [Node::default(); NODES_MAX],
                primary: Primary::default(),
                former: None,
                call: Call::None,
                answered: [0; SCOPES_MAX],
                next_sequence: 0,
            };
            for node in 0..running {
                state.nodes[node] = Node::warm(self.sizes.clocks.lease);
                state.primary.renew(node);
            }
            state
        };
        vec![started(self.sizes.nodes), started(self.sizes.nodes - 1)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.act(&mut next, action)?;
        if self.forgets {
            self.canonical(&mut next);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self.sizes.failover)
    }
}
