//! Power losses: what was acknowledged is on the disk, not only in the memory of the machine.
//!
//! A child writes while everything that it does to its files is written down; `journal` then makes the folder that a
//! power loss at some moment would have left, and the store in there is opened and looked at. One such folder is
//! what the next child starts from, so that a recovery is cut short as well.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

use super::child::{Ack, Test};
use super::disk::{Disk, OwnDisk};
use super::journal::{self, Event, Fate, Platter};
use super::workload::{self, Acknowledged, step};
use super::{Embedded, choices, times, wait};
use crate::conformance::get;
use crate::{CommitError, Write};

/// What rounds acknowledged, the oldest first.
type Past = Vec<(u64, Acknowledged)>;

/// Power losses that were played.
#[derive(Default)]
struct Tally {
    losses: u64,
    /// Of those, where something that was not synced was lost.
    with_loss: u64,
    bytes: u64,
    acknowledgements: u64,
}

impl Tally {
    fn add(&mut self, loss: &Loss, past: &[(u64, Acknowledged)]) {
        self.losses += 1;
        self.with_loss += u64::from(loss.lost > 0);
        self.bytes += loss.lost as u64;
        self.acknowledgements +=
            past.iter().map(|(_, acknowledged)| workload::steps(acknowledged)).sum::<u64>();
    }

    fn report(&self) {
        println!(
            "{} power losses, {} of which lost something ({} bytes in all), with {} acknowledged steps at stake: 0 lost, \
             0 deletions undone, 0 in halves",
            self.losses, self.with_loss, self.bytes, self.acknowledgements
        );
        assert!(self.with_loss > self.losses / 4, "hardly anything was ever unsynced: nothing is proved");
    }
}

/// `count` moments of a journal, in order: half of them right behind an acknowledgement, where a loss would show
/// first, a quarter beside a sync, the rest anywhere.
fn moments(events: &[Event], count: usize, random: &mut TestRng) -> Vec<usize> {
    let of = |wanted: &dyn Fn(&Event) -> bool| -> Vec<usize> {
        (0..events.len()).filter(|at| wanted(&events[*at])).map(|at| at + 1).collect()
    };
    let acks = of(&|event| matches!(event, Event::Acknowledged(_)));
    let syncs = of(&|event| matches!(event, Event::Synced { .. }));
    let mut chosen: Vec<_> = (0..count)
        .map(|n| {
            let pick = random.next_u64() as usize;
            match n % 4 {
                0 | 1 if !acks.is_empty() => acks[pick % acks.len()],
                2 if !syncs.is_empty() => syncs[pick % syncs.len()] - (pick / syncs.len()) % 2,
                _ => pick % (events.len() + 1),
            }
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// One life of a disk, and the power losses that end it: each is a folder as it would have been left.
struct Losses {
    platter: Platter,
    events: Vec<Event>,
    moments: std::vec::IntoIter<usize>,
    /// What survives; anything, where none is named.
    fate: Option<Fate>,
    random: TestRng,
    at: usize,
    acknowledged: Acknowledged,
}

struct Loss {
    folder: tempfile::TempDir,
    /// What was acknowledged before it.
    acknowledged: Acknowledged,
    /// How many bytes were lost.
    lost: usize,
    /// Behind how many events it came.
    at: usize,
}

impl Losses {
    /// Those at `count` moments of what is in the disk's journal.
    fn at_moments(disk: &Disk, platter: Platter, count: u64, seed: u64) -> Self {
        let (events, mut random) = (journal::read(&disk.journal()), choices(seed));
        let moments = moments(&events, count as usize, &mut random);
        Self::new(platter, events, moments, random)
    }

    fn new(platter: Platter, events: Vec<Event>, moments: Vec<usize>, random: TestRng) -> Self {
        let acknowledged = Acknowledged::default();
        Self { platter, events, moments: moments.into_iter(), fate: None, random, at: 0, acknowledged }
    }
}

impl Iterator for Losses {
    type Item = Loss;

    fn next(&mut self) -> Option<Loss> {
        let moment = self.moments.next()?;
        for event in &self.events[self.at..moment] {
            self.platter.happen(event, &mut self.random);
            if let Event::Acknowledged(ack) = event {
                self.acknowledged[ack.writer as usize] = Some(ack.step);
            }
        }
        self.at = moment;
        let folder = tempfile::tempdir().expect("a folder");
        let fate = self.fate.unwrap_or_else(|| Fate::any(&mut self.random));
        let lost = self.platter.lose_power(fate, &mut self.random, folder.path());
        Some(Loss { folder, acknowledged: self.acknowledged, lost, at: moment })
    }
}

/// What is wrong in a folder; in one that is well the store goes on.
fn examine<B: Embedded>(folder: &Path, past: &[(u64, Acknowledged)]) -> Result<(), String> {
    let store = B::open(folder).map_err(|error| format!("the store does not open: {error}"))?;
    let outcome = wait(async {
        let mut at = Acknowledged::default();
        for (round, acknowledged) in past {
            at = workload::check(&*store, *round, acknowledged).await?;
        }
        let (latest, _) = past.last().expect("a round");
        workload::go_on(&*store, *latest, &at).await
    });
    workload::close(store);
    outcome.map(drop)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a writable folder");
    for entry in std::fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("it is there").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a writable folder");
        }
    }
}

/// A child's life on a disk that rounds have been on before, until it ends or a kill ends it.
fn live(test: &Test, disk: &Disk, round: u64, kill: Option<&str>) -> Acknowledged {
    let mut child = test.start(disk, &format!("honest {round}"), true, kill);
    let mut acknowledged = Acknowledged::default();
    while let Some(ack) = child.next_ack() {
        acknowledged[ack.writer as usize] = Some(ack.step);
    }
    let (status, said) = child.end();
    assert!(status.code().is_none_or(|code| code == 0), "{status}:\n{said}");
    acknowledged
}

pub fn a_power_loss_at_any_moment_loses_no_acknowledged_write<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return workload::child::<B>(&task);
    }
    let (mut tally, mut random) = (Tally::default(), choices(2));
    for life in 0..times(2, 20) {
        let (mut disk, mut past) = (Disk::new(), Past::new());
        for round in 0..3 {
            let platter = Platter::of(&disk.root(), B::NAMES_IN_ORDER);
            // The first comes to its end and closes the store, the others are cut short.
            let kill = (round > 0).then(|| format!("sync after {}", 1 + random.next_u64() % 40));
            live(test, &disk, round, kill.as_deref());
            let count = times(10, 20);
            let next = random.next_u64() % count;
            let (next_disk, mut next_past) = (Disk::new(), Past::new());
            for (nth, loss) in (0..).zip(Losses::at_moments(&disk, platter, count, random.next_u64())) {
                let mut now = past.clone();
                now.push((round, loss.acknowledged));
                if nth == next {
                    copy(loss.folder.path(), &next_disk.root());
                    next_past = now.clone();
                }
                examine::<B>(loss.folder.path(), &now)
                    .unwrap_or_else(|why| panic!("life {life}, power lost behind event {}: {why}", loss.at));
                tally.add(&loss, &now);
            }
            (disk, past) = (next_disk, next_past);
        }
    }
    tally.report();
}

