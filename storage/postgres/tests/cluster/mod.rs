//! A database of its own for each test, in the cluster that `tests/postgres/run` started.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sequel_store::{Holder, OpenError};
use sequel_store_postgres::{Address, Options, PostgresStore};

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

    pub(crate) fn open(&self) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(Options::new(self.address(), Holder::command()))
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
