//! A hundred thousand keys from backend to backend and back: how long it takes, and that nothing is another afterwards.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use futures_util::TryStreamExt;
use sequel_store::Exported;

use crate::backend::Backend;
use crate::common::fixture::{prepare_in, sqlite};
use crate::table::Table;

/// Copies a store of the last backend through all of them, and back into another one of the last.
pub(crate) fn measure(
    backends: &[Backend],
    folder: &Path,
    quick: bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (Some(last), Some(_)) = (backends.last(), backends.get(1)) else {
        table.note("A round trip wants two backends at least.".to_owned());
        return Ok(());
    };
    let orgs = if quick { 100 } else { 1_000 };
    let database = folder.join("copied.db");
    sequel::demo::write(&database)?;
    last.make("copied")?;
    actix_rt::System::new().block_on(prepare_in(&last.config("copied"), orgs, 100, &sqlite(&database)?))?;
    let first = everything(last, "copied")?;
    let (mut from, mut way) = (last.config("copied"), last.name.to_owned());
    for (at, to) in backends.iter().enumerate() {
        let store = format!("copy{at}");
        to.make(&store)?;
        let began = Instant::now();
        let records = sequel::run::copy(&from, &to.config(&store), &|_, _| {})?;
        table.put(
            &format!("copying {records} records into it, verified"),
            to.name,
            format!("{:.1} s", began.elapsed().as_secs_f64()),
        );
        (from, way) = (to.config(&store), format!("{way} → {}", to.name));
    }
    let back = everything(last, &format!("copy{}", backends.len() - 1))?;
    ensure!(first == back, "what came back is not what went");
    table.note(format!("{way}: {} records, equal one by one in scope, key and value.", back.len()));
    Ok(())
}

/// Scope, key and value. The revision belongs to its store.
type Copied = (String, Vec<u8>, Vec<u8>);

/// Every record of a store.
fn everything(backend: &Backend, store: &str) -> anyhow::Result<Vec<Copied>> {
    let store = backend.open(store)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let record = |Exported { scope, record }: Exported| {
            (scope.as_str().to_owned(), record.key.as_bytes().to_vec(), record.value.to_vec())
        };
        Ok(store.export().await?.map_ok(record).try_collect().await?)
    })
}
