//! Room on the disk: writes are refused while there is still enough of it to open the log again.
//!
//! Owns the thresholds. sled cannot be opened on a full disk, because opening it writes (a snapshot, and the tail of a
//! segment), and after one failed write it takes no other. So the disk is asked before each batch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sequel_store::{Batch, Lane, Write};

const MIB: u64 = 1024 * 1024;
/// Below this much free space ordinary batches are refused. What is handed to sled at once is some 5 MiB of rows, and
/// sled rewrites the pages around them (74 KiB at most) at every tenth change: some 15 MiB. Twice that fits above the
/// last reserve.
const RESERVE: u64 = 64 * MIB;
/// Below this much nothing is taken, so that the log can be opened again, which writes a segment (512 KiB) and a snapshot
/// (1 MiB for 350,000 rows). In between a batch that takes a permission away, or only deletes, still is.
const LAST_RESERVE: u64 = 32 * MIB;
/// Below this much the log warns: it grows by some 1 KiB for each small commit (see `examples/measure_sled.rs`), so 450,000
/// of them come before the reserve.
const WARN: u64 = 512 * MIB;

/// How many bytes are free where the folder lies.
pub type FreeBytes = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What the operating system says is free for this user.
pub(crate) fn of_the_disk() -> FreeBytes {
    Arc::new(|folder| {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    })
}

/// Room for one store.
pub(crate) struct Space {
    folder: PathBuf,
    free: FreeBytes,
    warned: bool,
}

impl Space {
    pub(crate) fn new(folder: PathBuf, free: FreeBytes) -> Self {
        let mut space = Self { folder, free, warned: false };
        space.ask();
        space
    }

    /// Whether there is room for this batch.
    pub(crate) fn admits(&mut self, batch: &Batch) -> bool {
        let free = self.ask();
        free >= RESERVE || (free >= LAST_RESERVE && takes_away(batch))
    }

    /// The free bytes; without an answer there is room, for the disk itself refuses where there is none.
    fn ask(&mut self) -> u64 {
        let free = match (self.free)(&self.folder) {
            Ok(free) => free,
            Err(error) => {
                tracing::debug!(%error, path = %self.folder.display(), "how much space is free is not known");
                return u64::MAX;
            }
        };
        if free < WARN && !self.warned {
            let (free_mib, reserve_mib) = (free / MIB, RESERVE / MIB);
            tracing::warn!(path = %self.folder.display(), free_mib, reserve_mib,
                "the disk is nearly full: changes are refused below the reserve. Free some space.");
        }
        // Twice as much takes the warning back, so that a disk at the edge does not repeat it.
        self.warned = free < if self.warned { 2 * WARN } else { WARN };
        free
    }
}

/// Whether a batch leaves less behind than was there: what must go through longest.
fn takes_away(batch: &Batch) -> bool {
    matches!(batch.lane, Lane::State { narrows: true, .. })
        || batch.writes.iter().all(|write| matches!(write, Write::Delete(_)))
}
