//! Disks that refuse: full, read-only, broken. Nothing is acknowledged that they did not take, reads stay right, and
//! when the disk is well again nobody has to start anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::child::Test;
use super::disk::{Disk, OwnDisk};
use super::{Embedded, wait, workload};
use crate::conformance::{key, org, put, scan_all, state};
use crate::{Batch, CommitError, CommitId, OpenError, ReadError, Revision, Store};

/// What is stored, by its number, and what may be.
#[derive(Default)]
struct Stored {
    certain: BTreeMap<u64, Vec<u8>>,
    /// Batches of an unknown outcome: sent again once the disk is well.
    unknown: BTreeMap<u64, Batch>,
}

/// Every other value is large enough for many pages.
fn value(n: u64) -> Vec<u8> {
    let bytes = if n.is_multiple_of(2) { 60_000 } else { 300 };
    (0..bytes).map(|at| (at as u64 * 31 + n) as u8).collect()
}

/// The same batch whenever it is asked for, so that it can be sent again.
fn batch(n: u64) -> Batch {
    let id = CommitId(u128::from(n + 1).to_be_bytes());
    Batch { id, ..state(&org("a"), [put(format!("{n:06}"), value(n))]) }
}

impl Stored {
    async fn put(&mut self, store: &dyn Store, n: u64) {
        self.take(n, batch(n), store.commit(batch(n)).await, "on a disk that is well");
        assert!(self.certain.contains_key(&n), "{n} was refused by a disk that is well");
    }

    /// Takes an answer down; `false` for a refusal.
    fn take(&mut self, n: u64, batch: Batch, answer: Result<Revision, CommitError>, when: &str) -> bool {
        match answer {
            Ok(_) => drop(self.certain.insert(n, value(n))),
            Err(CommitError::Full | CommitError::Unavailable(_)) => return false,
            Err(CommitError::Unknown(id)) if id == batch.id => {
                self.unknown.insert(n, batch);
                return false;
            }
            Err(other) => panic!("{n} {when}: {other:?}"),
        }
        true
    }

    /// Puts one after the other until one is refused: because the disk is full, where that is certain.
    async fn until_full<B: Embedded>(&mut self, store: &dyn Store, from: u64) {
        for n in from..from + 1_000 {
            let answer = store.commit(batch(n)).await;
            let apt = match &answer {
                Ok(_) | Err(CommitError::Full) => true,
                Err(CommitError::Unknown(_)) => !B::READS_GO_ON,
                Err(_) => false,
            };
            assert!(apt, "{n} on a full disk: {answer:?}");
            if !self.take(n, batch(n), answer, "on a full disk") {
                return;
            }
        }
        panic!("a thousand batches fit on a full disk");
    }

    /// The disk is well again: what was unknown is sent again, and that it is well is noticed soon.
    async fn settle(&mut self, store: &dyn Store) {
        for (n, batch) in std::mem::take(&mut self.unknown) {
            let mut patience = 100;
            while let Err(error) = store.commit(batch.clone()).await {
                patience -= 1;
                assert!(patience > 0, "{n} on a disk that is well again: {error:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.certain.insert(n, value(n));
        }
    }

    /// Everything is there and nothing else; a read that gives no answer is none where the backend says so.
    async fn hold<B: Embedded>(&self, store: &dyn Store, when: &str) {
        if let Err(error) = store.get(&org("a"), &key("nothing")).await {
            assert!(!B::READS_GO_ON && matches!(error, ReadError::Unavailable(_)), "{when}: {error:?}");
            return;
        }
        let (records, revision) = scan_all(store, &org("a"), 100).await;
        let found: BTreeMap<_, _> = records
            .into_iter()
            .map(|record| (record.key.as_bytes().to_vec(), record.value.to_vec()))
            .collect();
        for (n, value) in &self.certain {
            assert!(
                found.get(format!("{n:06}").as_bytes()) == Some(value),
                "{when}: {n} is not there as it was put"
            );
        }
        let perhaps =
            self.unknown.keys().filter(|n| found.contains_key(format!("{n:06}").as_bytes())).count();
        assert_eq!(found.len(), self.certain.len() + perhaps, "{when}: {:?}", found.keys());
        assert_eq!(revision, Revision(found.len() as u64), "{when}");
    }
}

fn open<B: Embedded>(folder: &Path, when: &str) -> Arc<dyn Store> {
    B::open(folder).unwrap_or_else(|error| panic!("{when} the store does not open: {error}"))
}

/// Runs the child's part in a child on a commanded disk.
fn on_a_disk(test: &Test, part: impl AsyncFnOnce(OwnDisk)) {
    match test.task() {
        Some(_) => wait(part(OwnDisk::here())),
        None => test.run(&Disk::new(), "refuse", false),
    }
}

pub fn on_a_full_disk_writes_refuse_and_reads_stay_right<B: Embedded>(test: &Test) {
    on_a_disk(test, async |disk| {
        let (store, mut stored) = (open::<B>(disk.root(), "on a fresh disk"), Stored::default());
        for n in 0..8 {
            stored.put(&*store, n).await;
        }
        disk.set("space 300000");
        stored.until_full::<B>(&*store, 8).await;
        // The first read of all comes only now: it must not need space either.
        stored.hold::<B>(&*store, "while the disk is full").await;
        // Many at once, of which small ones may fit.
        let tasks: Vec<_> = (2_000..2_016)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { (n, store.commit(batch(n)).await) })
            })
            .collect();
        for task in tasks {
            let (n, answer) = task.await.expect("a commit that does not panic");
            stored.take(n, batch(n), answer, "among many");
        }
        stored.hold::<B>(&*store, "after many at once").await;
        disk.set("");
        stored.unknown.insert(3_000, batch(3_000));
        stored.settle(&*store).await;
        stored.hold::<B>(&*store, "once there is space").await;
        workload::close(store);
        let store = open::<B>(disk.root(), "once there is space");
        stored.hold::<B>(&*store, "after a restart").await;
        workload::close(store);
    });
}

