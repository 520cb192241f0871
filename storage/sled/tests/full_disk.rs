//! A full disk: writes refuse cleanly while there is still room to open the log again, reads stay right, and space that
//! is freed is used unaided; also where the disk fails a write that was thought to fit.
//!
//! For the first half the store is told how much is free. For the second a limit on the size of files stands in for the
//! disk: the operating system refuses the write itself, as it does with no space left.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, setrlimit};
use sequel_store::conformance::{delete, key, org, put, state};
use sequel_store::{Batch, CommitError, Holder, Lane, OpenError, ReadError, Revision, Store};
use sequel_store_sled::{Options, SledStore};

const MIB: u64 = 1024 * 1024;
const CHILD: &str = "SEQUEL_TEST_FULL_DISK_CHILD";

/// A store on a disk of which the test says how much is free.
fn on_a_disk(folder: &tempfile::TempDir) -> (SledStore, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = free.clone();
    let free_bytes = Arc::new(move |_: &Path| Ok(told.load(Ordering::SeqCst)));
    let options = Options { free_bytes, ..Options::new(Holder::command()) };
    (SledStore::open(&folder.path().join("sequel.sled"), options).unwrap(), free)
}

#[tokio::test]
async fn on_a_full_disk_writes_refuse_reads_stay_right_and_freed_space_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (store, free) = on_a_disk(&folder);
    assert_eq!(store.commit(state(&org("a"), [put("k", "v"), put("l", "v")])).await.unwrap(), Revision(1));
    free.store(64 * MIB - 1, Ordering::SeqCst);
    let refused = state(&org("a"), [put("k", "new"), delete("l")]);
    for _ in 0..3 {
        assert!(matches!(store.commit(refused.clone()).await, Err(CommitError::Full)));
    }
    assert_eq!(store.get(&org("a"), &key("k")).await.unwrap().unwrap().value, "v");
    free.store(64 * MIB, Ordering::SeqCst);
    assert_eq!(store.commit(refused).await.unwrap(), Revision(2));
    assert_eq!(store.get(&org("a"), &key("k")).await.unwrap().unwrap().value, "new");
}

#[tokio::test]
async fn a_full_disk_still_takes_a_revocation_and_a_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let (store, free) = on_a_disk(&folder);
    store.commit(state(&org("a"), [put("key/1", "on"), put("key/2", "on")])).await.unwrap();
    free.store(32 * MIB, Ordering::SeqCst);
    let narrows = Lane::State { at: None, narrows: true };
    let revocation =
        Batch { lane: narrows, ..state(&org("a"), [put("key/1", "off"), put("audit/1", "revoked")]) };
    assert_eq!(store.commit(revocation.clone()).await.unwrap(), Revision(2));
    assert_eq!(store.commit(state(&org("a"), [delete("key/2")])).await.unwrap(), Revision(3));
    free.store(32 * MIB - 1, Ordering::SeqCst);
    let more = Batch { lane: narrows, ..state(&org("a"), [put("key/1", "gone")]) };
    assert!(matches!(store.commit(more).await, Err(CommitError::Full)));
    assert_eq!(store.get(&org("a"), &key("key/1")).await.unwrap().unwrap().value, "off");
    assert!(store.get(&org("a"), &key("key/2")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_batch_that_does_not_fit_takes_no_other_down() {
    let folder = tempfile::tempdir().unwrap();
    let (store, free) = on_a_disk(&folder);
    store
        .commit(state(&org("a"), (0..8).map(|n| put(format!("{n}"), "v")).collect::<Vec<_>>()))
        .await
        .unwrap();
    free.store(40 * MIB, Ordering::SeqCst);
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = store.clone();
            let write = if n % 2 == 0 { delete(format!("{}", n / 2)) } else { put(format!("new/{n}"), "v") };
            tokio::spawn(async move { store.commit(state(&org("a"), [write])).await })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}: {result:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_writer_costs_its_group_and_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let asked = AtomicU64::new(0);
    // Once at opening, once for the first batch, and the second batch's panics.
    let free_bytes = Arc::new(move |_: &Path| match asked.fetch_add(1, Ordering::SeqCst) {
        2 => panic!("this panic is the test's"),
        _ => Ok(u64::MAX),
    });
    let options = Options { free_bytes, ..Options::new(Holder::command()) };
    let store = SledStore::open(&folder.path().join("sequel.sled"), options).unwrap();
    assert_eq!(store.commit(state(&org("a"), [put("k", "v")])).await.unwrap(), Revision(1));
    let batch = state(&org("a"), [put("k", "new")]);
    let unknown = store.commit(batch.clone()).await.unwrap_err();
    assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id), "{unknown:?}");
    assert_eq!(store.get(&org("a"), &key("k")).await.unwrap().unwrap().value, "v");
    assert_eq!(store.commit(batch.clone()).await.unwrap(), Revision(2));
    assert_eq!(store.commit(batch).await.unwrap(), Revision(2));
}

