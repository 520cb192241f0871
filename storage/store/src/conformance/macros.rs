//! The macro that turns the properties into tests.

/// Expands to one `#[test]` for each property that the backend has to hold: all of them for
/// `conformance_tests!(Backend)`, and those of `durable` and `two_nodes` where these words follow.
#[macro_export]
macro_rules! conformance_tests {
    (@tests $backend:ty; $module:ident: $($property:ident)*) => {
        $(
            #[test]
            fn $property() {
                $crate::conformance::run($crate::conformance::$module::$property::<$backend>());
            }
        )*
    };
    (@word $backend:ty; durable) => {
        $crate::conformance_tests!(@tests $backend; durable:
            what_was_acknowledged_is_there_after_reopening
            a_deletion_stays_deleted_after_reopening
            revisions_go_on_after_reopening
            a_batch_repeated_after_reopening_changes_nothing
            changes_reach_across_reopening
        );
    };
    (@word $backend:ty; two_nodes) => {
        $crate::conformance_tests!(@tests $backend; nodes:
            a_node_reads_what_the_other_committed
            two_nodes_never_both_win
            a_node_catches_up_through_changes
            hints_reach_the_other_node
            settle_waits_until_the_other_node_has_published
            settle_waits_for_a_load_that_has_not_published
            settle_does_not_wait_for_a_node_that_does_not_hold_the_scope
            a_scope_registered_twice_is_held_until_both_are_dropped
            settle_does_not_wait_for_its_own_node
            publishing_an_older_revision_settles_nothing
            published_once_settles_every_older_revision
        );
    };
    ($backend:ty $(, $word:ident)* $(,)?) => {
        $crate::conformance_tests!(@tests $backend; records:
            a_record_that_was_put_is_read_back
            a_missing_record_is_none
            a_put_replaces_and_carries_its_revision
            a_deleted_record_is_none
            deleting_nothing_is_allowed_and_moves_the_revision
            an_empty_value_is_a_value
            values_come_back_byte_for_byte
            a_scan_is_in_key_order_with_hostile_keys
            paging_loses_and_repeats_nothing_with_hostile_keys
            ranges_hold_at_their_ends
            a_prefix_finds_its_keys_and_no_others
            a_page_says_that_the_revision_moved
            a_large_scan_comes_in_bounded_pages
            a_scope_sees_nothing_of_another
            keys_that_look_like_another_scope_s_stay_in_their_own
            an_untouched_scope_is_empty_at_revision_zero
            an_export_is_one_consistent_cut
            an_export_holds_every_scope_in_order
        );
        $crate::conformance_tests!(@tests $backend; batches:
            each_commit_raises_the_scope_s_revision_by_one
            absent_holds_for_no_record_and_for_a_deleted_one
            at_holds_for_the_last_write_alone
            a_scope_at_another_revision_is_a_conflict
            a_failed_batch_changes_nothing
            a_batch_may_depend_on_what_it_replaces
            the_log_lane_moves_no_revision
            the_log_lane_is_absent_from_changes
            the_log_lane_takes_no_preconditions
            a_key_written_twice_is_malformed
            a_batch_repeated_by_its_id_changes_nothing
            a_batch_s_id_is_the_scope_s_own
            a_batch_is_remembered_for_64_commits
            past_64_commits_a_batch_is_a_new_one
            only_commits_that_move_the_revision_age_a_batch
            a_batch_is_known_by_its_id_whatever_it_says
            a_conflict_is_not_remembered
        );
        $crate::conformance_tests!(@tests $backend; history:
            changes_name_each_touched_key_once
            changes_name_a_deleted_key_without_a_record
            changes_since_now_are_none
            changes_since_the_future_are_a_gap
            a_long_history_is_whole_or_a_gap
            a_delta_larger_than_a_read_is_a_gap
            a_watcher_is_told_where_a_scope_is
            the_fence_of_an_open_store_holds
            a_single_node_settles_at_once
        );
        $crate::conformance_tests!(@tests $backend; limits:
            a_batch_of_256_operations_fits_and_257_do_not
            preconditions_count_as_operations
            a_value_of_64_kib_fits_and_one_more_byte_does_not
            a_batch_of_1_mib_fits_and_one_more_byte_does_not
            a_key_of_256_bytes_fits_and_257_do_not
            a_batch_of_256_longest_keys_fits
            the_largest_values_come_through_every_read
            a_value_grows_and_shrinks_and_leaves_nothing_of_itself
            full_batches_at_once_are_all_there
        );
        $crate::conformance_tests!(@tests $backend; concurrent:
            of_concurrent_conditional_commits_exactly_one_wins
            of_concurrent_creations_exactly_one_wins
            a_failed_batch_spares_the_others
            concurrent_commits_get_distinct_revisions
            the_same_batch_sent_twice_at_once_happens_once
            a_reader_never_sees_half_a_batch
            scopes_interleaved_equal_scopes_apart
            the_winner_is_whole_and_the_losers_leave_nothing
            a_number_raised_by_many_misses_nobody
            of_a_change_and_a_deletion_of_one_record_one_wins
            conditional_commits_to_other_scopes_never_conflict
        );
        $crate::conformance_tests!(@tests $backend; beside:
            a_page_beside_a_writer_shows_the_moment_of_its_revision
            a_follower_beside_a_writer_is_always_at_one_moment
            a_follower_that_reloads_at_gaps_never_loses_its_way
            an_export_beside_a_writer_is_one_cut
        );
        #[test]
        fn random_batches_equal_the_memory_model() {
            $crate::conformance::model::random_batches_equal_the_memory_model::<$backend>();
        }
        $( $crate::conformance_tests!(@word $backend; $word); )*
    };
}
