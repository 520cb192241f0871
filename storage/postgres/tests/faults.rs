//! A database that is cut off, stalls, loses its answers, fills up or is killed: what a caller is told, what is stored, and
//! that nobody has to start anything again.

mod cluster;
#[path = "../../../tests/postgres/proxy.rs"]
mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use sequel_store::conformance::{expecting, key, org, put, state};
use sequel_store::{CommitError, Expect, ExportStream, Holder, ReadError, Revision, Store};
use sequel_store_postgres::{Address, Options, PostgresStore};
use tokio::time::{sleep, timeout};

use crate::cluster::own::Cluster;
use crate::cluster::{Database, PATIENCE};
use crate::proxy::{Mood, Proxy};

/// A server's store behind a proxy, with the waits that it has in production.
fn behind_a_proxy() -> (Database, Proxy, Arc<PostgresStore>) {
    opened_behind_a_proxy(Holder::serving(None))
}

fn opened_behind_a_proxy(holder: Holder) -> (Database, Proxy, Arc<PostgresStore>) {
    let (database, proxy) = (Database::make(), Proxy::before(&cluster::cluster()));
    let options = Options::new(database.address_over(proxy.port), holder);
    let store = PostgresStore::open(options).expect("a store in a fresh database");
    (database, proxy, Arc::new(store))
}

/// Asks until it holds; fails after a minute.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Leaves as many idle connections in the pool as it may have.
async fn fill_the_pool(store: &Arc<PostgresStore>) {
    let reads: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(&org("a"), &key("k")).await.map(drop) })
        })
        .collect();
    for read in reads {
        read.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_out_by_committing_it_again() {
    let (database, proxy, store) = behind_a_proxy();
    for (mood, name) in [(Mood::Snapping, "cut"), (Mood::Deaf, "silent")] {
        let batch = expecting([Expect::Absent(key(name))], state(&org("a"), [put(name, "v")]));
        let before = store.scan(&org("a"), sequel_store::KeyRange::all(), Default::default()).await.unwrap();
        proxy.is(mood);
        let unknown = store.commit(batch.clone()).await.unwrap_err();
        assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id), "{name}: {unknown:?}");
        // It did happen, whatever this end knows of it.
        let sql = format!("SELECT count(*) FROM sequel.records WHERE key = '{name}'::bytea");
        until("the server committed", async || database.sql(&sql) == "1").await;
        proxy.is(Mood::Open);
        let after = Revision(before.revision.0 + 1);
        assert_eq!(store.commit(batch.clone()).await.unwrap(), after, "{name}");
        assert_eq!(store.commit(batch).await.unwrap(), after, "{name}");
    }
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_found_out_by_committing_it_again() {
    let (_database, proxy, store) = behind_a_proxy();
    fill_the_pool(&store).await;
    let batch = expecting([Expect::Absent(key("k"))], state(&org("a"), [put("k", "v")]));
    proxy.is(Mood::Cut);
    let away = store.commit(batch.clone()).await.unwrap_err();
    // On a connection that was just being cut nobody knows; on none, all know.
    assert!(matches!(away, CommitError::Unknown(_) | CommitError::Unavailable(_)), "{away:?}");
    until("no connection", async || {
        matches!(store.commit(batch.clone()).await, Err(CommitError::Unavailable(_)))
    })
    .await;
    proxy.is(Mood::Open);
    assert_eq!(store.commit(batch).await.unwrap(), Revision(1));
}

#[tokio::test]
async fn a_stalled_database_is_known_to_be_away_and_is_used_again_unaided() {
    let (_database, proxy, store) = behind_a_proxy();
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    fill_the_pool(&store).await;
    proxy.is(Mood::Silent);
    // The answer comes while the database is still stalled. More ask than there are connections.
    let asked: Vec<_> = (0..40)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(&org("a"), &key("k")).await })
        })
        .collect();
    let committed = store.commit(state(&org("a"), [put("l", "v")])).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_) | CommitError::Unavailable(_))), "{committed:?}");
    for read in asked {
        let read = read.await.unwrap();
        assert!(matches!(read, Err(ReadError::Unavailable(_))), "{read:?}");
    }
    proxy.is(Mood::Open);
    // Not one of the connections from before is asked again.
    assert!(store.get(&org("a"), &key("k")).await.unwrap().is_some());
    store.commit(state(&org("a"), [put("m", "v")])).await.unwrap();
}

#[tokio::test]
async fn a_command_waits_for_a_database_that_is_slow_for_longer_than_a_request_may() {
    let (_database, proxy, store) = opened_behind_a_proxy(Holder::command());
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    proxy.is(Mood::Silent);
    let slow = store.clone();
    let committing = tokio::spawn(async move { slow.commit(state(&org("a"), [put("l", "v")])).await });
    sleep(Duration::from_millis(2_500)).await;
    proxy.is(Mood::Open);
    assert_eq!(committing.await.unwrap().unwrap(), Revision(2));
}

