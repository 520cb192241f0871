//! Measures what is sled's own on the disk under a folder: how the log grows under overwrites, how long a store takes to
//! open after a kill, how much memory it takes.
//!
//! `cargo run --release -p sequel-store-sled --example measure_sled -- FOLDER [OVERWRITES]`. Prints figures; asserts nothing,
//! for speed is no test. Needs /proc.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock itself")]

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sequel_store::conformance::{key, org, put, state};
use sequel_store::{Holder, KeyRange, ScanLimit, Store};
use sequel_store_sled::{Options, SledStore};

/// 300 bytes are about what a key's record takes.
const VALUE: [u8; 300] = [b'x'; 300];
const ORGS: u64 = 1_000;
const KEYS: u64 = 100;
const MIB: f64 = 1024.0 * 1024.0;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(arguments.first().expect("usage: measure FOLDER [OVERWRITES]"));
    let path = folder.join("measure.sled");
    match arguments.get(1).map(String::as_str) {
        Some("fill") => fill(&path).await,
        Some("overwrite") => overwrite(&path, arguments[2].parse().expect("a number")).await,
        Some("open") => reopened(&path).await,
        overwrites => {
            let overwrites = overwrites.unwrap_or("1000000");
            again(&folder, &["fill"]);
            again(&folder, &["open"]);
            again(&folder, &["overwrite", overwrites]);
            println!("-- killed --");
            again(&folder, &["open"]);
            again(&folder, &["open"]);
        }
    }
}

/// Runs this program again: a process of its own for each figure of memory.
fn again(folder: &Path, arguments: &[&str]) {
    let program = std::env::current_exe().expect("this program");
    Command::new(program).arg(folder).args(arguments).status().expect("a child that starts");
}

fn open(path: &Path) -> Arc<SledStore> {
    Arc::new(SledStore::open(path, Options::new(Holder::command())).expect("a store that opens"))
}

/// 100,000 records over 1,000 organizations, 100 in each batch.
async fn fill(path: &Path) {
    let store = open(path);
    let began = Instant::now();
    for n in 0..ORGS {
        let writes: Vec<_> = (0..KEYS).map(|k| put(format!("key/{k:010}"), VALUE)).collect();
        store.commit(state(&org(&format!("org{n}")), writes)).await.expect("a commit");
    }
    println!("100,000 records of 300 bytes written in {:?}", began.elapsed());
    report(path);
    let began = Instant::now();
    drop(Arc::into_inner(store).expect("the only handle"));
    println!("closed in {:?}", began.elapsed());
}

/// Opens, reads, and closes in order.
async fn reopened(path: &Path) {
    let began = Instant::now();
    let store = open(path);
    let opened = began.elapsed();
    store.get(&org("org500"), &key("key/0000000050")).await.expect("a readable store").expect("a record");
    println!("opened in {opened:?}; to the first record: {:?}", began.elapsed());
    report(path);
    let began = Instant::now();
    for n in 0..10_000 {
        let scope = org(&format!("org{}", n % ORGS));
        store.get(&scope, &key(format!("key/{:010}", n % KEYS))).await.expect("a readable store");
    }
    println!("get: {:?}", began.elapsed() / 10_000);
    let began = Instant::now();
    for n in 0..ORGS {
        let scope = org(&format!("org{n}"));
        let page = store.scan(&scope, KeyRange::all(), ScanLimit::default()).await.expect("a readable store");
        assert_eq!(page.records.len() as u64, KEYS);
    }
    println!("scan of 100 records: {:?}", began.elapsed() / 1_000);
    report(path);
    let began = Instant::now();
    drop(Arc::into_inner(store).expect("the only handle"));
    println!("closed in {:?}", began.elapsed());
}

/// One record for each commit: by one writer for a while, then by 64 until there are enough. Ends by a kill.
async fn overwrite(path: &Path, overwrites: u64) {
    let store = open(path);
    let began = Instant::now();
    for n in 0..2_000 {
        one(&store, n).await;
    }
    println!("  1 writer : {:>6.0} commits/s", 2_000.0 / began.elapsed().as_secs_f64());
    let next = Arc::new(AtomicU64::new(0));
    let step = (overwrites / 10).max(1);
    for upto in (step..=overwrites).step_by(step as usize) {
        let began = Instant::now();
        let writers: Vec<_> = (0..64)
            .map(|_| {
                let (store, next) = (store.clone(), next.clone());
                tokio::spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= upto {
                            break;
                        }
                        one(&store, n).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("a writer that does not panic");
        }
        next.store(upto, Ordering::Relaxed);
        print!(
            " 64 writers: {:>6.0} commits/s; {upto:>8} overwritten; ",
            step as f64 / began.elapsed().as_secs_f64()
        );
        report(path);
    }
    // As a kill would: nothing is closed.
    exit(0);
}

/// An organization after the other, and in each a key after the other, so that no two writers meet.
async fn one(store: &SledStore, n: u64) {
    let scope = org(&format!("org{}", n % ORGS));
    let writes = [put(format!("key/{:010}", n / ORGS % KEYS), VALUE)];
    store.commit(state(&scope, writes)).await.expect("a commit");
}

fn report(path: &Path) {
    let bytes = std::fs::metadata(path.join("sled/db")).map_or(0, |log| log.len());
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure").trim();
    println!("log {:.1} MiB, resident {resident}", bytes as f64 / MIB);
}
