//! A database and a role of its own for each test, in the cluster that `tests/postgres/run` started.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "../../../../tests/postgres/cluster.rs"]
pub(crate) mod cluster;
pub(crate) mod shop;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sequel_connector::{
    Configuration, Connector, DataSource, Egress, Limits, OpenError, Party, Query, QueryError, RowBatch,
    Rows, Truncated, Value,
};
use sequel_connector_postgres::{DECLARATION, Policy, PostgresConnector};

/// Limits that no test meets by accident.
pub(crate) const LIMITS: Limits = Limits {
    rows: 100_000,
    bytes: 64 << 20,
    cell_bytes: 1 << 20,
    columns: 100,
    time: Duration::from_secs(60),
};

/// Computes for as long as somebody lets it, and has no rows.
pub(crate) const ENDLESS: &str = "SELECT a.n FROM generate_series(1, 100000) AS a(n), generate_series(1, 100000) AS b(n), \
                       generate_series(1, 100000) AS c(n) WHERE a.n + b.n + c.n < 0";
/// Rows that come for as long as somebody reads.
pub(crate) const STREAM: &str =
    "SELECT n, repeat('x', 1000) FROM (SELECT generate_series(1, 100000000) AS n) s";

/// Whatever hangs this long hangs for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh database with a role that may read what is granted to it; both are removed at the end.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) role: String,
    cluster: String,
}

/// The URL of the cluster's own database.
fn cluster() -> String {
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
    /// With these statements run in it, each by itself.
    pub(crate) fn make(statements: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("c{}_{number}", std::process::id());
        let database = Self { role: format!("{name}_reader"), name, cluster: cluster() };
        psql(&database.cluster, &format!("CREATE DATABASE {}", database.name));
        psql(&database.cluster, &format!("CREATE ROLE {} LOGIN", database.role));
        // Before version 15 everybody may create tables there.
        database.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        for statement in statements {
            database.run(statement);
        }
        database.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", database.role));
        database
    }

    /// As a superuser.
    pub(crate) fn run(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// The server's major version.
    pub(crate) fn version(&self) -> u32 {
        let number: u32 = self.run("SHOW server_version_num").parse().expect("a number");
        number / 10_000
    }

    /// As a superuser.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.cluster.trim_end_matches("/postgres"), self.name)
    }

    pub(crate) fn port(&self) -> u16 {
        let (_, port) =
            self.cluster.trim_end_matches("/postgres").rsplit_once(':').expect("a URL with a port");
        port.parse().expect("a port")
    }

    /// How the reader reaches it.
    pub(crate) fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "host": "127.0.0.1", "port": self.port(), "database": self.name, "user": self.role, "tls": "disable",
        })
    }

    /// A source on it, as the reader.
    pub(crate) async fn open(&self) -> Arc<dyn DataSource> {
        open(self.settings(), policy()).await.expect("the source can be opened")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            psql(&self.cluster, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
            psql(&self.cluster, &format!("DROP ROLE {}", self.role));
        }
    }
}

/// Waits until a question has this answer.
pub(crate) async fn until(wanted: &str, ask: impl Fn() -> String) {
    let waiting = tokio::time::timeout(PATIENCE, async {
        while ask() != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waiting.await.is_ok(), "it is {} and not {wanted}", ask());
}

/// The default, but that this machine may be reached.
pub(crate) fn policy() -> Policy {
    Policy { egress: Egress { private: true, ..Egress::default() }, ..Policy::default() }
}

pub(crate) fn configuration(settings: serde_json::Value) -> Configuration {
    Configuration::of(&DECLARATION, settings.as_object().expect("an object").clone())
}

pub(crate) async fn open(
    settings: serde_json::Value,
    policy: Policy,
) -> Result<Arc<dyn DataSource>, OpenError> {
    let connector = PostgresConnector::new(policy).expect("threads start");
    connector.open(&configuration(settings), &Party::new("a")).await
}

pub(crate) fn query(sql: impl Into<String>, limits: Limits) -> Query {
    Query::new(sql, limits)
}

pub(crate) async fn all(mut rows: Rows) -> Result<(Vec<RowBatch>, Option<Truncated>), QueryError> {
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch().await? {
        batches.push(batch);
    }
    Ok((batches, rows.ending().expect("a stream that ended says how").truncated))
}

pub(crate) async fn try_run(source: &dyn DataSource, sql: &str) -> Result<Vec<RowBatch>, QueryError> {
    Ok(all(source.query(query(sql, LIMITS)).await?).await?.0)
}

/// The cells of all rows, as text in the way of `Debug`.
pub(crate) async fn told(source: &dyn DataSource, sql: &str) -> Vec<Vec<String>> {
    let batches = try_run(source, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let shown = |value: Value<'_>| match value {
        Value::Text(text) => text.to_owned(),
        other => format!("{other:?}"),
    };
    batches
        .iter()
        .flat_map(|batch| batch.rows().map(|row| row.map(shown).collect()).collect::<Vec<_>>())
        .collect()
}
