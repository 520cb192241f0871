//! A home for one test: a folder with configuration, data and databases, the program on it as a server
//! or for one command, and JSON-RPC calls to it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use sequel::config::{Config, Secret};
use sequel_store::{Holder, Store};
use serde_json::{Value, json};

use crate::backing::Backing;
use crate::waiting::{Lines, PATIENCE, poll};
use crate::wire::{Answer, Head, Wire};

/// Works until it is stopped.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A folder of its own, removed at the end.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    data: PathBuf,
    store: Backing,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A process that does not outlive its test, however that ends.
pub(crate) struct Running(pub(crate) Child);

/// A running server.
pub(crate) struct TestServer {
    child: Running,
    pub(crate) addr: SocketAddr,
    socket: PathBuf,
    log: Arc<Lines>,
    /// What the demo printed.
    pub(crate) printed: Value,
}

/// A call that is under way.
pub(crate) struct Pending {
    pub(crate) wire: Wire<TcpStream>,
    pub(crate) head: Head,
}

impl Home {
    /// With one allowed folder for databases, and more lines of configuration.
    pub(crate) fn with(config: &str) -> Self {
        Self::with_data_in("data", config)
    }

    /// The same, and with the data folder at this place of its folder.
    pub(crate) fn with_data_in(place: &str, config: &str) -> Self {
        Self::on(Backing::asked_for(), place, config)
    }

    /// For what is about SQLite's files: on SQLite, whichever backend the other tests run on.
    pub(crate) fn on_sqlite(config: &str) -> Self {
        Self::on(Backing::Sqlite, "data", config)
    }

    fn on(store: Backing, place: &str, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sequel-it").tempdir_in("/tmp").unwrap();
        let home = Self { data: folder.path().join(place), folder, store };
        std::fs::create_dir_all(home.data()).unwrap();
        std::fs::create_dir(home.databases()).unwrap();
        let config = format!("sources.sqlite.folders = [{:?}]\n{config}", home.databases());
        std::fs::write(home.config(), config).unwrap();
        home
    }

    pub(crate) fn new() -> Self {
        Self::with("")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub(crate) fn databases(&self) -> PathBuf {
        self.path().join("databases")
    }

    fn config(&self) -> PathBuf {
        self.path().join("sequel.toml")
    }

    /// Its store, opened in the test's own process. Blocks.
    pub(crate) fn open_store(&self) -> Arc<dyn Store> {
        let mut config = Config { data_dir: self.data(), ..Config::default() };
        if let Some(url) = self.store.url() {
            config.storage.url = Secret::new(url);
        }
        sequel::backends::open_store(&config, Holder::command()).unwrap()
    }

    /// Makes a database of this SQL.
    pub(crate) fn database(&self, name: &str, sql: &str) -> PathBuf {
        let path = self.databases().join(name);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    /// The program with these arguments, away from the environment of whoever runs the test.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sequel"));
        command.args(args).arg("--data-dir").arg(self.data()).arg("--config").arg(self.config());
        command.env_clear().env("HOME", self.path()).current_dir(self.path());
        if let Some(url) = self.store.url() {
            command.env("SEQUEL__STORAGE__URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs one command to its end.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Runs one command with `--json` that has to succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.cli(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        serde_json::from_str(&ran.out).expect(&ran.out)
    }

    pub(crate) fn serve(&self) -> TestServer {
        self.serve_with(&[])
    }

    /// Starts `serve` on a free port with these variables in its environment.
    pub(crate) fn serve_with(&self, env: &[(&str, &str)]) -> TestServer {
        let mut command = self.command(&["serve", "--port", "0"]);
        command.envs(env.iter().copied());
        self.start(command)
    }

    /// Starts a command that serves.
    pub(crate) fn start(&self, mut command: Command) -> TestServer {
        let mut child = Running(command.stdout(Stdio::null()).spawn().unwrap());
        let log = Lines::gather(child.0.stderr.take().unwrap());
        // As text or as JSON.
        let address = |text: &str| -> Option<SocketAddr> {
            let (_, rest) = text.split_once(" listen=").or_else(|| text.split_once("\"listen\":\""))?;
            let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c))?;
            rest[..end].parse().ok()
        };
        let log_text = log.until(|text| address(text).is_some());
        let addr = address(&log_text.unwrap_or_else(|text| panic!("it did not start: {text}"))).unwrap();
        TestServer { child, addr, socket: self.data().join("admin.sock"), log, printed: Value::Null }
    }

    /// Starts a server whose log nobody reads any more once it listens. What is handed out is the end where they stopped.
    pub(crate) fn start_unread(&self, mut command: Command) -> (TestServer, BufReader<std::io::PipeReader>) {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Running(command.stdout(Stdio::null()).stderr(writer).spawn().unwrap());
        // The writing end that stayed here would keep the pipe open.
        drop(command);
        let mut reader = BufReader::new(reader);
        let addr = loop {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).unwrap() > 0, "it did not start");
            if let Some((_, rest)) = line.split_once(" listen=") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        let log = Lines::gather(std::io::empty());
        let socket = self.data().join("admin.sock");
        (TestServer { child, addr, socket, log, printed: Value::Null }, reader)
    }

