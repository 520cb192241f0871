//! The reverse proxies of config/reverse-proxy, with the proxies themselves and the committed files: only names, ports
//! and certificates are replaced by the test's.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::events::Events;
use crate::server::{ENDLESS, Home, Running, TestServer, rows};
use crate::tls::{Pair, Secure, connection};
use crate::waiting::{Lines, PATIENCE, poll, promptly};
use crate::wire::{Answer, Wire};

/// Client addresses that differ: all of 127.0.0.0/8 is this machine.
const ADA: &str = "127.0.0.2";
const EVE: &str = "127.0.0.3";

#[derive(Clone, Copy)]
enum Kind {
    Nginx,
    Caddy,
}

/// A proxy with TLS before a server.
struct Proxied {
    home: Home,
    server: TestServer,
    certificate: rustls::pki_types::CertificateDer<'static>,
    port: u16,
    key: String,
    log: Arc<Lines>,
    _proxy: Running,
    _port: Socket,
}

impl Proxied {
    fn start(kind: Kind) -> Self {
        let home = Home::with("sources.connections_per_source = 1\nquery.concurrent_per_key = 4");
        let pair = Pair::of(&home);
        let certificate = pair.renew(90);
        let (port, kept) = free_port();
        let url = format!("https://localhost:{port}");
        let server = home.serve_with(&[
            ("SEQUEL__SERVER__PUBLIC_URL", &url),
            ("SEQUEL__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("SEQUEL__AUTH__FAILURES_PER_MINUTE", "5"),
        ]);
        let file = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
        server.org("acme");
        server.source("acme", "facts", &file);
        let key = server.key("acme", "k");
        let mut command = match kind {
            Kind::Nginx => nginx(home.path(), &pair, port, server.addr),
            Kind::Caddy => caddy(home.path(), &pair, port, server.addr),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.spawn();
        let mut proxy =
            Running(started.unwrap_or_else(|error| panic!("{name} has to be installed: {error}")));
        let log = Lines::gather(proxy.0.stderr.take().unwrap());
        poll(PATIENCE, "the proxy listens", || {
            let ended = proxy.0.try_wait().unwrap();
            assert!(ended.is_none(), "{name}: {}", log.so_far());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { home, server, certificate, port, key, log, _proxy: proxy, _port: kept }
    }

    /// A connection to the proxy from an address of this machine.
    fn from(&self, address: &str) -> Secure {
        let mut stream = Wire::tcp_from(address, SocketAddr::from(([127, 0, 0, 1], self.port))).into_inner();
        let mut secured = connection(&self.certificate, &[b"http/1.1"]);
        while secured.is_handshaking() {
            secured.complete_io(&mut stream).unwrap();
        }
        Wire::over(rustls::StreamOwned::new(secured, stream))
    }

    fn send(&self, wire: &mut Secure, key: &str, more: &[(&str, &str)], body: &Value) {
        let (bearer, host) = (format!("Bearer {key}"), format!("localhost:{}", self.port));
        let mut headers = vec![("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
        if !more.iter().any(|(name, _)| *name == "Host") {
            headers.push(("Host", &host));
        }
        headers.extend(more);
        wire.request("POST", "/mcp", &headers, body.to_string().as_bytes());
    }

    fn ask(&self, from: &str, key: &str, more: &[(&str, &str)]) -> Answer {
        let mut wire = self.from(from);
        self.send(&mut wire, key, more, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }));
        wire.answer()
    }

    fn query(&self, sql: &str, meta: Value) -> Secure {
        let mut wire = self.from(ADA);
        let params = json!({ "name": "run_query", "arguments": { "sql": sql }, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.send(&mut wire, &self.key, &[("Accept", "application/json, text/event-stream")], &body);
        wire
    }
}

impl Drop for Proxied {
    /// What a test sees of a proxy's trouble is an answer that ends; why is in the logs.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}\nthe server's:\n{}", self.log.so_far(), self.server.log());
        }
    }
}

/// A port for a proxy, which takes no port 0. It is kept until the socket is dropped: a proxy binds beside a socket that
/// does not listen, and the system gives the port to nobody who asks for any.
fn free_port() -> (u16, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (port, socket)
}

/// The committed file with each of these replaced, which has to be in it.
fn example(name: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/reverse-proxy").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    replaced.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {name}");
        text.replace(from, to)
    })
}

fn nginx(folder: &Path, pair: &Pair, port: u16, server: SocketAddr) -> Command {
    let site = example(
        "nginx.conf",
        &[
            ("127.0.0.1:7700", &server.to_string()),
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("server_name sequel.example.com", "server_name localhost"),
            ("/etc/letsencrypt/live/sequel.example.com/fullchain.pem", pair.certificate.to_str().unwrap()),
            ("/etc/letsencrypt/live/sequel.example.com/privkey.pem", pair.private_key.to_str().unwrap()),
        ],
    );
    std::fs::write(folder.join("site.conf"), site).unwrap();
    let at = folder.display();
    // What Debian's nginx.conf says around it, in this test's folder; and one process, which ends when it is killed,
    // where a killed master would leave its workers behind.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/{name};\n"))
        .concat();
    let around = format!(
        "{user}\ndaemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log stderr warn;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}include {at}/site.conf;\n}}\n"
    );
    std::fs::write(folder.join("nginx.conf"), around).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command
}

fn caddy(folder: &Path, pair: &Pair, port: u16, server: SocketAddr) -> Command {
    let (certificate, key) = (pair.certificate.display(), pair.private_key.display());
    let site = format!("https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}\n");
    let text = example(
        "Caddyfile",
        &[("127.0.0.1:7700", &server.to_string()), ("\nsequel.example.com {\n", &format!("\n{site}"))],
    );
    // Nothing outside this test: no administration, no port 80, no certificates of its own.
    let around = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}}\n{text}");
    std::fs::write(folder.join("Caddyfile"), around).unwrap();
    let mut command = Command::new(program("caddy"));
    command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(folder.join("Caddyfile"));
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

