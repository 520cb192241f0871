//! What a backend that keeps a folder of this machine must hold: kills, power losses, disks that refuse.
//!
//! A backend implements [`Embedded`] for a value of its tests and writes one line:
//!
//! ```text
//! sequel_store::embedded_tests!(MyBackend);
//! ```
//!
//! Each test starts its own binary again, as the process that is harmed. `disk.c` is preloaded there: it carries out
//! what the test commands of the disk, counts system calls to kill the process at, and writes down what happened to the
//! files, so that [`journal`] can tell what a power loss at any moment would have left. Failpoints are system calls:
//! nothing in the backend, or in what is released, knows of these tests. They need Linux and a C compiler.
//!
//! By default some dozens of kills and power losses; with `SEQUEL_TEST_LONG` set, hundreds.

mod child;
pub mod disk;
mod journal;
pub mod kill;
mod macros;
pub mod power;
pub mod refusing;
mod workload;

use std::path::Path;
use std::sync::Arc;

use proptest::test_runner::{RngAlgorithm, TestRng};

pub use self::child::Test;
use crate::{OpenError, Store};

/// A backend that keeps its store in a folder of this machine.
pub trait Embedded: 'static {
    /// Whether reads go on, and refusals of a full disk are certain, while the disk refuses writes. A backend that then
    /// has to close its files says `false` here and in its documentation: its reads may be `Unavailable` until the
    /// disk is well again, and a batch that the disk refused `Unknown`. Wrong they may not be.
    const READS_GO_ON: bool = true;

    /// Whether the backend needs a file system that keeps changes of names in order, as ext4, XFS and btrfs do. POSIX
    /// lets a power loss keep a later one and take an earlier one back. Says so in its documentation.
    const NAMES_IN_ORDER: bool = false;

    /// Opens the store in `folder`, making it where there is none. Dropping it closes it.
    fn open(folder: &Path) -> Result<Arc<dyn Store>, OpenError>;
}

/// How often something is done: in every run, and where time was given.
fn times(usually: u64, long: u64) -> u64 {
    if std::env::var_os("SEQUEL_TEST_LONG").is_some() { long } else { usually }
}

/// Choices that are the same in every run.
fn choices(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Runs a future on a runtime of its own.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime for the test").block_on(future)
}
