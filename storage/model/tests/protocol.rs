//! The protocol keeps its promise in every state that the small models reach, and the models reach
//! what they are about. `cargo run -p sequel-store-model --example check -- --large` goes further.

use std::collections::BTreeSet;

use sequel_store_model::{Mistake, PROMISE, Protocol, Sizes};
use stateright::{Checker, HasDiscoveries, Model};

/// Visits every state; what must never be is not found, what must be sometimes is.
fn holds(sizes: Sizes) {
    Protocol::right(sizes).checker().spawn_bfs().join().assert_properties();
}

macro_rules! models {
    ($($test:ident: $sizes:ident;)*) => {
        $(
            #[test]
            fn $test() {
                holds(Sizes::$sizes);
            }
        )*
        /// Each model that the example checks is checked here too.
        const NAMES: &[&str] = &[$(stringify!($sizes)),*];
    };
}

models! {
    two_nodes_with_delays_and_losses: BASE;
    loads_evictions_and_repeated_revokes: LOADS;
    acknowledging_what_the_trait_can_say: TRAIT;
    a_lease_that_counts_from_its_commit: DRIFT;
    two_revokes_at_once: RIVALS;
    nodes_that_crash_leave_and_join: MEMBERS;
    commits_in_another_order_than_their_sequence: SCOPES;
    requests_step_by_step: CALLS;
    a_new_primary: FAILOVER;
    nodes_that_start_after_a_new_primary: RESTARTS;
    a_new_primary_without_what_was_not_acknowledged: UNREPLICATED;
    three_nodes: THREE;
}

#[test]
fn every_small_model_is_checked() {
    let small: BTreeSet<_> = sequel_store_model::SMALL.iter().map(|(name, _)| name.to_uppercase()).collect();
    assert_eq!(small, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

/// Forgetting makes fewer states of many. A rule that forgot too much would hide a broken promise or
/// lose what a model is about.
#[test]
fn what_is_forgotten_changes_no_verdict() {
    for mistake in [None, Some(Mistake::LoadRegisteredLate), Some(Mistake::LeasesReadBeforeCommit)] {
        let found = [true, false].map(|forgets| {
            let protocol = Protocol { forgets, mistake, ..Protocol::right(Sizes::BASE) };
            let broken = HasDiscoveries::AnyFailures;
            let checker = protocol.checker().finish_when(broken).spawn_bfs().join();
            let found: BTreeSet<_> = checker.discoveries().into_keys().collect();
            assert_eq!(found.contains(PROMISE), mistake.is_some(), "{mistake:?}, {forgets}: {found:?}");
            (mistake.is_none()).then_some(found)
        });
        assert_eq!(found[0], found[1], "{mistake:?}");
    }
}