/// Debian keeps some of them where only root's PATH looks.
fn program(name: &str) -> String {
    let paths = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    paths
        .iter()
        .map(|path| format!("{path}/{name}"))
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| name.to_owned())
}

fn a_query_works_and_names_are_checked(kind: Kind) {
    let proxied = Proxied::start(kind);
    let answer = proxied.query("SELECT x FROM t", json!({})).answer();
    assert_eq!(*rows(&answer.json()["result"]), json!([[1]]));
    // Sequel's own checks hold behind it: what the client wrote arrives as it was written.
    for foreign in [("Origin", "https://evil.test"), ("Origin", "null")] {
        assert_eq!(proxied.ask(ADA, &proxied.key, &[foreign]).status, 403, "{foreign:?}");
    }
    let evil = proxied.ask(ADA, &proxied.key, &[("Host", "evil.test")]);
    assert!(evil.status == 403 || !evil.text().contains("tools"), "{} {}", evil.status, evil.text());
    let own = format!("https://localhost:{}", proxied.port);
    assert_eq!(proxied.ask(ADA, &proxied.key, &[("Origin", &own)]).status, 200);
    let refused = proxied.ask(ADA, "sql_nothing", &[]);
    assert!(refused.header("www-authenticate").unwrap().contains(&own), "{refused:?}");
}

fn events_go_out_as_they_come(kind: Kind) {
    let proxied = Proxied::start(kind);
    let mut wire = proxied.query(ENDLESS, json!({ "progressToken": "p" }));
    let head = wire.head().unwrap();
    let mut events = Events::relayed(wire, &head);
    // The query never ends: this event has not waited for it.
    assert_eq!(events.next().unwrap()["method"], "notifications/progress");
}

fn a_client_that_goes_away_takes_its_query_with_it(kind: Kind) {
    let proxied = Proxied::start(kind);
    let mut endless = proxied.query(ENDLESS, json!({}));
    endless.head().expect("the head of a streamed answer");
    proxied.server.works();
    // The source has one connection: this waits until the query has really ended.
    let mut next = proxied.query("SELECT 1", json!({}));
    drop(endless.into_inner().sock);
    let answer = promptly(|| next.answer());
    assert_eq!(*rows(&answer.json()["result"]), json!([[1]]));
}

fn clients_are_told_apart_by_the_proxys_word_alone(kind: Kind) {
    let proxied = Proxied::start(kind);
    // Whatever Eve claims to be, it is Eve who is told to wait, also when she comes by another way.
    let wrong =
        |from: &str, claim: &str| proxied.ask(from, "sql_nothing", &[("X-Forwarded-For", claim)]).status;
    let unknown = unknown_key();
    let tried = |from: &str, claim: &str| proxied.ask(from, &unknown, &[("X-Forwarded-For", claim)]).status;
    assert_eq!(wrong(EVE, "198.51.100.1"), 401);
    let answers: Vec<_> = (0..12).map(|i| tried(EVE, &format!("198.51.100.{i}"))).collect();
    assert_eq!((answers[0], answers[11]), (401, 429), "{answers:?}");
    assert_eq!(tried(ADA, EVE), 401, "Ada has done nothing, and cannot be made to be Eve");
    // Past the proxy nobody's word counts: a client that reaches the port itself is who it is.
    let direct = |claim: &str| {
        let mut wire = Wire::tcp_from("127.0.0.4", proxied.server.addr);
        let bearer = format!("Bearer {unknown}");
        wire.request("POST", "/mcp", &[("Authorization", &bearer), ("X-Forwarded-For", claim)], b"{}");
        wire.answer().status
    };
    let answers: Vec<_> = (0..12).map(|i| direct(&format!("203.0.113.{i}"))).collect();
    assert_eq!((answers[0], answers[11]), (401, 429), "{answers:?}");
    // A key that holds gets through meanwhile.
    assert_eq!(proxied.ask(EVE, &proxied.key, &[]).status, 200);
    assert!(proxied.home.path().exists());
}

/// Of the right form, and nobody's.
fn unknown_key() -> String {
    use sequel::credential::{KeyId, OrgId, PlainKey};
    let rng = sequel::context::Rng::system();
    let key = PlainKey::mint(KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap(), &rng).unwrap();
    key.reveal().to_owned()
}

#[test]
fn through_nginx_a_query_works_and_names_are_checked() {
    a_query_works_and_names_are_checked(Kind::Nginx);
}

#[test]
fn through_caddy_a_query_works_and_names_are_checked() {
    a_query_works_and_names_are_checked(Kind::Caddy);
}

#[test]
fn through_nginx_events_go_out_as_they_come() {
    events_go_out_as_they_come(Kind::Nginx);
}

#[test]
fn through_caddy_events_go_out_as_they_come() {
    events_go_out_as_they_come(Kind::Caddy);
}

#[test]
fn through_nginx_a_client_that_goes_away_takes_its_query_with_it() {
    a_client_that_goes_away_takes_its_query_with_it(Kind::Nginx);
}

#[test]
fn through_caddy_a_client_that_goes_away_takes_its_query_with_it() {
    a_client_that_goes_away_takes_its_query_with_it(Kind::Caddy);
}

#[test]
fn through_nginx_clients_are_told_apart_by_the_proxys_word_alone() {
    clients_are_told_apart_by_the_proxys_word_alone(Kind::Nginx);
}

#[test]
fn through_caddy_clients_are_told_apart_by_the_proxys_word_alone() {
    clients_are_told_apart_by_the_proxys_word_alone(Kind::Caddy);
}