#[tokio::test]
async fn connections_that_were_dropped_in_silence_cost_one_answer_and_not_one_each() {
    let (_database, proxy, store) = behind_a_proxy();
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    fill_the_pool(&store).await;
    proxy.forget();
    let read = store.get(&org("a"), &key("k")).await;
    assert!(matches!(read, Err(ReadError::Unavailable(_))), "{read:?}");
    // Where each of the sixteen cost one, fifteen would fail here; a machine that is busy may be late once or twice.
    let mut unanswered = 0;
    for _ in 0..20 {
        unanswered += usize::from(store.get(&org("a"), &key("k")).await.is_err());
    }
    assert!(unanswered < 4, "{unanswered} of 20 reads were not answered");
    until("the lease is renewed", async || store.fence().holds()).await;
}

#[tokio::test]
async fn a_node_that_cannot_renew_its_lease_serves_nothing_until_it_can() {
    let (_database, proxy, store) = behind_a_proxy();
    let fence = store.fence();
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    assert!(fence.holds());
    for mood in [Mood::Silent, Mood::Cut] {
        proxy.is(mood);
        until("the fence falls", async || !fence.holds()).await;
        proxy.is(Mood::Open);
        // Nobody else had the lease meanwhile, so that what it has read is what is stored.
        until("the fence holds again", async || fence.holds()).await;
        until("it is written", async || store.commit(state(&org("a"), [put("k", "w")])).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_node_that_was_paused_writes_nothing_after_another_took_over() {
    let (database, proxy, paused) = behind_a_proxy();
    let fence = paused.fence();
    paused.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    fill_the_pool(&paused).await;
    proxy.is(Mood::Silent);
    // On its way, and there only when somebody else writes.
    let late = state(&org("a"), [put("late", "v")]);
    let unknown = paused.commit(late.clone()).await.unwrap_err();
    assert!(matches!(unknown, CommitError::Unknown(_)), "{unknown:?}");
    let address = database.address();
    let other = tokio::task::spawn_blocking(move || {
        PostgresStore::open(Options { answer_wait: PATIENCE, ..Options::new(address, Holder::serving(None)) })
    });
    let other = other.await.unwrap().expect("the lease of one that does not count up is taken over");
    assert!(!fence.holds(), "the former holder still serves while another one does");
    assert_eq!(other.commit(state(&org("a"), [put("k", "w")])).await.unwrap(), Revision(2));
    proxy.is(Mood::Open);
    until("the former holder hears of it", async || {
        let refused = paused.commit(state(&org("a"), [put("own", "v")])).await.unwrap_err();
        assert!(matches!(refused, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{refused:?}");
        refused.to_string() == CommitError::Unavailable("".into()).to_string()
    })
    .await;
    assert!(!fence.holds());
    // Neither what was on its way nor what came later was written.
    for absent in ["late", "own"] {
        assert!(other.get(&org("a"), &key(absent)).await.unwrap().is_none(), "{absent}");
    }
    assert_eq!(other.commit(state(&org("a"), [put("k", "x")])).await.unwrap(), Revision(3));
    drop(paused);
    assert!(other.fence().holds(), "closing the former one takes nothing from the new one");
    other.commit(state(&org("a"), [put("k", "y")])).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_takes_long_does_not_cost_the_lease() {
    let database = Database::make();
    // One connection, which one commit has for longer than a lease lasts.
    let options = Options {
        connections_max: 1,
        answer_wait: PATIENCE,
        ..Options::new(database.address(), Holder::command())
    };
    let store = Arc::new(PostgresStore::open(options).unwrap());
    database.sql(
        "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_catalog.pg_sleep(9); RETURN NULL; END $$;
         CREATE TRIGGER dawdle AFTER INSERT ON sequel.records EXECUTE FUNCTION public.dawdle()",
    );
    let fence = store.fence();
    let committing = tokio::spawn(async move { store.commit(state(&org("a"), [put("k", "v")])).await });
    while !committing.is_finished() {
        assert!(fence.holds());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(committing.await.unwrap().unwrap(), Revision(1));
}

/// A store with more records than lie between an export and its reader, and its export's beginning.
async fn exporting() -> (Database, Proxy, Arc<PostgresStore>, ExportStream) {
    let (database, proxy, store) = behind_a_proxy();
    for batch in 0..10 {
        let writes: Vec<_> = (0..200).map(|n| put(format!("{batch}/{n:03}"), "v")).collect();
        store.commit(state(&org("a"), writes)).await.unwrap();
    }
    let mut export = store.export().await.unwrap();
    assert!(export.next().await.unwrap().is_ok());
    (database, proxy, store, export)
}

#[tokio::test]
async fn an_export_that_was_broken_off_is_not_taken_for_a_whole_one() {
    let (_database, proxy, _store, export) = exporting().await;
    proxy.is(Mood::Cut);
    let told: Vec<_> = export.collect().await;
    assert!(told.len() < 1_999 && told.last().unwrap().is_err(), "{} records", told.len());
    let (_database, _proxy, store, export) = exporting().await;
    drop(store);
    let told: Vec<_> = export.collect().await;
    assert!(told.len() < 1_999 && told.last().unwrap().is_err(), "{} records", told.len());
}

#[tokio::test]
async fn what_the_server_refuses_has_not_happened() {
    let database = Database::make();
    let store = database.open().unwrap();
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    // What the server says where its disk is full, it was made read-only, it shuts down or it has no memory.
    for (code, is_full) in [("53100", true), ("53200", false), ("25006", false), ("40001", false)] {
        database.sql(&format!(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON sequel.records EXECUTE FUNCTION public.refuse()"
        ));
        let refused = store.commit(state(&org("a"), [put("k", "w"), put("l", "w")])).await.unwrap_err();
        match is_full {
            true => assert!(matches!(refused, CommitError::Full), "{code}: {refused:?}"),
            false => assert!(matches!(refused, CommitError::Unavailable(_)), "{code}: {refused:?}"),
        }
        let record = store.get(&org("a"), &key("k")).await.unwrap().unwrap();
        assert_eq!((&record.value[..], record.revision), (&b"v"[..], Revision(1)), "{code}");
        database.sql("DROP FUNCTION public.refuse CASCADE");
    }
    assert_eq!(store.commit(state(&org("a"), [put("k", "w")])).await.unwrap(), Revision(2));
}

#[tokio::test]
async fn a_commit_is_durable_also_where_the_server_would_not_wait_for_its_disk() {
    let database = Database::make();
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name));
    let store = database.open().unwrap();
    // The setting under which the commit happens, as a trigger sees it at the end of the transaction.
    database.sql(
        "CREATE TABLE public.seen (setting text);
         CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO public.seen VALUES (pg_catalog.current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER see AFTER INSERT ON sequel.records DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION public.see()",
    );
    store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
    assert_eq!(database.sql("SELECT setting FROM public.seen"), "on");
}

#[tokio::test]
async fn a_commit_under_another_isolation_is_refused() {
    let database = Database::make();
    let store = database.open().unwrap();
    // Set while the store is open: new connections have it.
    database.sql(&format!(
        "ALTER DATABASE {0} SET default_transaction_isolation = 'repeatable read';
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}' AND pid <> pg_backend_pid()",
        database.name
    ));
    until("a fresh connection", async || {
        let refused = store.commit(state(&org("a"), [put("k", "v")])).await.unwrap_err();
        matches!(refused, CommitError::Unavailable(_))
    })
    .await;
    assert!(store.get(&org("a"), &key("k")).await.unwrap().is_none());
}

/// Commits one after the other to a scope of its own until told to end; how many were acknowledged.
async fn write(store: Arc<PostgresStore>, writer: usize, is_over: Arc<AtomicBool>) -> u64 {
    let scope = org(&format!("writer{writer}"));
    let mut acknowledged = 0;
    while !is_over.load(Ordering::SeqCst) {
        let batch = state(&scope, [put("count", (acknowledged + 1).to_string())]);
        // Again until it is known what became of it, as whoever got `Unknown` does.
        while !is_over.load(Ordering::SeqCst) {
            match store.commit(batch.clone()).await {
                Ok(revision) => {
                    assert_eq!(revision, Revision(acknowledged + 1), "a commit was lost, or happened twice");
                    acknowledged = revision.0;
                    break;
                }
                Err(CommitError::Unknown(_) | CommitError::Unavailable(_)) => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing() {
    let cluster = Cluster::start("", None);
    let address = Address::parse(&cluster.url(), None).unwrap();
    let store = Arc::new(PostgresStore::open(Options::new(address, Holder::serving(None))).unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(write(store.clone(), writer, is_over.clone()))).collect();
    let reached = async |least: u64| {
        until("the writers go on", async || {
            let mut lowest = u64::MAX;
            for writer in 0..4 {
                let found = store.get(&org(&format!("writer{writer}")), &key("count")).await;
                lowest = lowest.min(found.ok().flatten().map_or(0, |record| record.revision.0));
            }
            lowest >= least
        })
        .await;
    };
    let mut least = 5;
    for round in 0..3 {
        reached(least).await;
        tokio::task::block_in_place(|| {
            cluster.kill();
            cluster.start_again();
        });
        // Nobody opens the store again. What is there now is what they go on from.
        least += 5 * (round + 1);
    }
    reached(least).await;
    is_over.store(true, Ordering::SeqCst);
    for (writer, task) in writers.into_iter().enumerate() {
        let acknowledged = task.await.unwrap();
        let found = store.get(&org(&format!("writer{writer}")), &key("count")).await.unwrap().unwrap();
        assert!(acknowledged >= least && found.revision.0 >= acknowledged, "{acknowledged}, {found:?}");
    }
    // Where the server was away for long, commits go on before the lease was counted up.
    until("what was read may be served again", async || store.fence().holds()).await;
}
