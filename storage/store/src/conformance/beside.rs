//! Reads beside a writer: pages, deltas and exports show moments, never mixtures of two.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::records::hostile_keys;
use super::{Backend, commit, delete, export_all, org, put, scan_all, state};
use crate::{Changes, Key, KeyRange, Record, Revision, ScanLimit, Scope, Store, Write};

/// What a scope holds, as its reader has it.
type Picture = BTreeMap<Key, Bytes>;

fn picture(records: Vec<Record>) -> Picture {
    records.into_iter().map(|record| (record.key, record.value)).collect()
}

/// The batch that leads to `revision`: it deletes every third of the hostile keys, each time others, and puts the rest.
fn turn(revision: u64) -> Vec<Write> {
    let goes = |n: usize| (n as u64 + revision).is_multiple_of(3);
    let write = |(n, key)| if goes(n) { delete(key) } else { put(key, format!("{revision}")) };
    hostile_keys().into_iter().enumerate().map(write).collect()
}

/// What the scope holds once [`turn`] was committed: a picture that no other revision has.
fn after_turn(revision: u64) -> Picture {
    let live = |write| match write {
        Write::Put(key, value) => Some((key, value)),
        Write::Delete(_) => None,
    };
    if revision == 0 { Picture::new() } else { turn(revision).into_iter().filter_map(live).collect() }
}

fn turning(store: &Arc<dyn Store>, scope: &Scope, turns: u64) -> JoinHandle<()> {
    let (store, scope) = (store.clone(), scope.clone());
    tokio::spawn(async move {
        for revision in 1..=turns {
            commit(&*store, state(&scope, turn(revision))).await;
        }
    })
}

pub async fn a_page_beside_a_writer_shows_the_moment_of_its_revision<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let writer = turning(&store, &scope, 80);
    loop {
        let last = writer.is_finished();
        let mut range = KeyRange::all();
        loop {
            let limit = ScanLimit { records: 4 };
            let page = store.scan(&scope, range.clone(), limit).await.expect("a readable store");
            let all = after_turn(page.revision.0);
            let inside = all.iter().filter(|(key, _)| match &range.start {
                Bound::Excluded(start) => key.as_bytes() > &start[..],
                _ => true,
            });
            let mut wanted: Vec<_> = inside.map(|(key, value)| (key.clone(), value.clone())).collect();
            let more = wanted.len() > 4;
            wanted.truncate(4);
            let found: Vec<_> = page.records.into_iter().map(|record| (record.key, record.value)).collect();
            assert_eq!(found, wanted, "a page at {:?} behind {:?}", page.revision, range.start);
            assert_eq!(page.next.is_some(), more);
            let Some(next) = page.next else { break };
            range = range.after(&next);
        }
        if last {
            break;
        }
    }
    writer.await.expect("a writer that does not panic");
    assert_eq!(picture(scan_all(&*store, &scope, 4).await.0), after_turn(80));
}

/// Someone who keeps up with a scope through its changes, and loads it afresh where these have a gap.
#[derive(Default)]
struct Follower {
    has: Picture,
    at: Revision,
}

impl Follower {
    async fn follow(&mut self, store: &dyn Store, scope: &Scope) {
        match store.changes(scope, self.at).await.expect("a readable store") {
            Changes::Delta { to, records } => {
                assert!(to >= self.at, "back from {:?} to {to:?}", self.at);
                self.at = to;
                for (key, record) in records {
                    match record {
                        Some(record) => self.has.insert(key, record.value),
                        None => self.has.remove(&key),
                    };
                }
            }
            Changes::Gap => loop {
                // Pages of one revision are one moment; where it moved meanwhile, they are read again.
                let before = store.scan(scope, KeyRange::all(), ScanLimit { records: 1 }).await;
                let (records, revision) = scan_all(store, scope, 1_000).await;
                if before.expect("a readable store").revision == revision {
                    (self.has, self.at) = (picture(records), revision);
                    break;
                }
            },
        }
    }
}

pub async fn a_follower_beside_a_writer_is_always_at_one_moment<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let writer = turning(&store, &scope, 80);
    let mut follower = Follower::default();
    loop {
        let last = writer.is_finished();
        follower.follow(&*store, &scope).await;
        assert_eq!(follower.has, after_turn(follower.at.0), "at {:?}", follower.at);
        if last {
            break;
        }
    }
    writer.await.expect("a writer that does not panic");
    assert_eq!(follower.at, Revision(80));
}

/// Keys come, go and come back, in more commits and with more deletions than a log needs to keep.
pub async fn a_follower_that_reloads_at_gaps_never_loses_its_way<B: Backend>() {
    let backend = B::open().await;
    let (store, scope) = (backend.store(), org("a"));
    let mut followers = [1, 5, 31, 64].map(|stride| (stride, Follower::default()));
    for round in 1..=130u64 {
        let of = |round: u64| (0..40).map(move |n| format!("{round:03}/{n:02}"));
        let mut writes: Vec<_> = of(round).map(|key| put(key, round.to_string())).collect();
        writes.extend(of(round.saturating_sub(2)).map(delete));
        // Five that come and go all the time.
        writes.extend([
            put(format!("k{}", round % 5), round.to_string()),
            delete(format!("k{}", (round + 2) % 5)),
        ]);
        commit(&*store, state(&scope, writes)).await;
        let (records, revision) = scan_all(&*store, &scope, 1_000).await;
        let now = picture(records);
        for (stride, follower) in &mut followers {
            if round.is_multiple_of(*stride) {
                follower.follow(&*store, &scope).await;
                assert_eq!((follower.at, &follower.has), (revision, &now), "every {stride} commits");
            }
        }
    }
}

/// A writer goes through three scopes in turn, in five batches a round. So whoever cuts at one moment finds each
/// batch whole, and each at the round of the one before it or at the round before that.
pub async fn an_export_beside_a_writer_is_one_cut<B: Backend>() {
    let backend = B::open().await;
    let store = backend.store();
    // The middle one is larger than what is read at once.
    let batches = |round: u32| {
        let small =
            |scope: &str| state(&org(scope), [put("a", round.to_string()), put("z", round.to_string())]);
        let middle = |part: u32| {
            let keys = (0..200).map(move |n| format!("{part}/{n:03}"));
            state(&org("m"), keys.map(|key| put(key, round.to_string())).collect::<Vec<_>>())
        };
        [small("a"), middle(0), middle(1), middle(2), small("z")]
    };
    for batch in batches(0) {
        commit(&*store, batch).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut round = 0;
            while !stop.load(Ordering::SeqCst) {
                round += 1;
                for batch in batches(round) {
                    commit(&*store, batch).await;
                }
            }
        }
    });
    for _ in 0..12 {
        let cut = export_all(&*store).await;
        assert_eq!(cut.len(), 2 + 600 + 2);
        let round = |n: usize| -> u32 {
            std::str::from_utf8(&cut[n].record.value).expect("digits").parse().expect("a round")
        };
        let parts = [0..2, 2..202, 202..402, 402..602, 602..604];
        for part in &parts {
            assert!(part.clone().all(|n| round(n) == round(part.start)), "half a batch: {part:?}");
        }
        let rounds = parts.map(|part| round(part.start));
        assert!(rounds.is_sorted_by(|a, b| a >= b) && rounds[0] - rounds[4] <= 1, "no moment had {rounds:?}");
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.expect("a writer that does not panic");
}
