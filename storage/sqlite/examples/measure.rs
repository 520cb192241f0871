//! Measures this backend on the disk under a folder: `cargo run --release -p sequel-store-sqlite
//! --example measure -- FOLDER`. Prints rates; asserts nothing, for speed is no test.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock itself")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sequel_store::conformance::{key, org, put, state};
use sequel_store::{Holder, KeyRange, ScanLimit, Store};
use sequel_store_sqlite::{Options, SqliteStore};

/// 300 bytes are about what a key's record takes.
const VALUE: [u8; 300] = [b'x'; 300];
const SPAN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: measure FOLDER"));
    let path = folder.join("measure.db");
    let store = Arc::new(open(&path));
    for writers in [1, 64] {
        println!("{writers:>3} writers: {:>8.0} durable commits/s", commits(&store, writers).await);
    }
    // 100,000 keys over 1,000 orgs, 100 in each batch.
    for n in 0..1_000 {
        let writes: Vec<_> = (0..100).map(|k| put(format!("key/{k:010}"), VALUE)).collect();
        store.commit(state(&org(&format!("org{n}")), writes)).await.expect("a commit");
    }
    drop(Arc::into_inner(store).expect("the only handle"));
    let began = Instant::now();
    let store = open(&path);
    let opened = began.elapsed();
    store.get(&org("org500"), &key("key/0000000050")).await.expect("a readable store").expect("a record");
    println!("open with 100,000 keys: {opened:?}; to the first record: {:?}", began.elapsed());
    let began = Instant::now();
    for n in 0..10_000 {
        let scope = org(&format!("org{}", n % 1_000));
        store.get(&scope, &key(format!("key/{:010}", n % 100))).await.expect("a readable store");
    }
    println!("get: {:?}", began.elapsed() / 10_000);
    for n in 0..10 {
        let writes: Vec<_> = (0..100).map(|k| put(format!("key/{n}/{k:010}"), VALUE)).collect();
        store.commit(state(&org("large"), writes)).await.expect("a commit");
    }
    let began = Instant::now();
    for _ in 0..100 {
        let page =
            store.scan(&org("large"), KeyRange::all(), ScanLimit::default()).await.expect("a readable store");
        assert_eq!(page.records.len(), 1_000);
    }
    println!("scan of 1,000 records: {:?}", began.elapsed() / 100);
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::new(Holder::command())).expect("a store in an empty folder")
}

/// Each writer commits to an org of its own, one commit after the other.
async fn commits(store: &Arc<SqliteStore>, writers: usize) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, scope) = (store.clone(), org(&format!("writer{writer}")));
            tokio::spawn(async move {
                let mut done = 0;
                while began.elapsed() < SPAN {
                    store.commit(state(&scope, [put("k", VALUE)])).await.expect("a commit");
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        all += task.await.expect("a writer that does not panic");
    }
    f64::from(all) / began.elapsed().as_secs_f64()
}
