//! A pooler in transaction mode before the server: each statement may run in another session, and nothing may depend on that.

mod cluster;

use std::sync::Arc;

use async_trait::async_trait;
use sequel_store::conformance::{Backend, Durable};
use sequel_store::{Holder, Store};
use sequel_store_postgres::{Options, PostgresStore};

use crate::cluster::own::Pooler;
use crate::cluster::{Database, PATIENCE, port};

struct Pooled {
    store: Arc<PostgresStore>,
    database: Database,
    pooler: Pooler,
}

fn open(database: &Database, pooler: &Pooler) -> Arc<PostgresStore> {
    let address = database.address_over(pooler.port());
    let options = Options { answer_wait: PATIENCE, ..Options::new(address, Holder::command()) };
    Arc::new(PostgresStore::open(options).expect("a store behind a pooler"))
}

#[async_trait]
impl Backend for Pooled {
    async fn open() -> Self {
        let (database, pooler) = (Database::make(), Pooler::before(port()));
        Self { store: open(&database, &pooler), database, pooler }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

#[async_trait]
impl Durable for Pooled {
    async fn reopen(self) -> Self {
        let Self { store, database, pooler } = self;
        drop(Arc::into_inner(store).expect("nobody else holds the store"));
        Self { store: open(&database, &pooler), database, pooler }
    }
}

sequel_store::conformance_tests!(@tests Pooled; records:
    paging_loses_and_repeats_nothing_with_hostile_keys
    a_large_scan_comes_in_bounded_pages
    an_export_is_one_consistent_cut
    an_export_holds_every_scope_in_order
);
sequel_store::conformance_tests!(@tests Pooled; batches:
    a_batch_repeated_by_its_id_changes_nothing
    a_failed_batch_changes_nothing
);
sequel_store::conformance_tests!(@tests Pooled; history:
    a_long_history_is_whole_or_a_gap
    changes_name_a_deleted_key_without_a_record
);
sequel_store::conformance_tests!(@tests Pooled; limits:
    a_batch_of_1_mib_fits_and_one_more_byte_does_not
);
sequel_store::conformance_tests!(@tests Pooled; concurrent:
    of_concurrent_conditional_commits_exactly_one_wins
    of_concurrent_creations_exactly_one_wins
    a_failed_batch_spares_the_others
    concurrent_commits_get_distinct_revisions
    the_same_batch_sent_twice_at_once_happens_once
    a_reader_never_sees_half_a_batch
    scopes_interleaved_equal_scopes_apart
);
sequel_store::conformance_tests!(@tests Pooled; durable:
    what_was_acknowledged_is_there_after_reopening
    revisions_go_on_after_reopening
);
