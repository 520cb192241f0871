//! Records: reading, scanning, paging, isolation, export.

use std::ops::Bound;

use bytes::Bytes;

use super::{Backend, commit, delete, export_all, get, key, log, org, put, scan_all, state, value};
use crate::{Changes, KeyRange, READ_BYTES_MAX, Revision, ScanLimit, Scope, VALUE_BYTES_MAX};

/// Keys that break naive orderings, separators, terminators and prefix ends.
pub(super) fn hostile_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = vec![
        vec![0x00],
        vec![0x00, 0x00],
        vec![0x00, 0x01],
        vec![0x01],
        b"/".to_vec(),
        b"a".to_vec(),
        b"a\0".to_vec(),
        b"a\0\0".to_vec(),
        b"a\0b".to_vec(),
        b"a/".to_vec(),
        b"a/b".to_vec(),
        b"a0".to_vec(),
        b"aa".to_vec(),
        b"A".to_vec(),
        b"%".to_vec(),
        b"_".to_vec(),
        b"'\"".to_vec(),
        "é".into(),
        vec![0x7F],
        vec![0x80],
        vec![0xC3],
        vec![0xFE, 0xFF],
        vec![0xFF],
        vec![0xFF, 0x00],
        vec![0xFF, 0xFF],
        vec![0xFF; 255],
        vec![0xFF; 256],
        vec![0x00; 256],
    ];
    // As long as keys are, and told apart by their last byte alone.
    for last in [0x00, b'a', 0xFF] {
        keys.push([vec![b'a'; 255], vec![last]].concat());
    }
    keys.push(vec![b'a'; 255]);
    keys.sort();
    keys
}

async fn with_hostile_keys<B: Backend>() -> (B, Scope) {
    let backend = B::open().await;
    let scope = org("hostile");
    // Written backwards, so that an order of arrival would show.
    let writes: Vec<_> = hostile_keys().iter().rev().map(|key| put(key, key)).collect();
    commit(&*backend.store(), state(&scope, writes)).await;
    (backend, scope)
}

pub async fn a_record_that_was_put_is_read_back<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("k", "v")])).await;
    let record = get(&*store, &scope, "k").await.expect("a record");
    assert_eq!((record.key, &record.value[..], record.revision), (key("k"), &b"v"[..], Revision(1)));
}

pub async fn a_missing_record_is_none<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    assert_eq!(get(&*store, &scope, "k").await, None);
    commit(&*store, state(&scope, [put("k", "v")])).await;
    assert_eq!(get(&*store, &scope, "K").await, None);
    assert_eq!(get(&*store, &scope, "k\0").await, None);
}

pub async fn a_put_replaces_and_carries_its_revision<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("k", "old"), put("other", "same")])).await;
    commit(&*store, state(&scope, [put("k", "new")])).await;
    let record = get(&*store, &scope, "k").await.expect("a record");
    assert_eq!((&record.value[..], record.revision), (&b"new"[..], Revision(2)));
    assert_eq!(get(&*store, &scope, "other").await.expect("a record").revision, Revision(1));
}

pub async fn a_deleted_record_is_none<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("k", "v"), put("l", "v")])).await;
    assert_eq!(commit(&*store, state(&scope, [delete("k")])).await, Revision(2));
    assert_eq!(get(&*store, &scope, "k").await, None);
    let (all, _) = scan_all(&*store, &scope, 10).await;
    assert_eq!(all.into_iter().map(|record| record.key).collect::<Vec<_>>(), [key("l")]);
    commit(&*store, state(&scope, [put("k", "again")])).await;
    assert_eq!(get(&*store, &scope, "k").await.expect("a record").revision, Revision(3));
}

pub async fn deleting_nothing_is_allowed_and_moves_the_revision<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    assert_eq!(commit(&*store, state(&scope, [delete("k")])).await, Revision(1));
    assert_eq!(get(&*store, &scope, "k").await, None);
}

pub async fn an_empty_value_is_a_value<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("k", "")])).await;
    assert_eq!(value(&*store, &scope, "k").await, Some(Bytes::new()));
    assert_eq!(scan_all(&*store, &scope, 10).await.0.len(), 1);
}

pub async fn values_come_back_byte_for_byte<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let all: Vec<u8> = (0..=255).collect();
    commit(
        &*store,
        state(&scope, [put("all", &all), put("zero", [0; 9]), put("text", "'; DROP TABLE records; --")]),
    )
    .await;
    assert_eq!(value(&*store, &scope, "all").await.as_deref(), Some(&all[..]));
    assert_eq!(value(&*store, &scope, "zero").await.as_deref(), Some(&[0; 9][..]));
}

