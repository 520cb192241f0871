//! Two nodes over one store: reading each other, conflicts, catching up, settling.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};

use super::{TwoNodes, at, commit, delete, fresh_id, key, org, put, state, value};
use crate::{Batch, Changes, CommitError, Lane, Revision, Scope, Store};

async fn narrowing(store: &dyn Store, scope: &Scope) -> Revision {
    let lane = Lane::State { at: None, narrows: true };
    let batch =
        Batch { scope: scope.clone(), lane, id: fresh_id(), expects: vec![], writes: vec![delete("k")] };
    commit(store, batch).await
}

async fn nodes<B: TwoNodes>() -> (B, Arc<dyn Store>, Arc<dyn Store>, Scope) {
    let backend = B::open().await;
    let (first, second) = (backend.store(), backend.second().await);
    (backend, first, second, org("a"))
}

pub async fn a_node_reads_what_the_other_committed<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    commit(&*first, state(&scope, [put("k", "v")])).await;
    assert_eq!(value(&*second, &scope, "k").await.as_deref(), Some(&b"v"[..]));
    commit(&*second, state(&scope, [delete("k")])).await;
    assert_eq!(value(&*first, &scope, "k").await, None);
}

pub async fn two_nodes_never_both_win<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    for round in 0..16 {
        let batch = |name: &str| at(round, state(&scope, [put("k", name)]));
        let (a, b) = tokio::join!(first.commit(batch("first")), second.commit(batch("second")));
        assert!(a.is_ok() != b.is_ok(), "round {round}: {a:?}, {b:?}");
        let lost = a.err().or(b.err()).expect("one lost");
        assert!(matches!(lost, CommitError::Conflict { now } if now == Revision(round + 1)), "{lost:?}");
    }
}

pub async fn a_node_catches_up_through_changes<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let seen = commit(&*first, state(&scope, [put("k", "v"), put("l", "v")])).await;
    commit(&*first, state(&scope, [delete("k")])).await;
    let changes = second.changes(&scope, seen).await.expect("a readable store");
    assert_eq!(changes, Changes::Delta { to: Revision(2), records: vec![(key("k"), None)] });
}

pub async fn hints_reach_the_other_node<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let mut hints = second.watch();
    // Hints may be lost, so the scope is moved until one arrives.
    loop {
        commit(&*first, state(&scope, [put("k", "v")])).await;
        let wait = tokio::time::timeout(std::time::Duration::from_millis(200), hints.next());
        if let Ok(hint) = wait.await {
            assert_eq!(hint.expect("a stream that goes on").scope, scope);
            break;
        }
    }
}

pub async fn settle_waits_until_the_other_node_has_published<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let _held = second.register(&scope);
    let before = commit(&*first, state(&scope, [put("k", "v")])).await;
    first.published(&scope, before).await.expect("a store that listens");
    second.published(&scope, before).await.expect("a store that listens");
    let revision = narrowing(&*first, &scope).await;
    first.published(&scope, revision).await.expect("a store that listens");
    let mut settled = std::pin::pin!(first.settle(&scope, revision).fuse());
    assert!(
        settled.as_mut().now_or_never().is_none(),
        "settled while the other node could serve the older revision"
    );
    second.published(&scope, revision).await.expect("a store that listens");
    settled.await.expect("a settled scope");
}

pub async fn settle_waits_for_a_load_that_has_not_published<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let load = second.register(&scope);
    assert_eq!(value(&*second, &scope, "k").await, None);
    let revision = narrowing(&*first, &scope).await;
    let mut settled = std::pin::pin!(first.settle(&scope, revision).fuse());
    assert!(
        settled.as_mut().now_or_never().is_none(),
        "settled while the other node could still publish what it read before"
    );
    drop(load);
    settled.await.expect("a settled scope");
}

pub async fn settle_does_not_wait_for_a_node_that_does_not_hold_the_scope<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let _another = second.register(&org("other"));
    let revision = narrowing(&*first, &scope).await;
    first.settle(&scope, revision).await.expect("a settled scope");
}

pub async fn a_scope_registered_twice_is_held_until_both_are_dropped<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let (held, also_held) = (second.register(&scope), second.register(&scope));
    let revision = narrowing(&*first, &scope).await;
    let mut settled = std::pin::pin!(first.settle(&scope, revision).fuse());
    drop(held);
    assert!(settled.as_mut().now_or_never().is_none(), "settled although it is still held");
    drop(also_held);
    settled.await.expect("a settled scope");
}

pub async fn settle_does_not_wait_for_its_own_node<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let _held = (first.register(&scope), second.register(&scope));
    let revision = narrowing(&*first, &scope).await;
    second.published(&scope, revision).await.expect("a store that listens");
    first.settle(&scope, revision).await.expect("a settled scope");
}

pub async fn publishing_an_older_revision_settles_nothing<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let _held = second.register(&scope);
    let before = commit(&*first, state(&scope, [put("k", "v")])).await;
    let revision = narrowing(&*first, &scope).await;
    let mut settled = std::pin::pin!(first.settle(&scope, revision).fuse());
    second.published(&scope, before).await.expect("a store that listens");
    second.published(&org("other"), revision).await.expect("a store that listens");
    assert!(
        settled.as_mut().now_or_never().is_none(),
        "an older revision, or another scope, is no acknowledgement"
    );
    second.published(&scope, revision).await.expect("a store that listens");
    settled.await.expect("a settled scope");
}

pub async fn published_once_settles_every_older_revision<B: TwoNodes>() {
    let (_backend, first, second, scope) = nodes::<B>().await;
    let _held = second.register(&scope);
    let older = narrowing(&*first, &scope).await;
    let newer = narrowing(&*first, &scope).await;
    second.published(&scope, newer).await.expect("a store that listens");
    // A late acknowledgement of the older one takes nothing back.
    second.published(&scope, older).await.expect("a store that listens");
    first.settle(&scope, older).await.expect("a settled scope");
    first.settle(&scope, newer).await.expect("a settled scope");
}