/// A process that is killed between a write and its sync leaves what the next one reads; what that shows is answered
/// for like an acknowledgement. (Whoever sees that a key is gone does not revoke it again.)
pub fn what_a_restart_shows_survives_a_power_loss<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return match task.strip_prefix("show ") {
            Some(acknowledged) => show::<B>(acknowledged),
            None => workload::child::<B>(&task),
        };
    }
    let (mut random, mut lives, mut shown) = (choices(5), 0, 0);
    for _ in 0..times(12, 120) {
        let disk = Disk::new();
        let platter = Platter::of(&disk.root(), B::NAMES_IN_ORDER);
        let kill = format!("sync before {}", 15 + random.next_u64() % 25);
        let acknowledged = live(test, &disk, 0, Some(&kill));
        let steps = acknowledged.map(|last| last.map_or("none".to_owned(), |n| n.to_string()));
        test.run(&disk, &format!("show {}", steps.join(" ")), true);
        let events = journal::read(&disk.journal());
        let shows = |event: &Event| matches!(event, Event::Acknowledged(_));
        let last = events.iter().rposition(shows).expect("a step was there to be shown") + 1;
        let mut losses = Losses::new(platter, events, vec![last], choices(0));
        losses.fate = Some(Fate::Nothing);
        for loss in losses {
            examine::<B>(loss.folder.path(), &[(0, loss.acknowledged)])
                .unwrap_or_else(|why| panic!("killed by {kill}, then a restart: {why}"));
            lives += 1;
            shown += workload::steps(&loss.acknowledged);
        }
    }
    println!(
        "{lives} restarts after a kill before a sync showed {shown} steps: none was lost to a power loss"
    );
}

/// A process that is killed while it makes the store leaves files that nobody synced, names included. The next one
/// builds on them.
pub fn a_store_half_made_by_a_kill_loses_nothing_later<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return workload::child::<B>(&task);
    }
    let mut tally = Tally::default();
    for syncs in 1..times(13, 25) {
        let disk = Disk::new();
        let platter = Platter::of(&disk.root(), B::NAMES_IN_ORDER);
        let kill = format!("sync before {syncs}");
        if live(test, &disk, 0, Some(&kill)) != Acknowledged::default() {
            // From here on the store was made; the same steps once more would be others.
            break;
        }
        live(test, &disk, 0, Some("ack after 20"));
        for loss in Losses::at_moments(&disk, platter, times(3, 20), syncs) {
            let past = [(0, loss.acknowledged)];
            examine::<B>(loss.folder.path(), &past)
                .unwrap_or_else(|why| panic!("killed by {kill}, power lost behind event {}: {why}", loss.at));
            tally.add(&loss, &past);
        }
    }
    tally.report();
}

