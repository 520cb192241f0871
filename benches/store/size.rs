//! What is left on the disk after many overwrites.

use std::path::Path;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::backend::{Backend, overwrite};
use crate::common::mib;
use crate::table::Table;

/// Records of one organization, which are written again and again.
pub(crate) const RECORDS: usize = 1_000;
/// Organizations that they are written in.
pub(crate) const ORGS: usize = 8;
/// Records of one batch.
const TOGETHER: usize = 250;

/// Overwrites some thousand records again and again, closes the store, and looks at what it takes.
pub(crate) fn measure(
    backends: &[Backend],
    _folder: &Path,
    quick: bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    let overwrites: usize = if quick { 100_000 } else { 1_000_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for backend in backends {
        let store = backend.open("size")?;
        let started = Instant::now();
        runtime.block_on(
            // Eight at a time, over eight organizations: as a busy server would.
            stream::iter((0..overwrites / TOGETHER).map(|batch| store.commit(overwrite(batch, TOGETHER))))
                .buffer_unordered(8)
                .try_for_each(|_| async { Ok(()) }),
        )?;
        let took = started.elapsed();
        drop(store);
        let bytes = backend.bytes("size")?;
        let what = format!("on the disk after {overwrites} overwrites of {} records", ORGS * RECORDS);
        table.put(&what, backend.name, format!("{:.1} MiB", mib(bytes)));
        table.put("time that these take", backend.name, format!("{:.1} s", took.as_secs_f64()));
    }
    table.note(format!(
        "Those records hold {:.1} MiB; {TOGETHER} of them were overwritten by each commit, eight commits at a time.",
        mib((ORGS * RECORDS * crate::backend::VALUE_BYTES) as u64)
    ));
    Ok(())
}
