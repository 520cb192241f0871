//! A database that stalls, is cut off, is killed: never a success that is none, and no restart of Sequel afterwards.

mod cluster;
mod proxy;

use std::time::Duration;

use sequel_store::conformance::{expecting, key, org, put, state};
use sequel_store::{CommitError, Expect, ReadError, Revision, Scope, Store};
use sequel_store_postgres::{Address, Options, PostgresStore};

use crate::cluster::{Database, OwnCluster};
use crate::proxy::{Mood, Proxy};

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn through(proxy: &Proxy, database: &Database) -> PostgresStore {
    let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port, database.name);
    let address = Address::parse(&url, None).unwrap();
    PostgresStore::open(Options::new(address, sequel_store::Holder::command())).unwrap()
}

/// Asks until the store answers again.
async fn recovered(store: &PostgresStore, scope: &Scope) {
    let asking = async {
        while store.get(scope, &key("k")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the store recovers by itself");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_is_found_out_by_asking_again() {
    let database = Database::make();
    let proxy = Proxy::before(&cluster::cluster());
    let store = through(&proxy, &database);
    let a = org("a");
    store.commit(state(&a, [put("k", "1")])).await.unwrap();
    // What is asked arrives, what is answered does not.
    proxy.is(Mood::Deaf);
    let batch = expecting([Expect::At(key("k"), Revision(1))], state(&a, [put("k", "2")]));
    let unknown = store.commit(batch.clone()).await.unwrap_err();
    assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id), "{unknown:?}");
    proxy.is(Mood::Open);
    recovered(&store, &a).await;
    assert_eq!(store.commit(batch.clone()).await.unwrap(), Revision(2), "it was made");
    assert_eq!(store.commit(batch).await.unwrap(), Revision(2));
    assert_eq!(&store.get(&a, &key("k")).await.unwrap().unwrap().value[..], b"2");
}

#[tokio::test]
async fn a_database_that_is_cut_off_is_unavailable_and_comes_back_without_a_restart() {
    let database = Database::make();
    let proxy = Proxy::before(&cluster::cluster());
    let store = through(&proxy, &database);
    let a = org("a");
    store.commit(state(&a, [put("k", "1")])).await.unwrap();
    proxy.is(Mood::Cut);
    let read = store.get(&a, &key("k")).await.unwrap_err();
    assert!(matches!(read, ReadError::Unavailable(_)), "{read:?}");
    let refused = store.commit(state(&a, [put("k", "2")])).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{refused:?}");
    proxy.is(Mood::Open);
    recovered(&store, &a).await;
    store.commit(state(&a, [put("k", "3")])).await.unwrap();
}

#[tokio::test]
async fn a_database_that_says_nothing_is_given_up_and_what_was_read_is_served_no_more_after_a_while() {
    let database = Database::make();
    let proxy = Proxy::before(&cluster::cluster());
    let store = through(&proxy, &database);
    let a = org("a");
    store.commit(state(&a, [put("k", "1")])).await.unwrap();
    proxy.is(Mood::Silent);
    assert!(store.get(&a, &key("k")).await.is_err());
    assert!(store.commit(state(&a, [put("k", "2")])).await.is_err());
    let closing = async {
        while store.fence().holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closing).await.expect("a lease that is not renewed ends");
    proxy.is(Mood::Open);
    let opening = async {
        while !store.fence().holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, opening).await.expect("nobody else took it: it is renewed");
    recovered(&store, &a).await;
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing() {
    let mut cluster = OwnCluster::start();
    let store =
        PostgresStore::open(Options::new(cluster.address(), sequel_store::Holder::command())).unwrap();
    let store: &dyn Store = &store;
    let a = org("a");
    for round in 1..=3u64 {
        let mut acknowledged = 0;
        for n in 0..50 {
            let batch = state(&a, [put(format!("{round}/{n}"), "x")]);
            store.commit(batch).await.unwrap();
            acknowledged += 1;
        }
        cluster.kill();
        assert!(store.commit(state(&a, [put("k", "lost")])).await.is_err(), "nobody is there");
        cluster.start_again();
        let reading = async {
            loop {
                if let Ok(page) = store
                    .scan(&a, sequel_store::KeyRange::prefix(format!("{round}/")), Default::default())
                    .await
                {
                    return page.records.len();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, reading).await.expect("the store recovers by itself");
        assert_eq!(found, acknowledged);
    }
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_may_stand_before_the_server() {
    let database = Database::make();
    let pooler = cluster::Pooler::before(&cluster::cluster());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}", pooler.port, database.name);
    let address = Address::parse(&url, None).unwrap();
    let store = PostgresStore::open(Options::new(address, sequel_store::Holder::command())).unwrap();
    let a = org("a");
    let batches = (0..50).map(|n| store.commit(state(&a, [put(format!("{n:02}"), "x")])));
    for outcome in futures_util::future::join_all(batches).await {
        outcome.unwrap();
    }
    let page = store.scan(&a, sequel_store::KeyRange::all(), Default::default()).await.unwrap();
    assert_eq!((page.records.len(), page.revision), (50, Revision(50)));
    let cut: Vec<_> = futures_util::StreamExt::collect(store.export().await.unwrap()).await;
    assert_eq!(cut.len(), 50);
}