/// Runs the test of this name again as a child in which a write that is refused ends no process.
fn again_as_a_child(name: &str, path: &Path) {
    let child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

fn limit_files(bytes: Option<u64>) {
    let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn fail_and_recover(path: &Path) {
    let store = SledStore::open(path, Options::new(Holder::command())).unwrap();
    let large =
        |n: usize| state(&org("a"), [put(format!("{n:04}"), vec![7; 60_000]), put("newest", format!("{n}"))]);
    limit_files(Some(MIB));
    let mut stored = 0;
    let unknown = loop {
        match store.commit(large(stored)).await {
            Ok(revision) => assert_eq!(revision, Revision(stored as u64 + 1)),
            Err(CommitError::Unknown(_)) => break large(stored),
            Err(other) => panic!("the first failure is of an unknown outcome, not {other}"),
        }
        stored += 1;
    };
    assert!(stored > 4, "{stored}");
    // Until the disk takes writes again nothing is read that may not last. Nothing is acknowledged either, unless sled
    // found a segment that it can use again: then it lasts like everything else that was acknowledged.
    for _ in 0..3 {
        match store.get(&org("a"), &key("newest")).await {
            Ok(record) => assert_eq!(record.unwrap().value, format!("{}", stored - 1)),
            Err(error) => assert!(matches!(error, ReadError::Unavailable(_)), "{error}"),
        }
        let refused = match store.commit(unknown.clone()).await {
            Ok(revision) => {
                assert_eq!(revision, Revision(stored as u64 + 1), "it happened once");
                break;
            }
            Err(refused) => refused,
        };
        let certain =
            matches!(refused, CommitError::Full | CommitError::Unavailable(_) | CommitError::Unknown(_));
        assert!(certain, "{refused}");
    }
    limit_files(None);
    let revision = loop {
        match store.commit(unknown.clone()).await {
            Ok(revision) => break revision,
            Err(CommitError::Full | CommitError::Unavailable(_) | CommitError::Unknown(_)) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(revision, Revision(stored as u64 + 1), "no restart was needed, and it happened once");
    for n in 0..=stored {
        let record = store.get(&org("a"), &key(format!("{n:04}"))).await.unwrap();
        assert_eq!(record.unwrap().value.len(), 60_000, "{n}");
    }
}

#[test]
fn what_cannot_be_made_durable_is_never_read() {
    if let Ok(path) = std::env::var(CHILD) {
        return fail_and_recover(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.sled");
    again_as_a_child("what_cannot_be_made_durable_is_never_read", &path);
    // What it acknowledged is there for the next process too.
    let store = SledStore::open(&path, Options::new(Holder::command())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let get = |name: &str| runtime.block_on(store.get(&org("a"), &key(name))).unwrap().unwrap().value;
    let newest: usize = std::str::from_utf8(&get("newest")).unwrap().parse().unwrap();
    assert!(newest > 4);
    for n in 0..=newest {
        assert_eq!(get(&format!("{n:04}")).len(), 60_000, "{n}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_on_a_full_disk_says_so_and_opens_after() {
    if let Ok(path) = std::env::var(CHILD) {
        let path = Path::new(&path);
        drop(SledStore::open(path, Options::new(Holder::command())).unwrap());
        // Room for notes, not for the segment that sled clears when it opens its log.
        limit_files(Some(4096));
        let refused = SledStore::open(path, Options::new(Holder::command())).unwrap_err();
        assert!(matches!(refused, OpenError::Full { .. }), "{refused}");
        assert!(refused.to_string().contains("the disk is full. Free some space"), "{refused}");
        limit_files(None);
        drop(SledStore::open(path, Options::new(Holder::command())).unwrap());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    again_as_a_child(
        "a_store_that_cannot_be_opened_on_a_full_disk_says_so_and_opens_after",
        &folder.path().join("sequel.sled"),
    );
}