/// However little is left when the disk is full: the store may be closed, and opens again once there is space.
pub fn a_full_disk_is_left_at_any_byte<B: Embedded>(test: &Test) {
    on_a_disk(test, async |disk| {
        for space in [0, 1, 31, 511, 4_095, 4_119, 4_120, 8_240, 20_000, 65_536, 131_072] {
            let disk = disk.inside(&space.to_string());
            let (store, mut stored) = (open::<B>(disk.root(), "on a fresh disk"), Stored::default());
            for n in 0..4 {
                stored.put(&*store, n).await;
            }
            disk.set(&format!("space {space}"));
            stored.until_full::<B>(&*store, 4).await;
            workload::close(store);
            match B::open(disk.root()) {
                Ok(store) => {
                    stored.hold::<B>(&*store, "opened on a full disk").await;
                    workload::close(store);
                }
                Err(OpenError::Full { .. }) => {}
                Err(other) => panic!("{space} bytes left: opening says {other}"),
            }
            disk.set("");
            let store = open::<B>(disk.root(), "once there is space");
            stored.hold::<B>(&*store, &format!("after {space} bytes were left")).await;
            stored.settle(&*store).await;
            stored.put(&*store, 1_000_000).await;
            workload::close(store);
        }
    });
}

/// Writes while the disk refuses them, and goes on when it is well again, without a restart.
async fn refuse_and_recover<B: Embedded>(disk: &OwnDisk, mood: &str) {
    let (store, mut stored) = (open::<B>(disk.root(), "on a fresh disk"), Stored::default());
    for n in 0..8 {
        stored.put(&*store, n).await;
    }
    disk.set(mood);
    for n in 8..14 {
        assert!(
            !stored.take(n, batch(n), store.commit(batch(n)).await, mood),
            "{n} was acknowledged: {mood}"
        );
        stored.hold::<B>(&*store, mood).await;
    }
    disk.set("");
    stored.unknown.insert(20, batch(20));
    stored.settle(&*store).await;
    stored.hold::<B>(&*store, mood).await;
    workload::close(store);
    let store = open::<B>(disk.root(), "on a disk that is well again");
    stored.hold::<B>(&*store, mood).await;
    workload::close(store);
}

pub fn on_a_read_only_disk_writes_refuse_and_reads_stay_right<B: Embedded>(test: &Test) {
    on_a_disk(test, async |disk| refuse_and_recover::<B>(&disk, "read-only").await);
}

pub fn on_a_broken_disk_writes_refuse_and_reads_stay_right<B: Embedded>(test: &Test) {
    on_a_disk(test, async |disk| {
        for (n, mood) in ["broken-write", "broken-sync 1000"].into_iter().enumerate() {
            let disk = disk.inside(&n.to_string());
            refuse_and_recover::<B>(&disk, mood).await;
        }
    });
}

/// Opening a store on a disk that refuses: it opens, or one sentence says what is wrong, and never that it is damaged.
pub fn a_store_on_a_refusing_disk_opens_or_says_why<B: Embedded>(test: &Test) {
    on_a_disk(test, async |disk| {
        for (n, mood) in ["space 0", "read-only", "broken-write", "broken-sync 1000"].into_iter().enumerate()
        {
            for stage in ["fresh", "closed"] {
                let disk = disk.inside(&format!("{n}-{stage}"));
                let mut stored = Stored::default();
                if stage == "closed" {
                    let store = open::<B>(disk.root(), "on a fresh disk");
                    for n in 0..8 {
                        stored.put(&*store, n).await;
                    }
                    workload::close(store);
                }
                disk.set(mood);
                match B::open(disk.root()) {
                    Ok(store) => {
                        stored.hold::<B>(&*store, mood).await;
                        workload::close(store);
                    }
                    Err(error) => {
                        let said = error.to_string();
                        let apt = match &error {
                            OpenError::Full { .. } => mood == "space 0",
                            OpenError::Path { .. } => mood != "space 0",
                            _ => false,
                        };
                        assert!(apt && said.ends_with('.'), "{stage} on {mood}: {said}");
                    }
                }
                disk.set("");
                let store = open::<B>(disk.root(), "on a disk that is well again");
                stored.hold::<B>(&*store, mood).await;
                stored.put(&*store, 1_000_000).await;
                workload::close(store);
            }
        }
    });
}
