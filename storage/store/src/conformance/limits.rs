//! Limits: at the limit and one past it.

use super::{Backend, commit, expecting, get, key, org, put, scan_all, state};
use crate::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Batch, CommitError, Expect, KEY_BYTES_MAX, Key, Store,
    VALUE_BYTES_MAX,
};

async fn too_large(store: &dyn Store, batch: Batch) {
    let scope = batch.scope.clone();
    let before = scan_all(store, &scope, 1_000).await;
    assert!(matches!(store.commit(batch).await, Err(CommitError::TooLarge)));
    assert_eq!(scan_all(store, &scope, 1_000).await, before, "a refused batch changes nothing");
}

pub async fn a_batch_of_256_operations_fits_and_257_do_not<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let batch = |operations| {
        state(&scope, (0..operations).map(|n: usize| put(n.to_be_bytes(), "v")).collect::<Vec<_>>())
    };
    too_large(&*store, batch(BATCH_OPERATIONS_MAX + 1)).await;
    commit(&*store, batch(BATCH_OPERATIONS_MAX)).await;
    assert_eq!(scan_all(&*store, &scope, 1_000).await.0.len(), 256);
}

pub async fn preconditions_count_as_operations<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let batch = |expects: usize| {
        let expects: Vec<_> = (0..expects).map(|n| Expect::Absent(key(n.to_be_bytes()))).collect();
        expecting(expects, state(&scope, [put("k", "v")]))
    };
    too_large(&*store, batch(BATCH_OPERATIONS_MAX)).await;
    commit(&*store, batch(BATCH_OPERATIONS_MAX - 1)).await;
}

pub async fn a_value_of_64_kib_fits_and_one_more_byte_does_not<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    too_large(&*store, state(&scope, [put("k", vec![0xA5; VALUE_BYTES_MAX + 1])])).await;
    commit(&*store, state(&scope, [put("k", vec![0xA5; VALUE_BYTES_MAX])])).await;
    let record = get(&*store, &scope, "k").await.expect("a record");
    assert!(record.value.len() == VALUE_BYTES_MAX && record.value.iter().all(|byte| *byte == 0xA5));
}

pub async fn a_batch_of_1_mib_fits_and_one_more_byte_does_not<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    // 16 values with one-byte keys, the last of which fills the batch to the byte.
    let batch = |bytes: usize| {
        let whole = VALUE_BYTES_MAX - 1;
        let mut writes: Vec<_> = (0..16u8).map(|n| put([n], vec![n; whole])).collect();
        writes.push(put([16], vec![16; bytes - 16 * VALUE_BYTES_MAX - 1]));
        state(&scope, writes)
    };
    // 16 × (1 + 65,535) is 1 MiB already, so the last value takes the place of a few bytes of the first.
    let trim = |mut batch: Batch| {
        batch.writes[0] = put([0], vec![0; VALUE_BYTES_MAX - 1 - 10]);
        batch
    };
    too_large(&*store, trim(batch(BATCH_BYTES_MAX + 11))).await;
    commit(&*store, trim(batch(BATCH_BYTES_MAX + 10))).await;
    let bytes: usize =
        scan_all(&*store, &scope, 1_000).await.0.iter().map(|r| r.value.len() + r.key.as_bytes().len()).sum();
    assert_eq!(bytes, BATCH_BYTES_MAX);
}

pub async fn a_key_of_256_bytes_fits_and_257_do_not<B: Backend>() {
    assert!(Key::new(vec![b'k'; KEY_BYTES_MAX + 1]).is_err() && Key::new("").is_err());
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let (long, other) = (vec![b'k'; KEY_BYTES_MAX], vec![b'k'; KEY_BYTES_MAX - 1]);
    commit(&*store, state(&scope, [put(&long, "long"), put(&other, "other")])).await;
    assert_eq!(&get(&*store, &scope, &long).await.expect("a record").value[..], b"long");
    assert_eq!(&get(&*store, &scope, &other).await.expect("a record").value[..], b"other");
}