pub async fn a_scan_is_in_key_order_with_hostile_keys<B: Backend>() {
    let (backend, scope) = with_hostile_keys::<B>().await;
    let (all, revision) = scan_all(&*backend.store(), &scope, 1_000).await;
    let found: Vec<Vec<u8>> = all.iter().map(|record| record.key.as_bytes().to_vec()).collect();
    assert_eq!(found, hostile_keys());
    assert!(all.iter().all(|record| record.key.as_bytes() == record.value));
    assert_eq!(revision, Revision(1));
}

pub async fn paging_loses_and_repeats_nothing_with_hostile_keys<B: Backend>() {
    let (backend, scope) = with_hostile_keys::<B>().await;
    let keys = hostile_keys();
    for records in [1, 2, 3, 7, keys.len() - 1, keys.len(), keys.len() + 1] {
        let (all, _) = scan_all(&*backend.store(), &scope, records).await;
        let found: Vec<Vec<u8>> = all.iter().map(|record| record.key.as_bytes().to_vec()).collect();
        assert_eq!(found, keys, "pages of {records}");
    }
}

pub async fn ranges_hold_at_their_ends<B: Backend>() {
    let (backend, scope) = with_hostile_keys::<B>().await;
    let (store, keys) = (backend.store(), hostile_keys());
    let bounds = |bytes: &Vec<u8>| {
        let bytes = Bytes::from(bytes.clone());
        [Bound::Unbounded, Bound::Included(bytes.clone()), Bound::Excluded(bytes)]
    };
    // Every third key as an end keeps this to a few hundred reads; ends before starts are among them.
    for (from, to) in keys.iter().step_by(3).flat_map(|from| keys.iter().step_by(3).map(move |to| (from, to)))
    {
        for (start, end) in bounds(from).into_iter().flat_map(|s| bounds(to).map(|e| (s.clone(), e))) {
            let above = |key: &Vec<u8>| match &start {
                Bound::Unbounded => true,
                Bound::Included(start) => key[..] >= start[..],
                Bound::Excluded(start) => key[..] > start[..],
            };
            let below = |key: &Vec<u8>| match &end {
                Bound::Unbounded => true,
                Bound::Included(end) => key[..] <= end[..],
                Bound::Excluded(end) => key[..] < end[..],
            };
            let wanted: Vec<Vec<u8>> = keys.iter().filter(|key| above(key) && below(key)).cloned().collect();
            let range = KeyRange { start: start.clone(), end: end.clone() };
            let page = store.scan(&scope, range, ScanLimit::default()).await.expect("a readable store");
            let found: Vec<Vec<u8>> =
                page.records.iter().map(|record| record.key.as_bytes().to_vec()).collect();
            assert_eq!(found, wanted, "{start:?} to {end:?}");
        }
    }
}

pub async fn a_prefix_finds_its_keys_and_no_others<B: Backend>() {
    let (backend, scope) = with_hostile_keys::<B>().await;
    for prefix in hostile_keys() {
        let range = KeyRange::prefix(prefix.clone());
        let page = backend.store().scan(&scope, range, ScanLimit::default()).await.expect("a readable store");
        let found: Vec<Vec<u8>> = page.records.iter().map(|record| record.key.as_bytes().to_vec()).collect();
        let wanted: Vec<Vec<u8>> =
            hostile_keys().into_iter().filter(|key| key.starts_with(&prefix)).collect();
        assert_eq!(found, wanted, "prefix {prefix:?}");
    }
}

pub async fn a_page_says_that_the_revision_moved<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    commit(&*store, state(&scope, [put("a", ""), put("b", "")])).await;
    let limit = ScanLimit { records: 1 };
    let first = store.scan(&scope, KeyRange::all(), limit).await.expect("a readable store");
    commit(&*store, state(&scope, [put("aa", "")])).await;
    let next = first.next.expect("one more page");
    let second = store.scan(&scope, KeyRange::all().after(&next), limit).await.expect("a readable store");
    assert_eq!((first.revision, second.revision), (Revision(1), Revision(2)));
}

pub async fn a_large_scan_comes_in_bounded_pages<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let large = vec![7; VALUE_BYTES_MAX];
    // 15 values of 64 KiB are a batch just below 1 MiB; six batches are 5.6 MiB.
    for batch in 0..6 {
        let writes: Vec<_> = (0..15).map(|n| put(format!("{batch}/{n:02}"), &large)).collect();
        commit(&*store, state(&scope, writes)).await;
    }
    let page = store.scan(&scope, KeyRange::all(), ScanLimit::default()).await.expect("a readable store");
    let bytes: usize = page.records.iter().map(|record| record.value.len()).sum();
    assert!(bytes <= READ_BYTES_MAX + VALUE_BYTES_MAX && page.next.is_some(), "{bytes} bytes in one page");
    assert_eq!(scan_all(&*store, &scope, 1_000).await.0.len(), 90);
}

