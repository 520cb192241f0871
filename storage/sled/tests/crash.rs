//! kill -9 at any moment: nothing acknowledged is lost, no deletion is undone, nothing is half there.
//!
//! The test starts its own binary as the child that writes, kills it in the middle, and reads what
//! it left. A kill is not a power loss.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sequel_store::conformance::{delete, key, org, put};
use sequel_store::{Batch, CommitId, Holder, Lane, OpenError, Store};
use sequel_store_sled::{Options, SledStore};

const CHILD: &str = "SEQUEL_TEST_CRASH_CHILD";
const WRITERS: u64 = 4;
const ROUNDS: u64 = 24;

fn open(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(path, Options::new(Holder::command()))
}

/// Step `n` of a writer: puts a pair, and deletes the pair before it. So exactly one pair is live.
fn step(round: u64, writer: u64, n: u64) -> Batch {
    let name = |half: &str, n: u64| format!("{writer}/{n:08}/{half}");
    let mut writes = vec![put(name("a", n), "pair"), put(name("b", n), "pair")];
    if n > 0 {
        writes.extend([delete(name("a", n - 1)), delete(name("b", n - 1))]);
    }
    let id = CommitId((u128::from(round) << 96 | u128::from(writer) << 64 | u128::from(n)).to_be_bytes());
    let lane = Lane::State { at: None, narrows: false };
    Batch { scope: org(&format!("round-{round}")), lane, id, expects: vec![], writes }
}

/// The child: writes until it is killed, and says each acknowledged step on a line of its own.
#[tokio::main]
async fn write_until_killed(path: &Path, round: u64) {
    let store = Arc::new(open(path).expect("a store that opens"));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            for n in 0.. {
                store.commit(step(round, writer, n)).await.expect("a commit without conditions");
                let line = format!("{writer} {n}\n");
                // One write call for each line, so that a kill never cuts one of several in half.
                std::io::stdout().lock().write_all(line.as_bytes()).expect("a parent that listens");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer that never ends");
    }
}

#[test]
fn killed_at_any_moment_no_acknowledged_write_is_lost() {
    if let Ok(job) = std::env::var(CHILD) {
        let (round, path) = job.split_once(' ').expect("a round and a path");
        return write_until_killed(Path::new(path), round.parse().expect("a number"));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.sled");
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_at_any_moment_no_acknowledged_write_is_lost", "--nocapture"])
            .env(CHILD, format!("{round} {}", path.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = [None; WRITERS as usize];
        // A different number of acknowledgements each round, so that the kill falls elsewhere.
        let mut left = 3 + round * 7;
        // After the kill the pipe still holds what was said before it: all of that counts.
        while let Some(Ok(line)) = lines.next() {
            let Some((writer, n)) = line.split_once(' ') else { continue };
            let (Ok(writer), Ok(n)) = (writer.parse::<usize>(), n.parse::<u64>()) else { continue };
            acknowledged[writer] = Some(n);
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert_eq!(left, 0, "round {round}: the child ended by itself");
        check(&path, round, &acknowledged);
    }
}

#[tokio::main]
async fn check(path: &Path, round: u64, acknowledged: &[Option<u64>]) {
    let store = open(path).expect("a store that opens after a kill");
    let scope = org(&format!("round-{round}"));
    for (writer, last) in acknowledged.iter().enumerate() {
        let live = |n: u64| {
            let (store, scope) = (&store, &scope);
            async move {
                let mut halves = [false; 2];
                for (half, found) in ["a", "b"].iter().zip(&mut halves) {
                    let key = key(format!("{writer}/{n:08}/{half}"));
                    *found = store.get(scope, &key).await.expect("a readable store").is_some();
                }
                assert_eq!(halves[0], halves[1], "round {round}: half of step {n} of writer {writer}");
                halves[0]
            }
        };
        let Some(last) = *last else { continue };
        for n in 0..last {
            assert!(!live(n).await, "round {round}: the deletion of step {n} of writer {writer} was undone");
        }
        // The step after the last acknowledged one may have happened; then it took this one away.
        assert!(
            live(last).await != live(last + 1).await,
            "round {round}: step {last} of writer {writer} was lost"
        );
    }
}
