//! Which backend keeps the records of the servers under test: SQLite, or what `SEQUEL_TEST_BACKEND` names. So
//! all tests run on each of them; those that are about SQLite's own files say `Home::on_sqlite`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a home's records are.
pub(crate) enum Backing {
    /// `sequel.db` in the data folder, as it comes.
    Sqlite,
    /// A folder in the data folder.
    Sled,
    /// A database of its own in the cluster that `tests/postgres/run` started.
    Postgres { cluster: String, name: String },
}

impl Backing {
    /// What whoever runs the tests asked for.
    pub(crate) fn asked_for() -> Self {
        match std::env::var("SEQUEL_TEST_BACKEND").as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("sled") => Self::Sled,
            Ok("postgres") => Self::postgres(),
            Ok(other) => panic!("SEQUEL_TEST_BACKEND is {other:?}; it may be sqlite, sled or postgres"),
        }
    }

    /// A fresh database.
    pub(crate) fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let cluster = std::env::var("SEQUEL_TEST_POSTGRES").unwrap_or_else(|_| {
            panic!("there is no PostgreSQL for this test: run it with tests/postgres/run, which starts one")
        });
        let name = format!("it{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        psql(&cluster, &format!("CREATE DATABASE {name}"));
        Self::Postgres { cluster, name }
    }

    /// `storage.url`, where it is not the default.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Sled => Some("sled:sequel.sled".to_owned()),
            Self::Postgres { cluster, name } => {
                Some(format!("{}/{name}", cluster.trim_end_matches("/postgres")))
            }
        }
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // The cluster goes as a whole; this keeps it small meanwhile.
        if let Self::Postgres { cluster, name } = self
            && !std::thread::panicking()
        {
            psql(cluster, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// Runs SQL with `psql`, which has to succeed; what it prints, without decoration.
pub(crate) fn psql(url: &str, sql: &str) -> String {
    let program = match std::env::var("SEQUEL_TEST_POSTGRES_BIN") {
        Ok(folder) => format!("{folder}/psql"),
        Err(_) => "psql".to_owned(),
    };
    let ran = Command::new(program)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .output()
        .expect("psql can be started");
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text").trim().to_owned()
}
