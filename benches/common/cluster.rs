//! PostgreSQL beside the benchmarks: the server of `tests/postgres/run`, another one of its kind, and databases in them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use sequel_connector::Settings;

/// Names the server to measure, by the URL of its database `postgres`.
pub(crate) const CLUSTER: &str = "SEQUEL_TEST_POSTGRES";

/// The URL of the server to measure.
pub(crate) fn cluster() -> anyhow::Result<String> {
    std::env::var(CLUSTER).with_context(|| format!("{CLUSTER} names no cluster"))
}

/// Runs SQL with `psql`; what it prints, without decoration.
pub(crate) fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let program =
        std::env::var("SEQUEL_TEST_POSTGRES_BIN").map_or("psql".to_owned(), |bin| format!("{bin}/psql"));
    let ran = Command::new(program).args(["-X", "-q", "-A", "-t", "-d", url, "-c", sql]).output()?;
    ensure!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(String::from_utf8(ran.stdout)?.trim().to_owned())
}

/// A further server, which ends when this is dropped.
pub(crate) struct Another {
    child: Child,
    /// As [`CLUSTER`] would name it.
    pub(crate) url: String,
}

impl Another {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/run");
        // The server ends with its command, and that with this pipe.
        let mut child = Command::new(script)
            .args(["sh", "-c", &format!("echo ${CLUSTER}; cat >/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("another PostgreSQL cannot be started")?;
        let mut url = String::new();
        let told = child.stdout.take().context("a pipe that was asked for")?;
        BufReader::new(told).read_line(&mut url)?;
        ensure!(url.starts_with("postgres://"), "another PostgreSQL did not start");
        Ok(Self { child, url: url.trim_end().to_owned() })
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A database with a role that may read it and nothing else.
pub(crate) struct Database {
    cluster: String,
    name: String,
}

impl Database {
    /// In the server of this URL, named by this word and this process.
    pub(crate) fn make(cluster: &str, word: &str, sql: &[&str]) -> anyhow::Result<Self> {
        let name = format!("bench_{word}_{}", std::process::id());
        psql(cluster, &format!("CREATE DATABASE {name}"))?;
        let database = Self { cluster: cluster.to_owned(), name };
        let role = &database.name;
        psql(cluster, &format!("CREATE ROLE {role} LOGIN"))?;
        let url = database.address("postgres")?;
        for sql in sql {
            psql(&url, sql)?;
        }
        psql(&url, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))?;
        Ok(database)
    }

    fn address(&self, user: &str) -> anyhow::Result<String> {
        let mut url = url::Url::parse(&self.cluster)?;
        url.set_path(&self.name);
        url.set_username(user).ok().context("a URL without a host")?;
        Ok(url.into())
    }

    /// Its URL, as the role that only reads.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        self.address(&self.name)
    }

    /// What a data source on it is made of. The server of the tests has no TLS.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let url = url::Url::parse(&self.cluster)?;
        let host = url.host_str().context("a URL without a host")?;
        let text = |name: &str, value: &str| (name.to_owned(), value.into());
        Ok(Settings::from_iter([
            text("host", host),
            ("port".to_owned(), url.port().unwrap_or(5432).into()),
            text("database", &self.name),
            text("user", &self.name),
            text("tls", "disable"),
        ]))
    }

    /// The process that all of its server's processes come from.
    pub(crate) fn postmaster(&self) -> anyhow::Result<u32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
        let child = psql(&self.cluster, sql)?;
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat"))
            .context("the PostgreSQL to measure runs on another machine")?;
        // The name in parentheses may hold spaces; behind it come the state and the parent.
        let after = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        Ok(after.context("a process without a parent")?.parse()?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = &self.name;
        let _ = psql(&self.cluster, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let _ = psql(&self.cluster, &format!("DROP ROLE IF EXISTS {name}"));
    }
}
