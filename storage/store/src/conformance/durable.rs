//! Durability: what was answered outlives the process that answered.

use super::{Durable, commit, delete, get, org, put, scan_all, state};
use crate::{Changes, Revision};

pub async fn what_was_acknowledged_is_there_after_reopening<B: Durable>() {
    let backend = B::open().await;
    for n in 0..20 {
        commit(&*backend.store(), state(&org("a"), [put(format!("{n:02}"), format!("{n}"))])).await;
    }
    let before = scan_all(&*backend.store(), &org("a"), 100).await;
    let backend = backend.reopen().await;
    assert_eq!(scan_all(&*backend.store(), &org("a"), 100).await, before);
}

pub async fn a_deletion_stays_deleted_after_reopening<B: Durable>() {
    let backend = B::open().await;
    commit(&*backend.store(), state(&org("a"), [put("k", "v")])).await;
    let backend = backend.reopen().await;
    commit(&*backend.store(), state(&org("a"), [delete("k")])).await;
    let backend = backend.reopen().await;
    assert_eq!(get(&*backend.store(), &org("a"), "k").await, None);
}

pub async fn revisions_go_on_after_reopening<B: Durable>() {
    let backend = B::open().await;
    commit(&*backend.store(), state(&org("a"), [put("k", "v")])).await;
    let backend = backend.reopen().await;
    assert_eq!(commit(&*backend.store(), state(&org("a"), [put("k", "w")])).await, Revision(2));
}

pub async fn a_batch_repeated_after_reopening_changes_nothing<B: Durable>() {
    let backend = B::open().await;
    let batch = state(&org("a"), [put("k", "v")]);
    commit(&*backend.store(), batch.clone()).await;
    commit(&*backend.store(), state(&org("a"), [put("k", "later")])).await;
    let backend = backend.reopen().await;
    assert_eq!(commit(&*backend.store(), batch).await, Revision(1));
    assert_eq!(&get(&*backend.store(), &org("a"), "k").await.expect("a record").value[..], b"later");
}

pub async fn changes_reach_across_reopening<B: Durable>() {
    let backend = B::open().await;
    commit(&*backend.store(), state(&org("a"), [put("k", "v"), put("l", "v")])).await;
    commit(&*backend.store(), state(&org("a"), [delete("k")])).await;
    let backend = backend.reopen().await;
    let changes = backend.store().changes(&org("a"), Revision(1)).await.expect("a readable store");
    assert_eq!(changes, Changes::Delta { to: Revision(2), records: vec![(super::key("k"), None)] });
}
