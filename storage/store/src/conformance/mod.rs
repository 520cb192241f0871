//! What every backend of the store must do, as one named test for each property.
//!
//! A backend implements [`Backend`] for a value of its tests and writes one line:
//!
//! ```text
//! sequel_store::conformance_tests!(MyBackend, durable, two_nodes);
//! ```
//!
//! `durable` asks for [`Durable`], `two_nodes` for [`TwoNodes`]; a backend leaves a word out where
//! it is not of that kind, and says so in its documentation. Nothing is skipped within a word.
//! Each property opens a fresh store; nothing here depends on speed.

pub mod batches;
pub mod beside;
pub mod concurrent;
pub mod durable;
#[cfg(target_os = "linux")]
pub mod embedded;
pub mod history;
pub mod limits;
mod macros;
pub mod model;
pub mod nodes;
pub mod records;
pub mod views;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{Batch, CommitId, Expect, Exported, Key, Lane, Record, Revision, Scope, Store, Write};

/// Whatever hangs this long hangs for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open store under test; dropping it removes what it made.
#[async_trait]
pub trait Backend: Sized + Send + Sync + 'static {
    /// A fresh, empty store.
    async fn open() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn Store>;
}

/// A backend that keeps what it acknowledged when it is closed.
#[async_trait]
pub trait Durable: Backend {
    /// Closes the store and opens the same again.
    async fn reopen(self) -> Self;
}

/// A backend that several nodes may open at once.
#[async_trait]
pub trait TwoNodes: Backend {
    /// Another node over the same store.
    async fn second(&self) -> Arc<dyn Store>;
}

/// Runs a property on a runtime of its own; what the macro expands to calls this.
pub fn run(property: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime for the test").block_on(async {
        tokio::time::timeout(PATIENCE, property).await.expect("the property holds within two minutes");
    });
}

/// A commit id that no other batch of this process has.
pub fn fresh_id() -> CommitId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    CommitId(id)
}

/// The scope of an organization.
pub fn org(id: &str) -> Scope {
    Scope::org(id).expect("a legal id")
}

/// A key.
pub fn key(bytes: impl AsRef<[u8]>) -> Key {
    Key::new(Bytes::copy_from_slice(bytes.as_ref())).expect("a legal key")
}

/// A write that puts.
pub fn put(at: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Write {
    Write::Put(key(at), Bytes::copy_from_slice(value.as_ref()))
}

/// A write that deletes.
pub fn delete(at: impl AsRef<[u8]>) -> Write {
    Write::Delete(key(at))
}

/// An unconditional batch on the state lane.
pub fn state(scope: &Scope, writes: impl Into<Vec<Write>>) -> Batch {
    let lane = Lane::State { at: None, narrows: false };
    Batch { scope: scope.clone(), lane, id: fresh_id(), expects: Vec::new(), writes: writes.into() }
}

/// A batch on the log lane.
pub fn log(scope: &Scope, writes: impl Into<Vec<Write>>) -> Batch {
    Batch { lane: Lane::Log, ..state(scope, writes) }
}

/// The batch, on condition that the scope is at `revision`.
pub fn at(revision: u64, batch: Batch) -> Batch {
    Batch { lane: Lane::State { at: Some(Revision(revision)), narrows: false }, ..batch }
}

/// The batch, on these conditions.
pub fn expecting(expects: impl Into<Vec<Expect>>, batch: Batch) -> Batch {
    Batch { expects: expects.into(), ..batch }
}

pub(crate) async fn value(store: &dyn Store, scope: &Scope, at: impl AsRef<[u8]>) -> Option<Bytes> {
    get(store, scope, at).await.map(|record| record.value)
}

pub(crate) async fn get(store: &dyn Store, scope: &Scope, at: impl AsRef<[u8]>) -> Option<Record> {
    store.get(scope, &key(at)).await.expect("a readable store")
}

pub(crate) async fn commit(store: &dyn Store, batch: Batch) -> Revision {
    store.commit(batch).await.expect("a batch whose conditions hold")
}

/// All live records of a scope, page by page of `records` each.
pub(crate) async fn scan_all(store: &dyn Store, scope: &Scope, records: usize) -> (Vec<Record>, Revision) {
    let (mut all, mut range) = (Vec::new(), crate::KeyRange::all());
    loop {
        let limit = crate::ScanLimit { records };
        let page = store.scan(scope, range.clone(), limit).await.expect("a readable store");
        assert!(page.records.len() <= records, "a page holds no more than was asked");
        all.extend(page.records);
        match page.next {
            Some(next) => {
                assert_eq!(
                    all.last().map(|record| &record.key),
                    Some(&next),
                    "`next` is the page's last key"
                );
                range = range.after(&next);
            }
            None => return (all, page.revision),
        }
    }
}

pub(crate) async fn export_all(store: &dyn Store) -> Vec<Exported> {
    let cut = store.export().await.expect("a readable store");
    cut.map(|record| record.expect("a readable record")).collect().await
}
