//! Limits: at the limit and one past it.

use super::{Backend, commit, delete, expecting, export_all, get, key, org, put, scan_all, state, value};
use crate::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Batch, Changes, CommitError, Expect, KEY_BYTES_MAX, Key, Revision,
    Store, VALUE_BYTES_MAX, Write,
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

pub async fn a_batch_of_256_longest_keys_fits<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org(&"a".repeat(64)));
    let writes: Vec<_> =
        (0..=255u8).map(|n| put([vec![b'k'; KEY_BYTES_MAX - 1], vec![n]].concat(), "v")).collect();
    commit(&*store, state(&scope, writes.clone())).await;
    assert_eq!(scan_all(&*store, &scope, 100).await.0.len(), 256);
    let deletions: Vec<_> = writes
        .into_iter()
        .map(|write| match write {
            Write::Put(key, _) | Write::Delete(key) => Write::Delete(key),
        })
        .collect();
    commit(&*store, state(&scope, deletions)).await;
    assert_eq!(scan_all(&*store, &scope, 100).await.0.len(), 0);
}

pub async fn the_largest_values_come_through_every_read<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    // No two stretches are alike, so that a part that is lost, repeated or moved shows.
    let largest: Vec<u8> = (0..VALUE_BYTES_MAX as u32 / 4).flat_map(u32::to_be_bytes).collect();
    commit(&*store, state(&scope, [put("k", &largest), put("l", &largest[1..])])).await;
    let expected = [&largest[..], &largest[1..]];
    let scanned = scan_all(&*store, &scope, 10).await.0;
    let exported: Vec<_> = export_all(&*store).await.into_iter().map(|exported| exported.record).collect();
    let Changes::Delta { records, .. } = store.changes(&scope, Revision(0)).await.expect("a readable store")
    else {
        panic!("128 KiB are no gap")
    };
    let changed: Vec<_> = records.into_iter().map(|(_, record)| record.expect("a live record")).collect();
    let got = [get(&*store, &scope, "k").await, get(&*store, &scope, "l").await];
    let got: Vec<_> = got.into_iter().map(|record| record.expect("a record")).collect();
    for (how, found) in [("get", got), ("scan", scanned), ("changes", changed), ("export", exported)] {
        let values: Vec<_> = found.iter().map(|record| &record.value[..]).collect();
        assert!(values == expected, "by {how}");
    }
}

pub async fn a_value_grows_and_shrinks_and_leaves_nothing_of_itself<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    for (n, bytes) in
        [1, VALUE_BYTES_MAX, 4_097, 4_096, 0, VALUE_BYTES_MAX - 1, 5_000, 1].into_iter().enumerate()
    {
        let written = vec![n as u8; bytes];
        commit(&*store, state(&scope, [put("k", &written)])).await;
        let found = value(&*store, &scope, "k").await.expect("a record");
        assert!(found == written, "{bytes} bytes came back as {}", found.len());
        if n % 3 == 2 {
            commit(&*store, state(&scope, [delete("k")])).await;
            assert_eq!(value(&*store, &scope, "k").await, None);
        }
    }
    assert_eq!(scan_all(&*store, &scope, 10).await.0.len(), 1);
}

pub async fn full_batches_at_once_are_all_there<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let tasks: Vec<_> = (0..6u8)
        .map(|n| {
            let store = store.clone();
            let writes: Vec<_> = (0..15u8).map(|k| put([n, k], vec![n; VALUE_BYTES_MAX])).collect();
            tokio::spawn(async move { store.commit(state(&org(&format!("org-{}", n % 2)), writes)).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("a commit that does not panic").expect("no condition");
    }
    for n in 0..2 {
        let (all, revision) = scan_all(&*store, &org(&format!("org-{n}")), 7).await;
        assert_eq!((all.len(), revision), (45, Revision(3)));
        let whole = |record: &crate::Record| {
            record.value.len() == VALUE_BYTES_MAX
                && record.value.iter().all(|b| *b == record.key.as_bytes()[0])
        };
        assert!(all.iter().all(whole));
    }
}
