//! What the harmed process writes, and what has to be found afterwards.
//!
//! Each of a few writers goes step by step: step `n` puts a pair of records and deletes the pair of step `n - 1`. So
//! exactly one pair of each writer is live, and which one says whether a write was lost, a deletion undone or a batch
//! cut in half. Two writers share a scope, one has its own, one writes on the log lane. Now and then a step also
//! replaces a heap of large records, so that a single group is larger than what a backend keeps together on the disk.

use std::path::Path;
use std::sync::Arc;

use super::child::Ack;
use super::disk::OwnDisk;
use super::{Embedded, wait};
use crate::conformance::{delete, key, org, put};
use crate::{Batch, Changes, CommitId, KeyRange, Lane, Record, ScanLimit, Scope, Store, VALUE_BYTES_MAX};

pub(super) const WRITERS: usize = 4;
/// Steps of each writer, for a child that nobody kills.
pub(super) const STEPS: u64 = 40;

/// The last step that was acknowledged to each writer.
pub(super) type Acknowledged = [Option<u64>; WRITERS];

fn scope_of(round: u64, writer: u64) -> Scope {
    match writer {
        0 | 1 => org(&format!("round-{round}")),
        own => org(&format!("round-{round}-{own}")),
    }
}

/// A pair's value: mostly small, now and then large enough for many pages, once in a while as large as can be.
fn value(round: u64, writer: u64, n: u64) -> Vec<u8> {
    let bytes = match (n * 7 + writer) % 32 {
        0 => VALUE_BYTES_MAX,
        1..4 => 20_000,
        4..8 => 5_000,
        _ => 40,
    };
    filled(bytes, round, writer, n)
}

fn filled(bytes: usize, round: u64, writer: u64, n: u64) -> Vec<u8> {
    // No stretch is like another's, so that a stale or misplaced one shows.
    let word = |at: u64| (round << 48 | writer << 40 | n << 16 | at).to_be_bytes();
    let mut value: Vec<u8> = (0..bytes as u64 / 8 + 1).flat_map(word).collect();
    value.truncate(bytes);
    value
}

/// Whether this step replaces its writer's heap: 12 records of 48 KiB.
fn heaps(writer: u64, n: u64) -> bool {
    writer < 3 && n % 12 == 5 + writer
}

fn heap(round: u64, writer: u64, n: u64) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..12).map(move |k| (format!("heap/{writer}/{k:02}"), filled(48 * 1024, round, writer, n)))
}

fn half(writer: u64, n: u64, half: &str) -> String {
    format!("{writer}/{n:08}/{half}")
}

/// Step `n` of a writer.
pub(super) fn step(round: u64, writer: u64, n: u64) -> Batch {
    let value = value(round, writer, n);
    let mut writes = vec![put(half(writer, n, "a"), &value), put(half(writer, n, "b"), &value)];
    if n > 0 {
        writes.extend([delete(half(writer, n - 1, "a")), delete(half(writer, n - 1, "b"))]);
    }
    if heaps(writer, n) {
        writes.extend(heap(round, writer, n).map(|(key, value)| put(key, value)));
    }
    let id = CommitId((u128::from(round) << 96 | u128::from(writer) << 64 | u128::from(n)).to_be_bytes());
    let lane = if writer == 3 { Lane::Log } else { Lane::State { at: None, narrows: n.is_multiple_of(2) } };
    Batch { scope: scope_of(round, writer), lane, id, expects: vec![], writes }
}

/// Whether a writer says that a step is durable when it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Honest,
    /// It says so before it asks for the commit: what the tests have to find out.
    Hasty,
}

/// What a child does whose task is `MANNERS ROUND`.
pub(super) fn child<B: Embedded>(task: &str) {
    let (manners, round) = task.split_once(' ').expect("manners and a round");
    let manners = if manners == "hasty" { Manners::Hasty } else { Manners::Honest };
    wait(write::<B>(OwnDisk::here().root(), round.parse().expect("a round"), manners));
}

/// All writers at once, then the store is closed.
async fn write<B: Embedded>(folder: &Path, round: u64, manners: Manners) {
    let store = B::open(folder).expect("a store that opens");
    let mut writers = Vec::new();
    for writer in 0..WRITERS as u64 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            for n in 0..STEPS {
                let ack = Ack { writer, step: n };
                if manners == Manners::Hasty {
                    ack.say();
                }
                store.commit(step(round, writer, n)).await.expect("a commit without conditions");
                if manners == Manners::Honest {
                    ack.say();
                }
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer that does not panic");
    }
    close(store);
}

/// Closes a store that nobody else holds.
pub(super) fn close(store: Arc<dyn Store>) {
    assert_eq!(Arc::strong_count(&store), 1, "somebody still holds the store");
    drop(store);
}

/// How many steps these are.
pub(super) fn steps(acknowledged: &Acknowledged) -> u64 {
    acknowledged.iter().map(|last| last.map_or(0, |n| n + 1)).sum()
}

