//! Durable commits a second, by one writer and by 64 at once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sequel_store::Store;

use crate::backend::{Backend, one_record};
use crate::common::{median, syncs};
use crate::table::Table;

const WRITERS: usize = 64;

/// Measures every backend in turn, round by round, and the disk beside them.
pub(crate) fn measure(
    backends: &[Backend],
    folder: &Path,
    quick: bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (rounds, time) =
        if quick { (3, Duration::from_millis(500)) } else { (9, Duration::from_millis(1_500)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stores: Vec<Arc<dyn Store>> =
        backends.iter().map(|backend| backend.open("commits")).collect::<anyhow::Result<_>>()?;
    let mut disk = Vec::new();
    // By backend: alone, together.
    let mut rates = vec![(Vec::new(), Vec::new()); stores.len()];
    for round in 0..=rounds {
        disk.push(syncs(folder, time)?);
        for (at, store) in stores.iter().enumerate() {
            let alone = runtime.block_on(commits(store, 1, time, round))?;
            let together = runtime.block_on(commits(store, WRITERS, time, round))?;
            // The first round warms up.
            if round > 0 {
                rates[at].0.push(alone);
                rates[at].1.push(together);
            }
        }
    }
    let ratio = |above: &[f64], below: &[f64]| median(above.iter().zip(below).map(|(a, b)| a / b));
    for (backend, (alone, together)) in backends.iter().zip(&rates) {
        let against =
            |own: &[f64], first: &[f64]| format!("{:.0} ({:.2})", median(own.to_vec()), ratio(own, first));
        table.put("commits a second, one writer", backend.name, against(alone, &rates[0].0));
        table.put("commits a second, 64 writers", backend.name, against(together, &rates[0].1));
    }
    let first = backends.first().map_or("", |backend| backend.name);
    table.note(format!(
        "Commits are durable, of one record of 300 bytes, in an organization of the writer's own; in brackets the ratio to \
         {first} in the same rounds. The disk itself syncs {:.0} appended blocks of 4 KiB a second, one after the other.",
        median(disk)
    ));
    drop(stores);
    Ok(())
}

/// Commits of `writers` tasks, a second.
async fn commits(
    store: &Arc<dyn Store>,
    writers: usize,
    time: Duration,
    round: usize,
) -> anyhow::Result<f64> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut done = 0u64;
                while started.elapsed() < time {
                    store.commit(one_record(writer, round, done)).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.context("a writer panicked")??;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}
