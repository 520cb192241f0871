//! Exports while others write: one moment, whatever happens meanwhile; and an end to what that may cost.

use std::sync::Arc;

use futures_util::StreamExt;
use sequel_store::conformance::{delete, log, org, put, state};
use sequel_store::{ExportStream, Exported, Holder, ReadError, Store, Write};
use sequel_store_sled::{Options, SledStore};

fn store() -> (tempfile::TempDir, Arc<SledStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(&folder.path().join("sequel.sled"), Options::new(Holder::command())).unwrap();
    (folder, Arc::new(store))
}

async fn rest(cut: ExportStream) -> Vec<Exported> {
    cut.map(|record| record.unwrap()).collect().await
}

/// Writes 600 records in each scope anew: most of them live, some in chunks, some tombstones, some on the log lane.
async fn fill(store: &SledStore, value: u8) {
    for scope in ["a", "b", "c"].map(org) {
        for part in 0..6 {
            let writes: Vec<Write> = (0..100)
                .map(|n| match (n + value) % 10 {
                    9 => delete(format!("{part}/{n:02}")),
                    8 => put(format!("{part}/{n:02}"), vec![value; 10_000]),
                    _ => put(format!("{part}/{n:02}"), vec![value; 300]),
                })
                .collect();
            store.commit(state(&scope, writes)).await.unwrap();
        }
        let audit = [delete(format!("audit/{}", value - 1)), put(format!("audit/{value}"), "v")];
        store.commit(log(&scope, audit)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_stays_at_its_moment_wherever_its_reader_is() {
    let (_folder, store) = store();
    fill(&store, 1).await;
    for (stop, value) in [0, 1, 300, 541, 1_100, 1_600].into_iter().zip(2..) {
        let before = rest(store.export().await.unwrap()).await;
        assert!(before.len() > 1_600);
        let mut cut = store.export().await.unwrap();
        let mut read = Vec::new();
        while read.len() < stop {
            read.push(cut.next().await.unwrap().unwrap());
        }
        // Everything is replaced, deleted or brought back, twice; and scopes come before and behind all others.
        fill(&store, value).await;
        store.commit(state(&org(&format!("0{value}")), [put("k", "v")])).await.unwrap();
        store.commit(state(&org(&format!("z{value}")), [put("k", "v")])).await.unwrap();
        fill(&store, value + 1).await;
        read.extend(rest(cut).await);
        assert!(read == before, "stopped at {stop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_read_costs_a_bounded_memory_and_says_that_it_is_lost() {
    let (_folder, store) = store();
    // 40 MB, of which the writer would have to keep nearly all.
    let write_all = async |value: u8| {
        for batch in 0..45 {
            let writes: Vec<_> =
                (0..15).map(|n| put(format!("{batch:02}/{n:02}"), vec![value; 60_000])).collect();
            store.commit(state(&org("a"), writes)).await.unwrap();
        }
    };
    write_all(1).await;
    let cut = store.export().await.unwrap();
    write_all(2).await;
    let read: Vec<Result<Exported, ReadError>> = cut.collect().await;
    let (last, records) = read.split_last().unwrap();
    assert!(records.iter().all(|record| record.as_ref().is_ok_and(|e| e.record.value == vec![1; 60_000])));
    let Err(lost @ ReadError::Unavailable(_)) = last else { panic!("{} records", read.len()) };
    let why = std::error::Error::source(lost).unwrap().to_string();
    assert!(why.contains("too much changed"), "{why}");
    // It takes no place any more: as many as may run at once begin.
    for _ in 0..3 {
        let again = rest(store.export().await.unwrap()).await;
        assert!(again.len() == 675 && again.iter().all(|exported| exported.record.value == vec![2; 60_000]));
    }
}
