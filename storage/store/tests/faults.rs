//! What tests above the store rely on: faults end as they say, gates hold, a lost node serves nothing.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use sequel_store::conformance::{delete, fresh_id, key, org, put, state};
use sequel_store::memory::Fault;
use sequel_store::{Batch, CommitError, Lane, MemoryStore, Revision, Scope, Store};

fn narrowing(scope: &Scope) -> Batch {
    let lane = Lane::State { at: None, narrows: true };
    Batch { scope: scope.clone(), lane, id: fresh_id(), expects: vec![], writes: vec![delete("k")] }
}

#[tokio::test]
async fn a_fault_ends_one_commit_and_no_other() {
    let (store, scope) = (MemoryStore::new(), org("a"));
    store.fail_next(Fault::Full);
    store.fail_next(Fault::Unavailable);
    let batch = state(&scope, [put("k", "v")]);
    assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Full)));
    assert!(matches!(store.commit(batch.clone()).await, Err(CommitError::Unavailable(_))));
    assert!(store.get(&scope, &key("k")).await.unwrap().is_none());
    assert_eq!(store.commit(batch).await.unwrap(), Revision(1));
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out_by_committing_again() {
    for (fault, at_once) in [(Fault::UnknownApplied, true), (Fault::UnknownLost, false)] {
        let (store, scope) = (MemoryStore::new(), org("a"));
        store.fail_next(fault);
        let batch = state(&scope, [put("k", "v")]);
        let unknown = store.commit(batch.clone()).await.unwrap_err();
        assert!(matches!(unknown, CommitError::Unknown(id) if id == batch.id));
        assert_eq!(store.get(&scope, &key("k")).await.unwrap().is_some(), at_once);
        assert_eq!(store.commit(batch).await.unwrap(), Revision(1));
    }
}

#[tokio::test]
async fn a_gate_holds_commits_until_it_opens() {
    let (store, scope) = (Arc::new(MemoryStore::new()), org("a"));
    let gate = store.hold_commits();
    let commit = tokio::spawn({
        let (store, scope) = (store.clone(), scope.clone());
        async move { store.commit(state(&scope, [put("k", "v")])).await }
    });
    gate.arrived(1).await;
    assert!(store.get(&scope, &key("k")).await.unwrap().is_none());
    gate.open();
    assert_eq!(commit.await.unwrap().unwrap(), Revision(1));
    assert_eq!(store.commit(state(&scope, [])).await.unwrap(), Revision(2));
}

#[tokio::test]
async fn a_store_that_is_away_answers_nothing_and_comes_back_whole() {
    let (store, scope) = (MemoryStore::new(), org("a"));
    store.commit(state(&scope, [put("k", "v")])).await.unwrap();
    store.set_away(true);
    assert!(store.get(&scope, &key("k")).await.is_err());
    assert!(matches!(store.commit(state(&scope, [])).await, Err(CommitError::Unavailable(_))));
    store.set_away(false);
    assert!(store.get(&scope, &key("k")).await.unwrap().is_some());
}

#[tokio::test]
async fn settle_waits_for_every_node_that_may_still_serve() {
    let ((first, second), scope) = (MemoryStore::two_nodes(), org("a"));
    let third = first.another_node();
    let _held = (second.register(&scope), third.register(&scope));
    let revision = first.commit(narrowing(&scope)).await.unwrap();
    let mut settled = std::pin::pin!(first.settle(&scope, revision));
    second.published(&scope, revision).await.unwrap();
    assert!(settled.as_mut().now_or_never().is_none());
    assert!(third.fence().holds());
    third.partition();
    assert!(!third.fence().holds());
    settled.await.unwrap();
}

#[tokio::test]
async fn a_node_that_went_away_is_not_waited_for() {
    let ((first, second), scope) = (MemoryStore::two_nodes(), org("a"));
    let _held = second.register(&scope);
    let revision = first.commit(narrowing(&scope)).await.unwrap();
    drop(second);
    first.settle(&scope, revision).await.unwrap();
}

#[tokio::test]
async fn a_lost_node_serves_again_only_after_publishing_what_it_missed() {
    let ((first, second), scope) = (MemoryStore::two_nodes(), org("a"));
    let _held = second.register(&scope);
    let before = first.commit(narrowing(&scope)).await.unwrap();
    second.published(&scope, before).await.unwrap();
    let fence = second.fence();
    second.partition();
    assert!(second.get(&scope, &key("k")).await.is_err());
    let missed = first.commit(narrowing(&scope)).await.unwrap();
    first.settle(&scope, missed).await.unwrap();
    second.heal();
    assert!(!fence.holds(), "it could serve what was revoked meanwhile");
    let later = first.commit(narrowing(&scope)).await.unwrap();
    second.published(&scope, missed).await.unwrap();
    assert!(!fence.holds(), "one more was missed between joining and publishing");
    assert_eq!(second.owed(), [(scope.clone(), later)]);
    second.published(&scope, later).await.unwrap();
    assert!(fence.holds());
}

#[tokio::test]
async fn a_lost_node_owes_nothing_of_what_it_no_longer_holds() {
    let ((first, second), scope) = (MemoryStore::two_nodes(), org("a"));
    let held = second.register(&scope);
    second.partition();
    first.commit(narrowing(&scope)).await.unwrap();
    first.commit(narrowing(&org("b"))).await.unwrap();
    second.heal();
    assert!(!second.fence().holds());
    drop(held);
    assert!(second.fence().holds());
    assert_eq!(second.owed(), []);
}

#[tokio::test]
async fn a_slow_watcher_loses_hints_and_still_gets_the_newest() {
    let (store, scope) = (MemoryStore::new(), org("a"));
    let mut hints = store.watch();
    for _ in 0..100 {
        store.commit(state(&scope, [])).await.unwrap();
    }
    let mut seen = Vec::new();
    while let Some(Some(hint)) = hints.next().now_or_never() {
        seen.push(hint.revision.0);
    }
    assert!(seen.len() < 100 && seen.last() == Some(&100), "{seen:?}");
}
