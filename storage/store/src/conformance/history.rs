//! History: changes, hints, fence, and settling where there is one node.

use futures_util::StreamExt;

use super::{Backend, commit, delete, fresh_id, get, key, org, put, state};
use crate::{Batch, Changes, Lane, Revision, VALUE_BYTES_MAX};

pub async fn changes_name_each_touched_key_once<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("same", "1"), put("k", "1")])).await;
    commit(&*store, state(&scope, [put("k", "2"), put("b", "2")])).await;
    commit(&*store, state(&scope, [put("k", "3")])).await;
    let changes = store.changes(&scope, Revision(1)).await.expect("a readable store");
    let records =
        vec![(key("b"), get(&*store, &scope, "b").await), (key("k"), get(&*store, &scope, "k").await)];
    assert_eq!(changes, Changes::Delta { to: Revision(3), records });
}

pub async fn changes_name_a_deleted_key_without_a_record<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("k", "1"), put("l", "1")])).await;
    commit(&*store, state(&scope, [delete("k"), delete("l")])).await;
    commit(&*store, state(&scope, [put("l", "back")])).await;
    let changes = store.changes(&scope, Revision(1)).await.expect("a readable store");
    let records = vec![(key("k"), None), (key("l"), get(&*store, &scope, "l").await)];
    assert_eq!(changes, Changes::Delta { to: Revision(3), records });
}

pub async fn changes_since_now_are_none<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let none = |to| Changes::Delta { to: Revision(to), records: vec![] };
    assert_eq!(store.changes(&scope, Revision(0)).await.expect("a readable store"), none(0));
    commit(&*store, state(&scope, [put("k", "1")])).await;
    assert_eq!(store.changes(&scope, Revision(1)).await.expect("a readable store"), none(1));
}

pub async fn changes_since_the_future_are_a_gap<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    assert_eq!(store.changes(&scope, Revision(1)).await.expect("a readable store"), Changes::Gap);
    commit(&*store, state(&scope, [put("k", "1")])).await;
    assert_eq!(store.changes(&scope, Revision(2)).await.expect("a readable store"), Changes::Gap);
}

/// How far back a log reaches is the backend's choice; a partial answer is not.
pub async fn a_long_history_is_whole_or_a_gap<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    // 70 commits of 100 deletions are 7,000 tombstones: beyond what a backend needs to keep.
    for round in 0..70 {
        let writes: Vec<_> = (0..100).map(|n| delete(format!("{round:03}/{n:03}"))).collect();
        commit(&*store, state(&scope, writes)).await;
    }
    let mut gaps_end = None;
    for after in 0..=70 {
        match store.changes(&scope, Revision(after)).await.expect("a readable store") {
            Changes::Gap => assert_eq!(gaps_end, None, "a gap at {after}, above a revision that had none"),
            Changes::Delta { to, records } => {
                gaps_end.get_or_insert(after);
                assert_eq!(to, Revision(70));
                assert_eq!(records.len() as u64, (70 - after) * 100, "since {after}");
                assert!(records.iter().all(|(_, record)| record.is_none()));
            }
        }
    }
    assert!(gaps_end.is_some_and(|end| end <= 69), "at least the latest commit is told");
}

pub async fn a_delta_larger_than_a_read_is_a_gap<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    // 15 values of 64 KiB are a batch just below 1 MiB; five are above the 4 MiB of a read.
    for batch in 0..5 {
        let writes: Vec<_> =
            (0..15).map(|n| put(format!("{batch}/{n:02}"), vec![7; VALUE_BYTES_MAX])).collect();
        commit(&*store, state(&scope, writes)).await;
    }
    // Not `assert_eq!`: what is compared is megabytes.
    let changes = store.changes(&scope, Revision(0)).await.expect("a readable store");
    assert!(changes == Changes::Gap, "4.7 MiB are one delta");
    for after in 1..=5 {
        let changes = store.changes(&scope, Revision(after)).await.expect("a readable store");
        let Changes::Delta { to, records } = changes else { panic!("a gap since {after}: at most 3.8 MiB") };
        assert_eq!((to, records.len() as u64), (Revision(5), (5 - after) * 15));
    }
    // What counts is what a delta holds, and deletions are small.
    for batch in 0..5 {
        let writes: Vec<_> = (0..15).map(|n| delete(format!("{batch}/{n:02}"))).collect();
        commit(&*store, state(&scope, writes)).await;
    }
    let changes = store.changes(&scope, Revision(0)).await.expect("a readable store");
    assert!(matches!(changes, Changes::Delta { records, .. } if records.len() == 75));
}

pub async fn a_watcher_is_told_where_a_scope_is<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let mut hints = store.watch();
    // Hints may be lost, so the scope is moved until one arrives.
    loop {
        let revision = commit(&*store, state(&scope, [put("k", "v")])).await;
        let wait = tokio::time::timeout(std::time::Duration::from_millis(200), hints.next());
        if let Ok(hint) = wait.await {
            let hint = hint.expect("a stream that goes on");
            assert_eq!(hint.scope, scope);
            assert!(hint.revision <= revision, "a hint never runs ahead of what is stored");
            break;
        }
    }
}

pub async fn the_fence_of_an_open_store_holds<B: Backend>() {
    let backend = B::open().await;
    assert!(backend.store().fence().holds());
}

pub async fn a_single_node_settles_at_once<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let lane = Lane::State { at: None, narrows: true };
    let batch =
        Batch { scope: scope.clone(), lane, id: fresh_id(), expects: vec![], writes: vec![delete("k")] };
    let revision = commit(&*store, batch).await;
    store.published(&scope, revision).await.expect("a store that listens");
    store.settle(&scope, revision).await.expect("a settled scope");
}
