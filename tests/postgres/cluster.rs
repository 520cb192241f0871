//! A server of a test's own, for what must not happen to the others': to be killed, restarted, or set up differently.
//!
//! Shared by the tests of whatever talks to PostgreSQL; a module that takes it in brings its own `psql`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;

/// Ten seconds each and more than enough; a server that has not started by then never does.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster; dropping it stops its server and removes it.
pub(crate) struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    port: u16,
}

/// Where the server's programs are.
fn bin() -> PathBuf {
    std::env::var_os("SEQUEL_TEST_POSTGRES_BIN").map(PathBuf::from).unwrap_or_else(|| {
        panic!("there is no PostgreSQL for this test: run it with tests/postgres/run, which finds one")
    })
}

/// A command as an ordinary user, since neither PostgreSQL nor pgbouncer runs as root.
pub(crate) fn as_nobody(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

/// A folder of that user's.
pub(crate) fn folder_of_nobody() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    give_to_nobody(folder.path());
    folder
}

/// Gives a file to that user.
pub(crate) fn give_to_nobody(path: &Path) {
    if rustix::process::getuid().is_root() {
        // `nobody`, wherever there is one.
        chown(path, Some(65_534), Some(65_534)).expect("a file may be given away");
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn done(mut command: Command) -> String {
    let ran = command.stdin(Stdio::null()).output().expect("a program that starts");
    let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {told}");
    told
}

impl Cluster {
    /// A running server, with these lines in its settings, that lets `postgres` in without a password unless `access`
    /// (lines of pg_hba.conf) says otherwise.
    pub(crate) fn start(settings: &str, access: Option<&str>) -> Self {
        let cluster = Self { folder: folder_of_nobody(), bin: bin(), port: free_port() };
        let mut initdb = as_nobody(&cluster.bin.join("initdb"));
        initdb.env("LC_ALL", "C").arg("--pgdata").arg(cluster.data());
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--wal-segsize=1",
        ]);
        done(initdb);
        let own = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n{settings}\n",
            cluster.port,
            cluster.folder.path().display()
        );
        cluster.append("postgresql.conf", &own);
        if let Some(access) = access {
            fs::write(cluster.data().join("pg_hba.conf"), access).expect("a file of the cluster");
        }
        cluster.control(&["start", "-w", "-t", "60", "-l", "/dev/null"]);
        let found = super::psql(&cluster.socket_url(), "SHOW data_directory");
        assert_eq!(Path::new(&found), cluster.data(), "another server answers on this socket");
        cluster
    }

    /// A folder for what stands beside its data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Adds to one of its files.
    pub(crate) fn append(&self, file: &str, lines: &str) {
        let path = self.data().join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, old + lines).expect("a file of the cluster");
    }

    /// Puts a file into its folder that only the server's user may read.
    pub(crate) fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file of the cluster");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file of the cluster");
        give_to_nobody(&path);
        path
    }

    /// `pg_ctl`, with what it is to do.
    pub(crate) fn control(&self, what: &[&str]) {
        self.control_with(&[], what);
    }

    /// The same, with these variables for whatever it starts.
    pub(crate) fn control_with(&self, variables: &[(&str, &Path)], what: &[&str]) {
        assert!(self.is_done(variables, what), "pg_ctl {what:?}");
    }

    fn is_done(&self, variables: &[(&str, &Path)], what: &[&str]) -> bool {
        let mut command = as_nobody(&self.bin.join("pg_ctl"));
        command.arg("--pgdata").arg(self.data()).args(what).envs(variables.iter().copied());
        // Not `done`: the server would keep a pipe open.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.expect("pg_ctl starts").success()
    }

    /// Ends it at once, as a kill does: what was not written is lost.
    pub(crate) fn kill(&self) {
        self.control(&["stop", "-m", "immediate", "-w"]);
    }

    /// The process that all others of the server come from.
    pub(crate) fn postmaster(&self) -> Pid {
        let told = fs::read_to_string(self.data().join("postmaster.pid")).expect("a server that runs");
        told.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw).expect("a process")
    }

    /// Starts it again. What a killed one left behind may take a moment to go.
    pub(crate) fn start_again(&self) {
        for _ in 0..TRIES {
            if self.is_done(&[], &["start", "-w", "-t", "60", "-l", "/dev/null"]) {
                return;
            }
            sleep(PAUSE);
        }
        panic!("the server does not start again");
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database `postgres`, over TCP.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The same over the socket, for `psql` alone.
    pub(crate) fn socket_url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = as_nobody(&self.bin.join("pg_ctl"));
        stop.arg("--pgdata").arg(self.data()).args(["stop", "-m", "immediate", "-w"]);
        // It may be stopped already.
        let _ = stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// pgbouncer before the server at a port of this host; dropping it ends it.
pub(crate) struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// In transaction mode, for the superuser.
    pub(crate) fn before(server: u16) -> Self {
        Self::in_mode(server, "transaction", "postgres")
    }

    /// In one of its modes, for one user.
    pub(crate) fn in_mode(server: u16, mode: &str, user: &str) -> Self {
        let (folder, port) = (folder_of_nobody(), free_port());
        let users = folder.path().join("users");
        fs::write(&users, format!("\"{user}\" \"\"\n")).expect("a file");
        let settings = folder.path().join("pgbouncer.ini");
        // Fewer connections to the server than there are to the pooler, so that they change hands all the time.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 3\n\
             max_client_conn = 200\n",
            users.display()
        );
        fs::write(&settings, text).expect("a file");
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .expect("pgbouncer is installed: tests/run does it (Debian: pgbouncer)");
        let mut command = as_nobody(program);
        command.arg("--quiet").arg(&settings);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pooler = Self { process: process.expect("pgbouncer starts"), port, _folder: folder };
        for _ in 0..TRIES {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            sleep(PAUSE);
        }
        panic!("pgbouncer does not listen");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
