//! `cargo bench --bench store`: what each backend costs, in one run: the table of the documentation page
//! "Which backend?" (`src/pages/docs/which-backend.md`).
//!
//! Rates are measured in short rounds that go through the backends in turn, so that whatever else runs on
//! the machine touches all of them; what is compared is the median of the ratios of neighbouring rounds. Every
//! commit is durable when it is counted, and the disk's own syncs are measured in the same rounds. Servers
//! are processes of their own (this binary again, with a role). Never a test: nothing fails here.
//!
//! Postgres is measured where `SEQUEL_TEST_POSTGRES` names a cluster (`tests/postgres/run cargo bench --bench
//! store`), and left out with a line that says so elsewhere.
//!
//! Flags: `--quick` (short rounds, 100,000 overwrites instead of a million), `--json`, `--folder PATH` (the disk to
//! measure; default the temporary folder), `--only commits|start|size|copy` and `--backend NAME` (any number of each).

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

mod backend;
mod commits;
#[path = "../common/mod.rs"]
mod common;
mod copy;
mod size;
mod start;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::backend::Backend;
use crate::table::Table;

fn main() -> anyhow::Result<()> {
    // cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(outcome) = start::run_role(&arguments) {
        return outcome;
    }
    let options = Options::parse(arguments)?;
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("a folder for the stores cannot be made; name another one with --folder")?;
    let mut table = Table::default();
    let backends = backend::all(folder.path(), &mut table)?;
    let backends: Vec<Backend> =
        backends.into_iter().filter(|backend| options.wants(&options.backends, backend.name)).collect();
    if options.wants(&options.only, "commits") {
        commits::measure(&backends, folder.path(), options.quick, &mut table)?;
    }
    if options.wants(&options.only, "start") {
        start::measure(&backends, folder.path(), options.quick, &mut table)?;
    }
    if options.wants(&options.only, "size") {
        size::measure(&backends, folder.path(), options.quick, &mut table)?;
    }
    if options.wants(&options.only, "copy") {
        copy::measure(&backends, folder.path(), options.quick, &mut table)?;
    }
    for backend in backends {
        backend.remove()?;
    }
    table.print(options.json);
    Ok(())
}

#[derive(Default)]
struct Options {
    quick: bool,
    json: bool,
    folder: Option<PathBuf>,
    only: Vec<String>,
    backends: Vec<String>,
}

impl Options {
    fn parse(arguments: Vec<String>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--folder" => options.folder = Some(value()?.into()),
                "--only" => options.only.push(value()?),
                "--backend" => options.backends.push(value()?),
                other => bail!(
                    "unknown argument {other}; there are --quick, --json, --folder PATH, --only commits|start|size|copy \
                     and --backend NAME"
                ),
            }
        }
        Ok(options)
    }

    fn wants(&self, named: &[String], what: &str) -> bool {
        named.is_empty() || named.iter().any(|name| name == what)
    }
}
