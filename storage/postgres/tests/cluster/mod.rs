//! A database of its own for each test, in the cluster that `tests/postgres/run` started.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "../../../../tests/postgres/cluster.rs"]
pub(crate) mod own;

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sequel_store::{Holder, OpenError};
use sequel_store_postgres::{Address, Options, PostgresStore};

/// Whatever hangs this long hangs for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A fresh database, removed at the end.
pub(crate) struct Database {
    pub(crate) name: String,
    cluster: String,
}

/// The URL of the cluster's own database.
pub(crate) fn cluster() -> String {
    std::env::var("SEQUEL_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("there is no PostgreSQL for this test: run it with tests/postgres/run, which starts one")
    })
}

/// The port of the cluster.
pub(crate) fn port() -> u16 {
    let url = cluster();
    let (_, port) = url.trim_end_matches("/postgres").rsplit_once(':').expect("a URL with a port");
    port.parse().expect("a port")
}

/// Runs SQL with `psql`, which has to succeed; what it prints, without decoration.
pub(crate) fn psql(url: &str, sql: &str) -> String {
    let program = match std::env::var("SEQUEL_TEST_POSTGRES_BIN") {
        Ok(folder) => format!("{folder}/psql"),
        Err(_) => "psql".to_owned(),
    };
    let ran = Command::new(program)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .expect("psql can be started");
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text").trim().to_owned()
}

impl Database {
    pub(crate) fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let (name, cluster) = (format!("t{}_{number}", std::process::id()), cluster());
        psql(&cluster, &format!("CREATE DATABASE {name}"));
        Self { name, cluster }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.cluster.trim_end_matches("/postgres"), self.name)
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(&self.url(), None).expect("the cluster's URL")
    }

    /// A store that waits longer for an answer than a loaded machine makes it: what is slow here has not failed.
    pub(crate) fn open(&self) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(Options {
            answer_wait: PATIENCE,
            ..Options::new(self.address(), Holder::command())
        })
    }

    /// The same database over another port, a proxy's for instance.
    pub(crate) fn address_over(&self, port: u16) -> Address {
        Address::parse(&format!("postgres://postgres@127.0.0.1:{port}/{}", self.name), None).expect("a URL")
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The cluster goes as a whole; this keeps it small meanwhile.
        if !std::thread::panicking() {
            psql(&self.cluster, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
