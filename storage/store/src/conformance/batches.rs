//! Batches: revisions, preconditions, atomicity, lanes, idempotence.

use super::{Backend, at, commit, delete, expecting, get, key, log, org, put, scan_all, state, value};
use crate::{Batch, Changes, CommitError, Expect, Revision, Scope, Store};

async fn conflict(store: &dyn Store, batch: Batch, now: u64) {
    let scope = batch.scope.clone();
    let before = scan_all(store, &scope, 1_000).await;
    match store.commit(batch).await {
        Err(CommitError::Conflict { now: found }) => assert_eq!(found, Revision(now)),
        other => panic!("a conflict was due, not {other:?}"),
    }
    assert_eq!(scan_all(store, &scope, 1_000).await, before, "a refused batch changes nothing");
}

async fn with_one_record<B: Backend>() -> (B, Scope) {
    let backend = B::open().await;
    let scope = org("a");
    commit(&*backend.store(), state(&scope, [put("k", "v")])).await;
    (backend, scope)
}

pub async fn each_commit_raises_the_scope_s_revision_by_one<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    assert_eq!(commit(&*store, state(&scope, [put("k", "v"), put("l", "v")])).await, Revision(2));
    assert_eq!(commit(&*store, state(&scope, [delete("k")])).await, Revision(3));
    assert_eq!(commit(&*store, state(&scope, [])).await, Revision(4));
    assert_eq!(scan_all(&*store, &scope, 10).await.1, Revision(4));
}

pub async fn absent_holds_for_no_record_and_for_a_deleted_one<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let create = |name: &str| expecting([Expect::Absent(key(name))], state(&scope, [put(name, "new")]));
    conflict(&*store, create("k"), 1).await;
    assert_eq!(commit(&*store, create("l")).await, Revision(2));
    commit(&*store, state(&scope, [delete("k")])).await;
    assert_eq!(commit(&*store, create("k")).await, Revision(4));
    let elsewhere = expecting([Expect::Absent(key("k"))], state(&org("untouched"), [put("k", "v")]));
    assert_eq!(commit(&*store, elsewhere).await, Revision(1));
}

pub async fn at_holds_for_the_last_write_alone<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    commit(&*store, state(&scope, [put("l", "v")])).await;
    let change = |name: &str, revision| {
        expecting([Expect::At(key(name), Revision(revision))], state(&scope, [put(name, "changed")]))
    };
    conflict(&*store, change("k", 2), 2).await;
    conflict(&*store, change("k", 0), 2).await;
    conflict(&*store, change("missing", 0), 2).await;
    assert_eq!(commit(&*store, change("k", 1)).await, Revision(3));
    conflict(&*store, change("k", 1), 3).await;
    commit(&*store, state(&scope, [delete("l")])).await;
    conflict(&*store, change("l", 4), 4).await;
}

pub async fn a_scope_at_another_revision_is_a_conflict<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    conflict(&*store, at(0, state(&scope, [put("k", "x")])), 1).await;
    conflict(&*store, at(2, state(&scope, [put("k", "x")])), 1).await;
    assert_eq!(commit(&*store, at(1, state(&scope, [put("k", "x")]))).await, Revision(2));
    assert_eq!(commit(&*store, at(0, state(&org("untouched"), [put("k", "x")]))).await, Revision(1));
    conflict(&*store, at(3, state(&org("nothing-here"), [put("k", "x")])), 0).await;
}

pub async fn a_failed_batch_changes_nothing<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    // The condition that fails comes last, behind writes to other keys.
    let batch = expecting(
        [Expect::Absent(key("x")), Expect::At(key("k"), Revision(1)), Expect::Absent(key("k"))],
        state(&scope, [put("x", "1"), put("k", "2"), delete("y")]),
    );
    conflict(&*store, batch, 1).await;
    assert_eq!(value(&*store, &scope, "k").await.as_deref(), Some(&b"v"[..]));
    let changes = store.changes(&scope, Revision(1)).await.expect("a readable store");
    assert_eq!(changes, Changes::Delta { to: Revision(1), records: vec![] });
}

pub async fn a_batch_may_depend_on_what_it_replaces<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let batch = expecting(
        [Expect::At(key("k"), Revision(1)), Expect::Absent(key("l"))],
        at(1, state(&scope, [delete("k"), put("l", "moved")])),
    );
    assert_eq!(commit(&*backend.store(), batch).await, Revision(2));
    assert_eq!(value(&*backend.store(), &scope, "l").await.as_deref(), Some(&b"moved"[..]));
}

pub async fn the_log_lane_moves_no_revision<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    assert_eq!(commit(&*store, log(&scope, [put("audit/1", "a"), put("audit/2", "b")])).await, Revision(1));
    let record = get(&*store, &scope, "audit/2").await.expect("a record of the log");
    assert_eq!((&record.value[..], record.revision), (&b"b"[..], Revision(1)));
    assert_eq!(commit(&*store, log(&scope, [delete("audit/1")])).await, Revision(1));
    let (all, revision) = scan_all(&*store, &scope, 10).await;
    assert_eq!((all.len(), revision), (2, Revision(1)));
    assert_eq!(commit(&*store, log(&org("untouched"), [put("audit/1", "a")])).await, Revision(0));
    assert_eq!(commit(&*store, at(0, state(&org("untouched"), []))).await, Revision(1));
}

