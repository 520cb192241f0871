//! kill -9 at any moment: nothing acknowledged is lost, no deletion is undone, nothing is half there.
//!
//! Half of the kills come from outside, whenever they come; the others at a system call of a kind: before, inside and
//! behind a write, before and behind a sync, a change of names, an acknowledgement. A kill is not a power loss: what
//! was written stays written (`power`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::Rng;

use super::child::{Child, Test};
use super::disk::Disk;
use super::workload::{self, Acknowledged, STEPS};
use super::{Embedded, choices, times, wait};

/// Where a process may be killed, as `disk.c` reads it, and the highest count at which that is sure to come.
const FAILPOINTS: [(&str, u64); 9] = [
    ("write before", 40),
    ("write half", 40),
    ("write after", 40),
    ("sync before", 20),
    ("sync after", 20),
    ("name before", 6),
    ("name after", 6),
    ("ack before", 60),
    ("ack after", 60),
];
/// Reads acknowledgements until the child is gone; kills it once there were `most`.
fn listen(child: &mut Child, most: u64) -> Acknowledged {
    let (mut acknowledged, mut left) = (Acknowledged::default(), most);
    // After a kill the pipe still holds what was said before it: all of that counts.
    while let Some(ack) = child.next_ack() {
        acknowledged[ack.writer as usize] = Some(ack.step);
        left = left.saturating_sub(1);
        if left == 0 {
            child.kill();
        }
    }
    acknowledged
}

/// Opens the store, which has to work, and says how long that took.
#[expect(clippy::disallowed_methods, reason = "reported, never decided by")]
fn reopen<B: Embedded>(disk: &Disk, what: &str) -> (std::sync::Arc<dyn crate::Store>, Duration) {
    let began = Instant::now();
    match B::open(&disk.root()) {
        Ok(store) => (store, began.elapsed()),
        Err(error) => panic!("after {what} the store does not open: {error}"),
    }
}

pub fn killed_at_any_moment_no_acknowledged_write_is_lost<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return workload::child::<B>(&task);
    }
    let disk = Disk::new();
    let (mut random, mut kills, mut rounds) = (choices(1), BTreeMap::<&str, u64>::new(), Vec::new());
    let (mut acknowledgements, mut slowest) = (0, Duration::ZERO);
    for round in 0..times(54, 600) {
        // Every other from outside, the others in turn at each failpoint.
        let failpoint = (round % 2 == 1).then(|| FAILPOINTS[(round / 2) as usize % FAILPOINTS.len()]);
        let (what, at, most) = match failpoint {
            // Half of them early, while the store is being opened: that is when it recovers from the kill before.
            Some((what, highest)) => {
                let highest = if random.next_u64().is_multiple_of(2) { 6 } else { highest };
                (what, 1 + random.next_u64() % highest, u64::MAX)
            }
            None => ("outside", 0, 1 + random.next_u64() % (STEPS * 2)),
        };
        let order = failpoint.map(|(what, _)| format!("{what} {at}"));
        let mut process = test.start(&disk, &format!("honest {round}"), false, order.as_deref());
        let acknowledged = listen(&mut process, most);
        let (status, said) = process.end();
        match status.code() {
            None => *kills.entry(what).or_default() += 1,
            // Not every start makes or removes a file: then the child comes to its end.
            Some(0) if what.starts_with("name") => {}
            Some(_) => panic!("round {round}, {what} {at}: the child ended by {status}:\n{said}"),
        }
        acknowledgements += workload::steps(&acknowledged);
        let (store, took) = reopen::<B>(&disk, what);
        slowest = slowest.max(took);
        let left = wait(async {
            let at = workload::check(&*store, round, &acknowledged).await?;
            workload::go_on(&*store, round, &at).await
        });
        workload::close(store);
        rounds.push(left.unwrap_or_else(|why| panic!("killed by {what} {at}: {why}")));
    }
    // What later kills did to the rounds before them.
    let (store, _) = reopen::<B>(&disk, "all of them");
    for (round, left) in (0..).zip(&rounds) {
        let found = wait(workload::check(&*store, round, left));
        assert_eq!(found.as_ref(), Ok(left), "round {round} was changed by a later kill");
    }
    println!(
        "{} kills ({kills:?}), {acknowledgements} acknowledged steps: 0 lost, 0 deletions undone, 0 in halves; \
         the slowest reopening took {} ms",
        kills.values().sum::<u64>(),
        slowest.as_millis()
    );
    for (what, _) in FAILPOINTS {
        assert!(kills.contains_key(what) || what.starts_with("name"), "nothing was killed at {what}");
    }
}

/// The proof that the test above can fail: a process that answers before it commits.
pub fn an_answer_before_the_commit_is_found_out<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return workload::child::<B>(&task);
    }
    let (mut found_out, rounds) = (0, 8);
    for round in 0..rounds {
        let disk = Disk::new();
        let mut process =
            test.start(&disk, &format!("hasty {round}"), false, Some(&format!("ack after {}", 10 + round)));
        let acknowledged = listen(&mut process, u64::MAX);
        assert_eq!(process.end().0.code(), None, "it was killed");
        let (store, _) = reopen::<B>(&disk, "a kill");
        found_out += u64::from(wait(workload::check(&*store, round, &acknowledged)).is_err());
        workload::close(store);
    }
    assert!(found_out > 0, "a process that answers too early came through {rounds} kills");
    println!("answering before the commit was found out by {found_out} of {rounds} kills");
}