pub async fn a_scope_sees_nothing_of_another<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let scopes =
        [org("a"), org("ab"), org("A"), Scope::system("a").expect("a legal name"), org("a-"), org("a_")];
    for scope in &scopes {
        commit(&*store, state(scope, [put("k", scope.as_str()), put(scope.as_str(), "own")])).await;
    }
    commit(&*store, state(&scopes[0], [delete("k")])).await;
    for (at, scope) in scopes.iter().enumerate() {
        let expected = (at > 0).then(|| Bytes::from(scope.as_str().to_owned()));
        assert_eq!(value(&*store, scope, "k").await, expected, "{scope}");
        let (all, revision) = scan_all(&*store, scope, 100).await;
        assert_eq!(
            (all.len(), revision),
            if at == 0 { (1, Revision(2)) } else { (2, Revision(1)) },
            "{scope}"
        );
    }
}

pub async fn keys_that_look_like_another_scope_s_stay_in_their_own<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let scopes = [org("a"), org("ab"), org("org"), Scope::system("a").expect("a legal name")];
    let keys: [&[u8]; 12] = [
        b"k",
        b"\0k",
        b"/k",
        b"b",
        b"bk",
        b"b\0k",
        b"b/k",
        b"org/a",
        b"org/ab\0k",
        b"/a\0k",
        b"system/a\0k",
        b"../ab/k",
    ];
    for scope in &scopes {
        let writes: Vec<_> = keys.iter().map(|key| put(key, scope.as_str())).collect();
        commit(&*store, state(scope, writes)).await;
    }
    commit(&*store, state(&scopes[0], keys.map(delete))).await;
    assert_eq!(scan_all(&*store, &scopes[0], 5).await, (Vec::new(), Revision(2)));
    for scope in &scopes[1..] {
        let (all, revision) = scan_all(&*store, scope, 5).await;
        assert_eq!((all.len(), revision), (keys.len(), Revision(1)), "{scope}");
        assert!(all.iter().all(|record| record.value == scope.as_str()), "{scope}: {all:?}");
        let changes = store.changes(scope, Revision(0)).await.expect("a readable store");
        assert!(matches!(changes, Changes::Delta { records, .. } if records.len() == keys.len()), "{scope}");
    }
}

pub async fn an_untouched_scope_is_empty_at_revision_zero<B: Backend>() {
    let backend = B::open().await;
    commit(&*backend.store(), state(&org("other"), [put("k", "v")])).await;
    assert_eq!(scan_all(&*backend.store(), &org("a"), 10).await, (Vec::new(), Revision(0)));
}

pub async fn an_export_is_one_consistent_cut<B: Backend>() {
    let backend = B::open().await;
    let (store, first, last) = (backend.store(), org("a"), org("z"));
    for scope in [&first, &last] {
        commit(&*store, state(scope, [put("k", "before"), put("gone", "before")])).await;
    }
    let cut = store.export().await.expect("a readable store");
    for scope in [&first, &last] {
        commit(&*store, state(scope, [put("k", "after"), put("new", "after"), delete("gone")])).await;
    }
    let records: Vec<_> = futures_util::StreamExt::collect(cut).await;
    let values: Vec<Bytes> =
        records.into_iter().map(|r: Result<crate::Exported, _>| r.expect("a record").record.value).collect();
    assert_eq!(values, vec![Bytes::from("before"); 4]);
}

pub async fn an_export_holds_every_scope_in_order<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    let table = Scope::system("users").expect("a legal name");
    commit(&*store, state(&table, [put("u", "1")])).await;
    commit(&*store, state(&org("b"), [put("z", "1"), put([0xFF], "2"), put([0x00], "3"), delete("none")]))
        .await;
    commit(&*store, log(&org("b"), [put("audit", "4")])).await;
    commit(&*store, state(&org("B"), [put("k", "5")])).await;
    let found: Vec<_> = export_all(&*store).await.into_iter().map(|e| (e.scope, e.record.key)).collect();
    let b = org("b");
    let wanted = [
        (org("B"), key("k")),
        (b.clone(), key([0x00])),
        (b.clone(), key("audit")),
        (b.clone(), key("z")),
        (b, key([0xFF])),
        (table, key("u")),
    ];
    assert_eq!(found, wanted);
}
