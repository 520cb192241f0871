//! The macro that turns what embedded backends must hold into tests.

/// Expands to one `#[test]` for each property of [`crate::conformance::embedded`].
#[macro_export]
macro_rules! embedded_tests {
    (@tests $backend:ty; $($module:ident: $($property:ident)*;)*) => {
        $($(
            #[test]
            fn $property() {
                let test = $crate::conformance::embedded::Test::named(module_path!(), stringify!($property));
                $crate::conformance::embedded::$module::$property::<$backend>(&test);
            }
        )*)*
    };
    ($backend:ty) => {
        $crate::embedded_tests!(@tests $backend;
            kill:
                killed_at_any_moment_no_acknowledged_write_is_lost
                an_answer_before_the_commit_is_found_out
            ;
            power:
                a_power_loss_at_any_moment_loses_no_acknowledged_write
                what_a_restart_shows_survives_a_power_loss
                a_store_half_made_by_a_kill_loses_nothing_later
                syncs_that_do_nothing_are_found_out
                what_a_failed_sync_left_is_never_acknowledged
            ;
            refusing:
                on_a_full_disk_writes_refuse_and_reads_stay_right
                a_full_disk_is_left_at_any_byte
                on_a_read_only_disk_writes_refuse_and_reads_stay_right
                on_a_broken_disk_writes_refuse_and_reads_stay_right
                a_store_on_a_refusing_disk_opens_or_says_why
            ;
        );
    };
}