/// The child that is started next: it says, as if it acknowledged them, which steps it finds.
fn show<B: Embedded>(acknowledged: &str) {
    let mut before = Acknowledged::default();
    for (last, word) in before.iter_mut().zip(acknowledged.split(' ')) {
        *last = word.parse().ok();
    }
    let store = B::open(OwnDisk::here().root()).expect("a store that opens after a kill");
    let found = wait(workload::check(&*store, 0, &before)).expect("nothing is lost by a kill");
    for (writer, step) in (0..).zip(found) {
        if let Some(step) = step {
            Ack { writer, step }.say();
        }
    }
    workload::close(store);
}

/// The proof that these tests can fail: a backend whose syncs do nothing, as with `synchronous=OFF`.
pub fn syncs_that_do_nothing_are_found_out<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return workload::child::<B>(&task);
    }
    let disk = Disk::new();
    disk.set("deaf-sync");
    let platter = Platter::of(&disk.root(), B::NAMES_IN_ORDER);
    test.run(&disk, "honest 0", true);
    let (mut found_out, mut losses) = (0, 0);
    for loss in Losses::at_moments(&disk, platter, 12, 3) {
        losses += 1;
        found_out += u32::from(examine::<B>(loss.folder.path(), &[(0, loss.acknowledged)]).is_err());
    }
    assert!(found_out > 0, "a store that never syncs came through {losses} power losses");
    println!("syncs that do nothing were found out by {found_out} of {losses} power losses");
}

/// Steps of the child whose syncs fail; each fifth meets as many failures as it makes syncs.
const FAILING_STEPS: u64 = 25;

/// The child: one writer, whose syncs fail now and then. It asks again until it is told that its step is durable.
async fn write_while_syncs_fail<B: Embedded>(disk: &OwnDisk, reads: bool) {
    let store = B::open(disk.root()).expect("a store that opens");
    for n in 0..FAILING_STEPS {
        let batch = step(0, 0, n);
        let Some(Write::Put(key, _)) = batch.writes.first().cloned() else {
            panic!("a step begins with a put")
        };
        if reads {
            assert_eq!(get(&*store, &batch.scope, key.as_bytes()).await, None);
        }
        let failures = [0, 1, 2, 3, 1_000][n as usize % 5];
        disk.set(&format!("broken-sync {failures}"));
        let mut answer = store.commit(batch.clone()).await;
        assert!(failures < 1_000 || answer.is_err(), "step {n} was acknowledged although no sync succeeded");
        disk.set("");
        for _ in 0..100 {
            match answer {
                Ok(_) => break,
                // Nothing of it happened, or nobody knows; never anything else.
                Err(CommitError::Unavailable(_) | CommitError::Full) if reads && B::READS_GO_ON => {
                    assert_eq!(get(&*store, &batch.scope, key.as_bytes()).await, None, "step {n} happened");
                }
                Err(CommitError::Unavailable(_) | CommitError::Full | CommitError::Unknown(_)) => {}
                Err(other) => panic!("step {n}: {other:?}"),
            }
            answer = store.commit(batch.clone()).await;
            if answer.is_err() {
                // A backend that had to close its files may wait before it tries them again.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        answer.expect("a disk that works again is enough");
        Ack { writer: 0, step: n }.say();
    }
    workload::close(store);
}

/// A sync that failed may have lost what it should have brought to the disk, and the next one says nothing of that.
pub fn what_a_failed_sync_left_is_never_acknowledged<B: Embedded>(test: &Test) {
    if let Some(task) = test.task() {
        return wait(write_while_syncs_fail::<B>(&OwnDisk::here(), task == "reading"));
    }
    let mut tally = Tally::default();
    for task in ["writing", "reading"] {
        let disk = Disk::new();
        let platter = Platter::of(&disk.root(), B::NAMES_IN_ORDER);
        test.run(&disk, task, true);
        for loss in Losses::at_moments(&disk, platter, times(20, 200), 4) {
            let past = [(0, loss.acknowledged)];
            examine::<B>(loss.folder.path(), &past)
                .unwrap_or_else(|why| panic!("{task}, power lost behind event {}: {why}", loss.at));
            tally.add(&loss, &past);
        }
    }
    tally.report();
}