    /// Starts the demo on a free port.
    pub(crate) fn demo(&self) -> TestServer {
        let mut child = Running(self.command(&["demo", "--port", "0", "--json"]).spawn().unwrap());
        let log = Lines::gather(child.0.stderr.take().unwrap());
        let mut line = String::new();
        let mut out = BufReader::new(child.0.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let printed: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line} {:?}", log.until(|_| false)));
        let url = printed["mcp_url"].as_str().unwrap();
        let addr = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
        TestServer { child, addr, socket: self.data().join("admin.sock"), log, printed }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    /// The command failed and said why in one line, without a panic or a driver's stack.
    #[track_caller]
    pub(crate) fn refused(&self, with: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("Error: ") && self.err.trim_end().ends_with(['.', '?']), "{self:?}");
        assert!(self.err.contains(with), "{with:?} is not in {self:?}");
        for word in ["panick", "backtrace", "unwrap", "RUST_", "src/"] {
            assert!(!self.err.contains(word), "{self:?}");
        }
    }
}

impl TestServer {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    /// Where the administration is served.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Pulls the plug.
    pub(crate) fn kill(&mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        poll(PATIENCE, "the server ends", || {
            status = self.child.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Stops it properly.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{status} {}", self.log());
    }

    /// All lines of its log; complete once it has ended.
    pub(crate) fn log(&mut self) -> String {
        match self.child.0.try_wait().unwrap() {
            Some(_) => self.log.until(|_| false).unwrap_err(),
            None => self.log.so_far(),
        }
    }

    /// Waits for a line of the log that contains this.
    pub(crate) fn logs(&self, what: &str) -> String {
        self.log.until(|text| text.contains(what)).unwrap_or_else(|text| panic!("{what} is not in {text}"))
    }

    /// The files below a folder that it holds open.
    pub(crate) fn files_below(&self, folder: &Path) -> BTreeSet<PathBuf> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.0.id())).unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(folder)).collect()
    }

    /// The memory that it has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until it has worked for a tenth of a second, so that what was asked of it certainly runs.
    pub(crate) fn works(&self) {
        let ticks = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).unwrap();
            // proc(5): after the name in brackets, user and system time are the 12th and 13th.
            let (_, rest) = stat.rsplit_once(") ").unwrap();
            let fields: Vec<&str> = rest.split(' ').collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        };
        let before = ticks();
        poll(PATIENCE, "the server works", || ticks() >= before + 10);
    }

    // The administration.

    /// A request to the admin API, below its base.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> Answer {
        let mut wire = Wire::unix(&self.socket);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("Content-Type", "application/json"), ("Connection", "close")];
        wire.request(method, &format!("/api/v1{path}"), &headers, &body);
        wire.answer()
    }

    /// An admin request that has to succeed.
    #[track_caller]
    pub(crate) fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.admin(method, path, &body);
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    pub(crate) fn org(&self, name: &str) {
        self.done("POST", "/orgs", json!({ "name": name }));
    }

    pub(crate) fn source(&self, org: &str, name: &str, path: &Path) {
        let body = json!({ "name": name, "kind": "sqlite", "settings": { "path": path } });
        self.done("POST", &format!("/orgs/{org}/sources"), body);
    }

    /// A new key's secret.
    pub(crate) fn key(&self, org: &str, name: &str) -> String {
        let made = self.done("POST", &format!("/orgs/{org}/keys"), json!({ "name": name }));
        made["key"].as_str().unwrap().to_owned()
    }

    pub(crate) fn delete_key(&self, org: &str, name: &str) {
        self.done("DELETE", &format!("/orgs/{org}/keys/{name}"), Value::Null);
    }

    pub(crate) fn switch_key(&self, org: &str, name: &str, enabled: bool) {
        self.done("PATCH", &format!("/orgs/{org}/keys/{name}"), json!({ "enabled": enabled }));
    }

    // Clients.

    pub(crate) fn connect(&self) -> Wire<TcpStream> {
        Wire::tcp(self.addr)
    }

    /// One request on a connection of its own.
    pub(crate) fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut wire = self.connect();
        wire.request(method, path, headers, body);
        if method == "HEAD" {
            // The length that it names is the one that GET would have.
            let head = wire.head().expect("an answer before the connection ends");
            return Answer { status: head.status, headers: head.headers, body: Vec::new() };
        }
        wire.answer()
    }

    /// A POST to `/mcp` with these headers alone.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.http("POST", "/mcp", headers, body)
    }

    /// A legacy request with a key.
    pub(crate) fn rpc(&self, key: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let bearer = format!("Bearer {key}");
        self.post(&[("Authorization", &bearer), ("MCP-Protocol-Version", "2025-11-25")], body.as_bytes())
    }

    /// The result of `run_query` with these arguments.
    #[track_caller]
    pub(crate) fn call(&self, key: &str, arguments: Value) -> Value {
        let answer = self.rpc(key, "tools/call", json!({ "name": "run_query", "arguments": arguments }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        assert!(json["result"].is_object(), "{json}");
        json["result"].clone()
    }

    /// The result of `run_query` on the only source.
    #[track_caller]
    pub(crate) fn query(&self, key: &str, sql: &str) -> Value {
        self.call(key, json!({ "sql": sql }))
    }

    /// The status of a small request with a key.
    pub(crate) fn status(&self, key: &str) -> u16 {
        self.rpc(key, "tools/list", json!({})).status
    }

    /// Begins a legacy `run_query`; it is registered when this returns, since its head has come.
    pub(crate) fn begin(&self, key: &str, id: &Value, sql: &str) -> Pending {
        let params = json!({ "name": "run_query", "arguments": { "sql": sql } });
        let body =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string();
        let mut wire = self.connect();
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
        wire.request("POST", "/mcp", &headers, body.as_bytes());
        let head = wire.head().expect("the head of a streamed answer");
        Pending { wire, head }
    }
}

impl Pending {
    /// The result, once it comes.
    pub(crate) fn result(self) -> Value {
        let Self { mut wire, head } = self;
        let answer = wire.rest(head);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["result"].clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; nothing is left behind either way.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a model reads of a failed call.
#[track_caller]
pub(crate) fn failure(result: &Value) -> String {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result.get("structuredContent").is_none(), "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The rows of a call that succeeded.
#[track_caller]
pub(crate) fn rows(result: &Value) -> &Value {
    assert_eq!(result["isError"], false, "{result}");
    &result["structuredContent"]["rows"]
}