/// Looks at what a round left. `Err` says what is wrong; `Ok` is the step that each writer is at.
pub(super) async fn check(
    store: &dyn Store,
    round: u64,
    acknowledged: &Acknowledged,
) -> Result<Acknowledged, String> {
    let mut at = Acknowledged::default();
    for (writer, last) in (0..).zip(acknowledged) {
        at[writer as usize] = check_writer(store, round, writer, *last).await?;
    }
    for (scope, writers) in
        [(scope_of(round, 0), &at[..2]), (scope_of(round, 2), &at[2..3]), (scope_of(round, 3), &[])]
    {
        // Every step of the state lane is one revision, and nothing else is.
        let steps: u64 = writers.iter().map(|n| n.map_or(0, |n| n + 1)).sum();
        let (records, revision) = read(store, &scope).await?;
        if revision != steps {
            return Err(format!("round {round}: {scope} is at revision {revision} after {steps} steps"));
        }
        check_changes(store, &scope, &records)
            .await
            .map_err(|why| format!("round {round}: {scope}: {why}"))?;
    }
    Ok(at)
}

async fn check_writer(
    store: &dyn Store,
    round: u64,
    writer: u64,
    last: Option<u64>,
) -> Result<Option<u64>, String> {
    let (records, _) = read(store, &scope_of(round, writer)).await?;
    let own = records.iter().filter(|record| record.key.as_bytes()[0] == b'0' + writer as u8);
    let live: Vec<_> = own.collect();
    let names =
        || live.iter().map(|record| record.key.as_bytes().escape_ascii().to_string()).collect::<Vec<_>>();
    let wrong = |what: &str| {
        Err(format!("round {round}, writer {writer}, acknowledged {last:?}: {what}; live are {:?}", names()))
    };
    // The step behind the last acknowledged one may have happened, wholly.
    let next = last.map_or(0, |n| n + 1);
    for n in last.into_iter().chain([next]) {
        let pair = [key(half(writer, n, "a")), key(half(writer, n, "b"))];
        if live.len() == 2 && live[0].key == pair[0] && live[1].key == pair[1] {
            let whole = |record: &&Record| record.value == value(round, writer, n);
            if !live.iter().all(whole) || live[0].revision != live[1].revision {
                return wrong("its pair is not what was written");
            }
            let latest = (0..=n).rev().find(|n| heaps(writer, *n));
            let wanted: Vec<_> = latest.into_iter().flat_map(|n| heap(round, writer, n)).collect();
            let prefix = format!("heap/{writer}/");
            let heap = records.iter().filter(|record| record.key.as_bytes().starts_with(prefix.as_bytes()));
            if !heap
                .map(|record| (record.key.as_bytes(), &record.value[..]))
                .eq(wanted.iter().map(|(key, value)| (key.as_bytes(), &value[..])))
            {
                return wrong("its heap is not what was written");
            }
            return Ok(Some(n));
        }
    }
    match (live.len(), last) {
        (0, None) => Ok(None),
        _ => wrong("what is live is neither that step nor the next"),
    }
}

async fn read(store: &dyn Store, scope: &Scope) -> Result<(Vec<Record>, u64), String> {
    let page = store
        .scan(scope, KeyRange::all(), ScanLimit::default())
        .await
        .map_err(|error| format!("{error:?}"))?;
    if page.next.is_some() {
        return Err(format!("{scope} holds more than anyone wrote"));
    }
    Ok((page.records, page.revision.0))
}

/// The changes since the beginning, where they reach back so far, tell the same as the records.
async fn check_changes(store: &dyn Store, scope: &Scope, records: &[Record]) -> Result<(), String> {
    let changes = store.changes(scope, crate::Revision(0)).await.map_err(|error| format!("{error:?}"))?;
    let Changes::Delta { records: told, .. } = changes else { return Ok(()) };
    let told: Vec<_> = told.into_iter().filter_map(|(_, record)| record).collect();
    let state: Vec<_> = records.iter().filter(|record| record.key.as_bytes()[0] != b'3').cloned().collect();
    if told == state { Ok(()) } else { Err("the changes tell another story than the records".to_owned()) }
}

/// Goes on after a restart: each writer's last step is sent again and changes nothing, then comes its next one.
/// Returns where the writers are now.
pub(super) async fn go_on(store: &dyn Store, round: u64, at: &Acknowledged) -> Result<Acknowledged, String> {
    let mut now = *at;
    for (writer, at) in (0..).zip(at) {
        let next = at.map_or(0, |n| n + 1);
        // Nobody remembers a batch of the log lane, but this one says what is so already.
        for n in at.iter().copied().chain([next]) {
            let sent = store.commit(step(round, writer, n)).await;
            sent.map_err(|error| {
                format!("round {round}, writer {writer}, step {n} after a restart: {error:?}")
            })?;
        }
        now[writer as usize] = Some(next);
    }
    let found = check(store, round, &now).await?;
    if found == now { Ok(now) } else { Err(format!("round {round}: at {found:?} instead of {now:?}")) }
}
