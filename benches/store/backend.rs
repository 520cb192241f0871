//! The backends under measurement: where their stores lie, how they are opened, what they take on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use sequel::backends;
use sequel::config::{Config, Secret};
use sequel_store::{Batch, CommitId, Holder, Key, Lane, Scope, Store, Write};

use crate::common::cluster::{CLUSTER, cluster, psql};
use crate::size::{ORGS, RECORDS};
use crate::table::Table;

/// What a key's record takes, about.
pub(crate) const VALUE_BYTES: usize = 300;

/// One backend, with stores under a folder of its own.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// Folder of its data folders, one for each store.
    pub(crate) root: PathBuf,
}

const NAMES: [&str; 3] = ["sqlite", "sled", "postgres"];

/// Every backend that there is here, SQLite first.
pub(crate) fn all(folder: &Path, table: &mut Table) -> anyhow::Result<Vec<Backend>> {
    let mut backends = Vec::new();
    for name in NAMES {
        if name == "postgres" && std::env::var_os(CLUSTER).is_none() {
            table.note(format!(
                "Postgres was not measured: no cluster is named by {CLUSTER} (tests/postgres/run)."
            ));
            continue;
        }
        backends.push(Backend::named(name, &folder.join(name))?);
    }
    Ok(backends)
}

/// The database of a store, which is named after the run's folder.
fn database(root: &Path, store: &str) -> String {
    let run = root.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
    let run: String = run.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("bench_{run}_{store}")
}

impl Backend {
    /// The backend of this name.
    pub(crate) fn named(name: &str, root: &Path) -> anyhow::Result<Self> {
        let name = NAMES.into_iter().find(|known| *known == name).context("no such backend")?;
        Ok(Self { name, root: root.to_owned() })
    }

    /// The configuration of a server on one of its stores.
    pub(crate) fn config(&self, store: &str) -> Config {
        let mut config = Config { data_dir: self.root.join(store), ..Config::default() };
        config.storage.url = Secret::new(match self.name {
            "sled" => "sled:sequel.sled".to_owned(),
            "postgres" => {
                let cluster = cluster().unwrap_or_default();
                format!("{}/{}", cluster.trim_end_matches("/postgres"), database(&self.root, store))
            }
            _ => String::new(),
        });
        config
    }

    /// Makes the place of one of its stores, where there is none.
    pub(crate) fn make(&self, store: &str) -> anyhow::Result<()> {
        fs::create_dir_all(self.root.join(store))?;
        if self.name == "postgres" {
            let (cluster, database) = (cluster()?, database(&self.root, store));
            let there =
                psql(&cluster, &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'"))?;
            if there == "0" {
                psql(&cluster, &format!("CREATE DATABASE {database}"))?;
            }
        }
        Ok(())
    }

    /// Opens one of its stores, making it where there is none.
    pub(crate) fn open(&self, store: &str) -> anyhow::Result<Arc<dyn Store>> {
        let config = self.config(store);
        self.make(store)?;
        Ok(backends::open_store(&config, Holder::command())?)
    }

    /// What a closed store takes on the disk. Of Postgres without what every database of it takes from the start.
    pub(crate) fn bytes(&self, store: &str) -> anyhow::Result<u64> {
        if self.name == "postgres" {
            let sql = "SELECT pg_database_size(current_database()) - pg_database_size('template1')";
            let url = self.config(store).storage.url;
            return Ok(psql(url.expose(), sql)?.parse()?);
        }
        folder_bytes(&self.root.join(store))
    }

    /// Removes what lies outside of its folder.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        if self.name == "postgres" {
            for store in ["commits", "start", "size", "copied", "copy0", "copy1", "copy2"] {
                let database = database(&self.root, store);
                psql(&cluster()?, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
            }
        }
        Ok(())
    }
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { folder_bytes(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

fn commit_id() -> CommitId {
    // Unique within a run is enough: every run makes stores of its own.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    CommitId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
}

fn batch(org: String, writes: Vec<Write>) -> Batch {
    let scope = Scope::org(&org).expect("a short name is a scope");
    let lane = Lane::State { at: None, narrows: false };
    Batch { scope, lane, id: commit_id(), expects: Vec::new(), writes }
}

fn put(key: String, value: Vec<u8>) -> Write {
    Write::Put(Key::new(key).expect("a short key"), value.into())
}

/// One of a thousand records of a writer, in an organization of its own.
pub(crate) fn one_record(writer: usize, round: usize, number: u64) -> Batch {
    let value = vec![b'a' + (round % 26) as u8; VALUE_BYTES];
    batch(format!("writer{writer}"), vec![put(format!("key/{:010}", number % RECORDS as u64), value)])
}

/// `together` of an organization's records that are overwritten again and again.
pub(crate) fn overwrite(number: usize, together: usize) -> Batch {
    let first = number * together;
    // Nothing that could be compressed away.
    let value =
        |at: usize| (0..VALUE_BYTES).map(|byte| (first * 31 + at * 7 + byte * 13 % 251) as u8).collect();
    let records = (first..first + together).map(|at| put(format!("key/{:010}", at % RECORDS), value(at)));
    batch(format!("org{}", number * together / RECORDS % ORGS), records.collect())
}
