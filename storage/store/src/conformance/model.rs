//! Any backend equals the in-memory model under random batches: answers, records, revisions, changes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Backend, key, org, scan_all};
use crate::{
    Batch, Changes, CommitError, CommitId, Expect, Lane, MemoryStore, Revision, Scope, Store, Write,
};

/// Random histories; each opens a fresh store.
const CASES: u32 = 48;
/// Few keys, scopes and ids, so that batches meet each other.
const KEYS: [&[u8]; 6] = [b"a", b"a\0", b"ab", b"\0", b"\xFF", b"\xFF\xFF"];
const SCOPES: [&str; 2] = ["one", "two"];

/// See the module.
pub fn random_batches_equal_the_memory_model<B: Backend>() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(batch(), 1..24), |batches| {
        super::run(equal::<B>(batches));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

async fn equal<B: Backend>(batches: Vec<Batch>) {
    let (model, backend) = (MemoryStore::new(), B::open().await);
    let store = backend.store();
    for batch in batches {
        let (expected, found) = (model.commit(batch.clone()).await, store.commit(batch.clone()).await);
        assert_eq!(answer(&found), answer(&expected), "{batch:?}");
    }
    for scope in SCOPES.map(org) {
        let expected = scan_all(&model, &scope, 3).await;
        assert_eq!(scan_all(&*store, &scope, 3).await, expected);
        for key in KEYS.map(key) {
            let found = store.get(&scope, &key).await.expect("a readable store");
            assert_eq!(found, model.get(&scope, &key).await.expect("a readable model"));
        }
        for after in 0..=expected.1.0 + 1 {
            let found = store.changes(&scope, Revision(after)).await.expect("a readable store");
            let expected = model.changes(&scope, Revision(after)).await.expect("a readable model");
            // A short history is never a gap, except from the future.
            assert_eq!(found == Changes::Gap, expected == Changes::Gap, "since {after}");
            assert_eq!(found, expected, "since {after}");
        }
    }
    assert_eq!(super::export_all(&*store).await, super::export_all(&model).await);
}

fn answer(result: &Result<Revision, CommitError>) -> String {
    match result {
        Ok(revision) => format!("{revision:?}"),
        Err(CommitError::Conflict { now }) => format!("conflict at {now:?}"),
        Err(other) => format!("{other}"),
    }
}

fn batch() -> impl Strategy<Value = Batch> {
    let at = prop_oneof![3 => Just(None), 1 => (0..6u64).prop_map(|n| Some(Revision(n)))];
    let expect =
        (0..KEYS.len(), prop_oneof![Just(None), (0..6u64).prop_map(Some)]).prop_map(|(k, revision)| {
            match revision {
                None => Expect::Absent(key(KEYS[k])),
                Some(revision) => Expect::At(key(KEYS[k]), Revision(revision)),
            }
        });
    let write = (0..KEYS.len(), any::<Option<[u8; 3]>>());
    // One id in six is shared between batches, so that repetitions happen.
    let id = prop_oneof![1 => (0..3u8).prop_map(|n| [n; 16]), 5 => any::<[u8; 16]>()];
    (
        0..SCOPES.len(),
        any::<bool>(),
        proptest::bool::weighted(0.2),
        at,
        id,
        vec(expect, 0..2),
        vec(write, 0..5),
    )
        .prop_map(|(scope, narrows, log, at, id, expects, writes)| {
            let scope: Scope = org(SCOPES[scope]);
            let lane = if log { Lane::Log } else { Lane::State { at, narrows } };
            let writes = writes
                .into_iter()
                .map(|(k, value)| {
                    // A key belongs to one lane.
                    let key = if log { key([b"log/", KEYS[k]].concat()) } else { key(KEYS[k]) };
                    match value {
                        Some(value) => Write::Put(key, Bytes::copy_from_slice(&value)),
                        None => Write::Delete(key),
                    }
                })
                .collect();
            Batch { scope, lane, id: CommitId(id), expects, writes }
        })
}
