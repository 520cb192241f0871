//! `cargo bench --bench grants`: what authorized apps cost, in one run: refreshing durably against refreshing in memory,
//! registering, and verifying an access token against verifying an API key.
//!
//! The flows are called as the HTTP server calls them, without HTTP, for 64 organizations with a grant each, all at once.
//! Rates are measured in short rounds that go through the stores in turn, so that whatever else runs on the machine touches
//! all of them; what is compared is the median of the ratios of neighbouring rounds. The disk's own syncs are measured in
//! the same rounds. Never a test: nothing fails here.
//!
//! Flags: `--quick` (short rounds), `--folder PATH` (the disk to measure; default the temporary folder), `--backend
//! sqlite|sled` (any number; default both), `--orgs N` (that are busy at once; default 64).

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

mod house;
mod inside;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sequel::backends;
use sequel::config::{Config, Secret};
use sequel_store::{Holder, MemoryStore, Store};

use crate::house::House;

/// Organizations that are busy at once where nothing else is asked for: DESIGN's budget speaks of as many and more.
const ORGS: usize = 64;
/// DESIGN's budget of a durable refresh against one in memory: floor and goal.
const BUDGET: (f64, f64) = (0.50, 0.65);

#[path = "../common/mod.rs"]
mod common;

fn main() -> anyhow::Result<()> {
    // cargo adds `--bench`.
    let options = Options::parse(std::env::args().skip(1).filter(|argument| argument != "--bench"))?;
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("a folder for the stores cannot be made; name another one with --folder")?;
    actix_rt::System::new().block_on(measure(&options, folder.path()))
}

/// The rates of one store, round by round.
#[derive(Default)]
struct Rates {
    refresh: Vec<f64>,
    full: Vec<f64>,
    register: Vec<f64>,
}

async fn measure(options: &Options, folder: &Path) -> anyhow::Result<()> {
    let (rounds, time) = match options.quick {
        true => (3, Duration::from_millis(500)),
        false => (9, Duration::from_millis(1_500)),
    };
    let mut houses = vec![("memory", built(Arc::new(MemoryStore::new()), options.orgs).await?)];
    for name in &options.backends {
        houses.push((*name, built(open(name, folder)?, options.orgs).await?));
    }
    let mut rates: Vec<Rates> = houses.iter().map(|_| Rates::default()).collect();
    let mut disk = Vec::new();
    for round in 0..=rounds {
        let synced = common::syncs(folder, time)?;
        for ((_, (young, full)), rates) in houses.iter_mut().zip(&mut rates) {
            let refreshed = young.refreshes(time).await?;
            let refreshed_full = full.refreshes(time).await?;
            let registered = young.registrations(options.orgs, time).await?;
            // The first round warms up.
            if round > 0 {
                rates.refresh.push(refreshed);
                rates.full.push(refreshed_full);
                rates.register.push(registered);
            }
        }
        if round > 0 {
            disk.push(synced);
        }
    }
    let names = row(houses.iter().map(|(name, _)| (*name).to_owned()));
    println!("| a second, {} at once | {names} |", options.orgs);
    println!("|---|{}", "---|".repeat(houses.len()));
    told("refreshes, the only one lately", &rates, |rates| &rates.refresh);
    told("refreshes, as many lately as are kept", &rates, |rates| &rates.full);
    told("registrations", &rates, |rates| &rates.register);
    println!();
    let verified = houses[0].1.0.verifications(options.quick).await?;
    println!(
        "- Verifying an access token takes {:.0} ns, an API key {:.0} ns: {:.2}.",
        verified.token,
        verified.key,
        verified.token / verified.key
    );
    println!(
        "- In brackets the ratio to memory in the same rounds; DESIGN's floor for a durable refresh is {:.2}, its goal {:.2}.",
        BUDGET.0, BUDGET.1
    );
    println!(
        "- The disk syncs {:.0} appended blocks of 4 KiB a second, one after the other.",
        common::median(disk)
    );
    Ok(())
}

/// One whose used refresh tokens are forgotten at once, and one that keeps as many as it may.
async fn built(store: Arc<dyn Store>, orgs: usize) -> anyhow::Result<(House, House)> {
    let young = House::build(Arc::clone(&store), orgs, Duration::ZERO).await?;
    let full = House::build(store, orgs, Duration::from_secs(86_400)).await?;
    Ok((young, full))
}

fn told(what: &str, rates: &[Rates], of: impl Fn(&Rates) -> &Vec<f64>) {
    let memory = of(&rates[0]);
    let cells = rates.iter().map(|rates| {
        let own = of(rates);
        let ratio = common::median(own.iter().zip(memory).map(|(own, memory)| own / memory));
        format!("{:.0} ({ratio:.2})", common::median(own.iter().copied()))
    });
    println!("| {what} | {} |", row(cells));
}

fn row(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(" | ")
}

fn open(name: &str, folder: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let data_dir = folder.join(name);
    std::fs::create_dir_all(&data_dir)?;
    let mut config = Config { data_dir, ..Config::default() };
    if name == "sled" {
        config.storage.url = Secret::new("sled:sequel.sled".to_owned());
    }
    Ok(backends::open_store(&config, Holder::command())?)
}

struct Options {
    quick: bool,
    folder: Option<PathBuf>,
    backends: Vec<&'static str>,
    orgs: usize,
}

const BACKENDS: [&str; 2] = ["sqlite", "sled"];

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self { quick: false, folder: None, backends: Vec::new(), orgs: ORGS };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--folder" => options.folder = Some(value()?.into()),
                "--orgs" => {
                    let orgs = value()?.parse().ok().filter(|orgs| (1..=10_000).contains(orgs));
                    options.orgs = orgs.context("--orgs is a number from 1 to 10000")?;
                }
                "--backend" => {
                    let wanted = value()?;
                    let known = BACKENDS.into_iter().find(|name| *name == wanted);
                    options.backends.push(known.context("--backend is sqlite or sled")?);
                }
                other => {
                    bail!(
                        "unknown argument {other}; there are --quick, --folder PATH, --backend NAME and --orgs N"
                    )
                }
            }
        }
        if options.backends.is_empty() {
            options.backends.extend(BACKENDS);
        }
        Ok(options)
    }
}