pub async fn the_log_lane_is_absent_from_changes<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    commit(&*store, log(&scope, [put("audit/1", "a")])).await;
    commit(&*store, state(&scope, [put("l", "v")])).await;
    commit(&*store, log(&scope, [put("audit/2", "b"), delete("audit/1")])).await;
    let Changes::Delta { to, records } = store.changes(&scope, Revision(0)).await.expect("a readable store")
    else {
        panic!("two commits are no gap")
    };
    let keys: Vec<_> = records.into_iter().map(|(key, _)| key).collect();
    assert_eq!((to, keys), (Revision(2), vec![key("k"), key("l")]));
}

pub async fn the_log_lane_takes_no_preconditions<B: Backend>() {
    let backend = B::open().await;
    let batch = expecting([Expect::Absent(key("k"))], log(&org("a"), [put("k", "v")]));
    assert!(matches!(backend.store().commit(batch).await, Err(CommitError::Malformed(_))));
}

pub async fn a_key_written_twice_is_malformed<B: Backend>() {
    let backend = B::open().await;
    let batch = state(&org("a"), [put("k", "v"), delete("k")]);
    assert!(matches!(backend.store().commit(batch).await, Err(CommitError::Malformed(_))));
    assert_eq!(get(&*backend.store(), &org("a"), "k").await, None);
}

pub async fn a_batch_repeated_by_its_id_changes_nothing<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let batch = expecting([Expect::Absent(key("l"))], at(1, state(&scope, [put("l", "first"), delete("k")])));
    assert_eq!(commit(&*store, batch.clone()).await, Revision(2));
    // Its own conditions no longer hold, and the scope has moved on.
    assert_eq!(commit(&*store, batch.clone()).await, Revision(2));
    commit(&*store, state(&scope, [put("l", "second")])).await;
    assert_eq!(commit(&*store, batch).await, Revision(2));
    let (all, revision) = scan_all(&*store, &scope, 10).await;
    assert_eq!((all.len(), &all[0].value[..], revision), (1, &b"second"[..], Revision(3)));
}

pub async fn a_batch_s_id_is_the_scope_s_own<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let here = state(&scope, [put("l", "v")]);
    let there = Batch { scope: org("b"), ..here.clone() };
    assert_eq!(commit(&*backend.store(), here).await, Revision(2));
    assert_eq!(commit(&*backend.store(), there).await, Revision(1));
    assert!(get(&*backend.store(), &org("b"), "l").await.is_some());
}

pub async fn a_batch_is_remembered_for_64_commits<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let batch = state(&scope, [put("k", "mine")]);
    assert_eq!(commit(&*store, batch.clone()).await, Revision(2));
    for _ in 0..63 {
        commit(&*store, state(&scope, [put("k", "theirs")])).await;
    }
    assert_eq!(commit(&*store, batch).await, Revision(2));
    assert_eq!(value(&*store, &scope, "k").await.as_deref(), Some(&b"theirs"[..]));
}

/// The 65th commit behind it pushes a batch out: what it says is then decided anew.
pub async fn past_64_commits_a_batch_is_a_new_one<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let free = state(&scope, [put("k", "mine")]);
    let bound = expecting([Expect::Absent(key("l"))], state(&scope, [put("l", "mine")]));
    assert_eq!(commit(&*store, bound.clone()).await, Revision(2));
    assert_eq!(commit(&*store, free.clone()).await, Revision(3));
    for _ in 0..64 {
        commit(&*store, state(&scope, [put("k", "theirs")])).await;
    }
    conflict(&*store, bound, 67).await;
    assert_eq!(commit(&*store, free.clone()).await, Revision(68));
    assert_eq!(value(&*store, &scope, "k").await.as_deref(), Some(&b"mine"[..]));
    assert_eq!(commit(&*store, free).await, Revision(68), "it is remembered as what it was the last time");
}

pub async fn only_commits_that_move_the_revision_age_a_batch<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let batch = state(&scope, [put("k", "mine")]);
    assert_eq!(commit(&*store, batch.clone()).await, Revision(2));
    for n in 0..70u8 {
        commit(&*store, log(&scope, [put([b'/', n], "v")])).await;
        conflict(&*store, at(0, state(&scope, [put("k", "x")])), 2).await;
        commit(&*store, state(&org("other"), [put("k", "v")])).await;
        assert_eq!(commit(&*store, batch.clone()).await, Revision(2));
    }
}

pub async fn a_batch_is_known_by_its_id_whatever_it_says<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let first = state(&scope, [put("l", "first")]);
    assert_eq!(commit(&*store, first.clone()).await, Revision(2));
    let other =
        Batch { id: first.id, ..expecting([Expect::Absent(key("l"))], at(0, state(&scope, [delete("k")]))) };
    assert_eq!(commit(&*store, other).await, Revision(2));
    assert_eq!(value(&*store, &scope, "k").await.as_deref(), Some(&b"v"[..]));
    // The log lane has no memory, and none of another lane's.
    let logged = Batch { id: first.id, ..log(&scope, [put("audit/1", "a")]) };
    assert_eq!(commit(&*store, logged.clone()).await, Revision(2));
    commit(&*store, log(&scope, [delete("audit/1")])).await;
    commit(&*store, logged).await;
    assert_eq!(value(&*store, &scope, "audit/1").await.as_deref(), Some(&b"a"[..]));
}

pub async fn a_conflict_is_not_remembered<B: Backend>() {
    let (backend, scope) = with_one_record::<B>().await;
    let store = backend.store();
    let batch = expecting([Expect::Absent(key("k"))], state(&scope, [put("l", "v")]));
    conflict(&*store, batch.clone(), 1).await;
    commit(&*store, state(&scope, [delete("k")])).await;
    assert_eq!(commit(&*store, batch).await, Revision(3));
}
