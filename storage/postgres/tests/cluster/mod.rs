//! A database of its own for each test, in the cluster that `tests/postgres/run` started.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

/// One of PostgreSQL's programs.
fn program(name: &str) -> String {
    match std::env::var("SEQUEL_TEST_POSTGRES_BIN") {
        Ok(folder) => format!("{folder}/{name}"),
        Err(_) => name.to_owned(),
    }
}

/// Runs SQL with `psql`, which has to succeed; what it prints, without decoration.
pub(crate) fn psql(url: &str, sql: &str) -> String {
    let ran = Command::new(program("psql"))
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

/// A child process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command as a user that PostgreSQL and its pooler do not refuse.
fn unprivileged(folder: &Path, program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let given = Command::new("chown").arg("-R").arg("nobody").arg(folder).status();
    assert!(given.expect("chown can be started").success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=65534", "--clear-groups", program]);
    command
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A cluster of a test's own, which it may kill.
pub(crate) struct OwnCluster {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Running>,
}

impl OwnCluster {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sequel-pg").tempdir_in("/tmp").unwrap();
        let ran = unprivileged(folder.path(), &program("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(folder.path().join("data"))
            .env("LC_ALL", "C")
            .current_dir(folder.path())
            .output()
            .expect("initdb can be started");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut cluster = Self { folder, port: free_port(), server: None };
        cluster.start_again();
        cluster
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(&self.url(), None).unwrap()
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// As a crash would: without a word to anybody.
    pub(crate) fn kill(&mut self) {
        // The leader alone: the others notice and end.
        drop(self.server.take());
        let pid_file = self.folder.path().join("data/postmaster.pid");
        let _ = std::fs::remove_file(pid_file);
    }

    pub(crate) fn start_again(&mut self) {
        let data = self.folder.path().join("data");
        for _ in 0..100 {
            let server = unprivileged(self.folder.path(), &program("postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k"])
                .arg(self.folder.path())
                .current_dir(self.folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("postgres can be started");
            let mut server = Running(server);
            for _ in 0..300 {
                if server.0.try_wait().unwrap().is_some() {
                    // Those of the former server have not all ended yet.
                    break;
                }
                let found = Command::new(program("psql"))
                    .args(["-X", "-q", "-A", "-t", "-d", &self.url(), "-c", "SHOW data_directory"])
                    .output()
                    .expect("psql can be started");
                if found.status.success() {
                    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), data.to_str().unwrap());
                    self.server = Some(server);
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the test's own PostgreSQL does not start");
    }
}

/// pgbouncer in transaction mode.
pub(crate) struct Pooler {
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
    _process: Running,
}

impl Pooler {
    /// Before the server of this URL.
    pub(crate) fn before(url: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sequel-pooler").tempdir_in("/tmp").unwrap();
        let server = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
        let (host, its_port) = server.split_once(':').unwrap();
        let port = free_port();
        let config = format!(
            "[databases]\n* = host={host} port={its_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
        )
        .replace("* = host", "* = user=postgres host");
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("pgbouncer is not installed: tests/run installs it (Debian: pgbouncer)");
        let process = unprivileged(folder.path(), program)
            .arg(&file)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer can be started");
        let process = Running(process);
        for _ in 0..300 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Self { port, _folder: folder, _process: process };
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("pgbouncer does not start");
    }
}
