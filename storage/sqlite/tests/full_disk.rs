//! A full disk: writes refuse cleanly, reads stay right, and space that is freed is used unaided.
//!
//! The file's page limit stands in for the disk: SQLite answers both with SQLITE_FULL.

use std::sync::Arc;

use sequel_store::conformance::{delete, key, org, put, state};
use sequel_store::{CommitError, Holder, Revision, Store};
use sequel_store_sqlite::{Options, SqliteStore};

fn open(folder: &tempfile::TempDir) -> SqliteStore {
    let options = Options { pages_max: Some(400), ..Options::new(Holder::command()) };
    SqliteStore::open(&folder.path().join("sequel.db"), options).unwrap()
}

async fn fill(store: &SqliteStore) -> u64 {
    for n in 0.. {
        match store.commit(state(&org("a"), [put(format!("{n:04}"), vec![7; 60_000])])).await {
            Ok(revision) => assert_eq!(revision, Revision(n + 1)),
            Err(CommitError::Full) => return n,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the limit is 1.6 MB")
}

#[tokio::test]
async fn on_a_full_disk_writes_refuse_and_reads_stay_right() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let stored = fill(&store).await;
    assert!(stored > 10, "{stored}");
    for n in 0..stored {
        let record = store.get(&org("a"), &key(format!("{n:04}"))).await.unwrap().unwrap();
        assert_eq!(record.value.len(), 60_000);
    }
    assert!(store.get(&org("a"), &key(format!("{stored:04}"))).await.unwrap().is_none());
    drop(store);
    let store = open(&folder);
    assert!(store.get(&org("a"), &key("0000")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_disk_still_takes_a_deletion_and_then_writes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let stored = fill(&store).await;
    let revision = store.commit(state(&org("a"), [delete("0000"), delete("0001")])).await.unwrap();
    assert_eq!(revision, Revision(stored + 1));
    store.commit(state(&org("a"), [put("new", vec![8; 60_000])])).await.unwrap();
    assert!(store.get(&org("a"), &key("0000")).await.unwrap().is_none());
}

#[tokio::test]
async fn on_a_full_disk_a_large_batch_does_not_take_small_ones_down() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder));
    fill(&store).await;
    store.commit(state(&org("a"), [delete("0000")])).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = store.clone();
            let large = || (0..8).map(|k| put(format!("large/{k}"), vec![9; 60_000])).collect::<Vec<_>>();
            let writes = if n == 8 { large() } else { vec![put(format!("small/{n}"), "v")] };
            tokio::spawn(async move { store.commit(state(&org("a"), writes)).await })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        if n == 8 {
            assert!(matches!(result, Err(CommitError::Full)), "{result:?}");
        } else {
            result.unwrap();
        }
    }
    assert!(store.get(&org("a"), &key("large/0")).await.unwrap().is_none());
}
