//! Each mistake breaks the promise, and the checker shows how.

use sequel_store_model::{Mistake, PROMISE, PROMISE_OF_CALLS, Protocol, Sizes};
use stateright::{Checker, HasDiscoveries, Model};

/// Looks for a way to break `promise` with this mistake. Without it the same model keeps the promise
/// (`protocol.rs`), so the mistake is to blame.
fn caught(mistake: Mistake, promise: &'static str, sizes: Sizes) {
    let checker = Protocol::wrong(sizes, mistake).checker();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let broken = checker.discovery(promise);
    let steps = broken.unwrap_or_else(|| panic!("{mistake:?} is not caught")).into_actions();
    println!("{mistake:?}: {} states, caught after {} steps", checker.unique_state_count(), steps.len());
    steps.iter().for_each(|step| println!("  {step:?}"));
}

macro_rules! mistakes {
    ($($test:ident: $mistake:ident breaks $promise:ident in $sizes:expr;)*) => {
        $(
            #[test]
            fn $test() {
                caught(Mistake::$mistake, $promise, $sizes);
            }
        )*

        /// Does not compile while a mistake has no test.
        const _: fn(Mistake) = |mistake| match mistake {
            $(Mistake::$mistake => {})*
        };
    };
}

mistakes! {
    an_ack_before_publishing: AckBeforePublish breaks PROMISE in Sizes::BASE;
    an_ack_before_sweeping: AckBeforeSweep breaks PROMISE_OF_CALLS in Sizes::CALLS;
    a_lease_counted_from_the_end: LeaseCountedFromTheEnd breaks PROMISE in Sizes::BASE;
    narrowings_since_a_sequence_number: NarrowingsSinceSequence breaks PROMISE in Sizes::SCOPES;
    narrowings_in_the_snapshot_of_the_lease: NarrowingsInTheSnapshotOfTheLease breaks PROMISE in Sizes::BASE;
    a_lease_before_publishing: LeaseBeforePublish breaks PROMISE in Sizes::BASE;
    a_load_registered_late: LoadRegisteredLate breaks PROMISE in Sizes::BASE;
    publishing_below_the_floor: PublishBelowTheFloor breaks PROMISE in Sizes::BASE;
    leases_read_before_the_commit: LeasesReadBeforeCommit breaks PROMISE in Sizes::BASE;
    leases_read_on_the_former_primary: LeasesReadOnTheFormer breaks PROMISE in Sizes::FAILOVER;
    a_wait_counted_from_before_the_commit: WaitCountedFromBeforeCommit breaks PROMISE in Sizes::BASE;
    drift_left_out: DriftLeftOut breaks PROMISE in Sizes::BASE;
    drift_against_real_time: DriftAgainstRealTime breaks PROMISE in Sizes::DRIFT;
    a_repeated_revoke_answered_at_once: RepeatAnsweredAtOnce breaks PROMISE in Sizes::LOADS;
    a_deadline_never_checked: DeadlineNeverChecked breaks PROMISE in Sizes::BASE;
    a_view_taken_before_the_deadline_is_checked: ViewBeforeDeadline breaks PROMISE in Sizes::CALLS;
    a_dispatch_unchecked: DispatchUnchecked breaks PROMISE_OF_CALLS in Sizes::CALLS;
    a_chunk_unchecked: ChunkUnchecked breaks PROMISE_OF_CALLS in Sizes::CALLS;
    a_row_removed_before_the_last_request: RowRemovedBeforeTheLastRequest breaks PROMISE in Sizes::MEMBERS;
    a_lapse_not_compared: LapseNotCompared breaks PROMISE in Sizes::LOADS;
    a_lapse_judged_early: LapseJudgedEarly breaks PROMISE in Sizes::MEMBERS;
    acks_trusted_after_a_failover: AcksTrustedAfterFailover breaks PROMISE in Sizes::FAILOVER;
    acks_trusted_after_d: AcksTrustedAfterD breaks PROMISE in Sizes::FAILOVER.with_lease(2);
    acks_trusted_after_a_start: AcksTrustedAfterStart breaks PROMISE in Sizes::RESTARTS;
    a_former_primary_still_read: FormerPrimaryStillRead breaks PROMISE in Sizes::FAILOVER;
    views_kept_over_a_failover: ViewsKeptOverFailover breaks PROMISE in Sizes::UNREPLICATED;
    acks_that_land_on_the_new_row: AcksLandOnTheNewRow breaks PROMISE in Sizes::UNREPLICATED;
    acks_kept_over_a_failover: AcksKeptOverFailover breaks PROMISE in Sizes::UNREPLICATED;
}
