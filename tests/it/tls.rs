//! Sequel's own TLS, with certificates made for the test: what clients see, what a reload changes and what it leaves.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Signal, kill_process};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sequel::tls::provider;
use serde_json::{Value, json};

use crate::server::{ENDLESS, Home, TestServer, rows, run};
use crate::waiting::{PATIENCE, poll, promptly};
use crate::wire::{Answer, Wire};

pub(crate) type Secure = Wire<StreamOwned<ClientConnection, TcpStream>>;

/// Where a test keeps the certificate that its server serves.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl Pair {
    pub(crate) fn of(home: &Home) -> Self {
        Self { certificate: home.path().join("cert.pem"), private_key: home.path().join("key.pem") }
    }

    /// Writes a fresh certificate that is valid for these days from now, by renaming, as certificate tools do.
    pub(crate) fn renew(&self, valid_days: i64) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let now = std::time::Duration::from_millis(sequel::context::Clock::system().now().0.unsigned_abs());
        let at = |days: i64| {
            let seconds = i64::try_from(now.as_secs()).unwrap() + days * 86_400;
            let day = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
        };
        params.not_before = at(valid_days.min(0) - 30);
        params.not_after = at(valid_days);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        for (path, text) in [(&self.private_key, key.serialize_pem()), (&self.certificate, made.pem())] {
            let fresh = path.with_extension("fresh");
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(&fresh, path).unwrap();
        }
        made.der().clone()
    }

    pub(crate) fn serve(&self, home: &Home, more: &[(&str, &str)]) -> TestServer {
        let (certificate, key) = (self.certificate.to_str().unwrap(), self.private_key.to_str().unwrap());
        let env = [("SEQUEL__TLS__CERTIFICATE", certificate), ("SEQUEL__TLS__PRIVATE_KEY", key)];
        home.serve_with(&[&env[..], more].concat())
    }
}

/// A handshake that trusts this certificate alone.
pub(crate) fn connection(trusted: &CertificateDer<'static>, alpn: &[&[u8]]) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn connect(server: &TestServer, trusted: &CertificateDer<'static>) -> std::io::Result<Secure> {
    let mut stream = TcpStream::connect(server.addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut connection = connection(trusted, &[b"h2", b"http/1.1"]);
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(Wire::over(StreamOwned::new(connection, stream)))
}

fn ask(wire: &mut Secure, server: &TestServer, key: &str, method: &str, params: Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let (bearer, host) = (format!("Bearer {key}"), format!("localhost:{}", server.addr.port()));
    let headers =
        [("Authorization", bearer.as_str()), ("Host", &host), ("MCP-Protocol-Version", "2025-11-25")];
    wire.request("POST", "/mcp", &headers, body.as_bytes());
    wire.answer()
}

fn query(sql: &str) -> Value {
    json!({ "name": "run_query", "arguments": { "sql": sql } })
}

#[test]
fn a_client_that_trusts_the_certificate_is_served_over_https() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let trusted = pair.renew(90);
    let file = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let mut server = pair.serve(&home, &[]);
    server.org("acme");
    server.source("acme", "facts", &file);
    let key = server.key("acme", "k");
    let mut wire = connect(&server, &trusted).unwrap();
    // Two requests on one connection.
    assert_eq!(ask(&mut wire, &server, &key, "tools/list", json!({})).status, 200);
    let answer = ask(&mut wire, &server, &key, "tools/call", query("SELECT x FROM t"));
    assert_eq!(*rows(&answer.json()["result"]), json!([[1]]));
    // What clients are told is https, and nobody is served in the clear on that port.
    let url = format!("https://{}/mcp", server.addr);
    assert_eq!(server.done("GET", "/server", Value::Null)["mcp_url"], url);
    let refused = ask(&mut wire, &server, "sql_nothing", "tools/list", json!({}));
    assert!(refused.header("www-authenticate").unwrap().contains("https://"), "{refused:?}");
    let mut clear = server.connect();
    clear.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut clear.into_inner(), &mut answer).unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // Who trusts another certificate is not served either, nor who speaks HTTP/2 alone.
    let other = Pair { certificate: home.path().join("c2.pem"), private_key: home.path().join("k2.pem") };
    assert!(connect(&server, &other.renew(90)).is_err());
    let mut stream = TcpStream::connect(server.addr).unwrap();
    let mut only_h2 = connection(&trusted, &[b"h2"]);
    assert!((0..10).any(|_| only_h2.complete_io(&mut stream).is_err()));
    drop(wire);
    server.stop();
}

#[test]
fn a_new_certificate_is_served_without_a_restart_and_connections_go_on() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let first = pair.renew(90);
    let server = pair.serve(&home, &[]);
    server.org("acme");
    let key = server.key("acme", "k");
    let mut old = connect(&server, &first).unwrap();
    assert_eq!(ask(&mut old, &server, &key, "tools/list", json!({})).status, 200);
    let second = pair.renew(91);
    poll(PATIENCE, "the new certificate is served", || connect(&server, &second).is_ok());
    assert!(connect(&server, &first).is_err());
    assert_eq!(ask(&mut old, &server, &key, "tools/list", json!({})).status, 200);
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_former_one_in_place() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let first = pair.renew(90);
    let server = pair.serve(&home, &[]);
    let hang_up = || kill_process(server.pid(), Signal::HUP).unwrap();
    hang_up();
    let said = server.logs("SIGHUP: the TLS certificate is the one that is served already");
    assert!(!said.contains("was loaded again"), "{said}");
    std::fs::write(&pair.certificate, "half a certif").unwrap();
    hang_up();
    server.logs("the new TLS certificate cannot be used");
    connect(&server, &first).unwrap();
    let second = pair.renew(91);
    hang_up();
    poll(PATIENCE, "the new certificate is served", || connect(&server, &second).is_ok());
}

/// An authority, the certificate between, and the server's own: what a client that trusts the first must be sent.
struct Chain {
    root: CertificateDer<'static>,
    between: String,
    leaf: String,
}

impl Chain {
    fn of(pair: &Pair) -> Self {
        let authority = |name: &str| {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            (params, rcgen::KeyPair::generate().unwrap())
        };
        let (root, root_key) = authority("root");
        let (between, between_key) = authority("between");
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let trusted = root.self_signed(&root_key).unwrap().der().clone();
        let signed = between.signed_by(&between_key, &rcgen::Issuer::new(root, root_key)).unwrap().pem();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &rcgen::Issuer::new(between, between_key)).unwrap().pem();
        std::fs::write(&pair.private_key, leaf_key.serialize_pem()).unwrap();
        std::fs::write(&pair.certificate, &leaf).unwrap();
        Self { root: trusted, between: signed, leaf }
    }

    fn whole(&self) -> String {
        format!("{}{}", self.leaf, self.between)
    }
}

#[test]
fn a_chain_that_was_completed_behind_the_same_certificate_is_served_after_a_reload() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let chain = Chain::of(&pair);
    let server = pair.serve(&home, &[]);
    assert!(connect(&server, &chain.root).is_err());
    std::fs::write(&pair.certificate, chain.whole()).unwrap();
    kill_process(server.pid(), Signal::HUP).unwrap();
    poll(PATIENCE, "the whole chain is served", || connect(&server, &chain.root).is_ok());
}

#[test]
fn doctor_says_so_where_the_server_serves_another_chain_than_the_file_holds() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let chain = Chain::of(&pair);
    let _server = pair.serve(&home, &[]);
    let other = home.path().join("whole.pem");
    std::fs::write(&other, chain.whole()).unwrap();
    let examined = |certificate: &std::path::Path| {
        let mut command = home.command(&["doctor", "--json"]);
        command.env("SEQUEL__TLS__CERTIFICATE", certificate);
        command.env("SEQUEL__TLS__PRIVATE_KEY", &pair.private_key);
        run(&mut command).out
    };
    let told = "serves another certificate or chain than the file holds";
    let (same, another) = (examined(&pair.certificate), examined(&other));
    assert!(!same.contains(told) && same.contains("The server answers"), "{same}");
    assert!(another.contains(told), "{another}");
}

#[test]
fn a_hangup_without_tls_ends_nothing() {
    let home = Home::new();
    let mut server = home.serve();
    kill_process(server.pid(), Signal::HUP).unwrap();
    server.logs("there is no TLS certificate to load again");
    server.org("acme");
    server.stop();
}

#[test]
fn a_handshake_that_does_not_get_on_is_over() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let trusted = pair.renew(90);
    let server = pair.serve(&home, &[("SEQUEL__SERVER__CLIENT_REQUEST_TIMEOUT_MS", "300")]);
    let mut hello = Vec::new();
    connection(&trusted, &[]).write_tls(&mut hello).unwrap();
    // Nothing at all, half a greeting, a whole one and then nothing.
    for part in [&[][..], &hello[..hello.len() / 2], &hello] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        std::io::Write::write_all(&mut stream, part).unwrap();
        let mut answer = Vec::new();
        // It ends by the server's doing, long before the patience does.
        let ended = std::io::Read::read_to_end(&mut stream, &mut answer);
        assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    }
    connect(&server, &trusted).unwrap();
}

#[test]
fn connections_that_say_nothing_and_handshakes_that_stop_half_way_keep_no_other_handshake_waiting() {
    // More than a worker has handshakes under way at once, each for longer than anybody here waits.
    const CROWD: usize = 300;
    const { assert!(PATIENCE.as_millis() < 120_000) };
    let home = Home::with("server.workers = 1\nserver.client_request_timeout_ms = 120000");
    let pair = Pair::of(&home);
    let trusted = pair.renew(90);
    let server = pair.serve(&home, &[]);
    let mut hello = Vec::new();
    connection(&trusted, &[]).write_tls(&mut hello).unwrap();
    // Nothing at all, half a greeting, a whole one and then nothing.
    for part in [&[][..], &hello[..hello.len() / 2], &hello] {
        let crowd: Vec<TcpStream> = (0..CROWD)
            .map(|_| {
                let mut stream = TcpStream::connect(server.addr).unwrap();
                std::io::Write::write_all(&mut stream, part).unwrap();
                stream
            })
            .collect();
        // Its reads end with the patience.
        let served = connect(&server, &trusted);
        assert!(served.is_ok(), "behind {} bytes each: {:?}", part.len(), served.err());
        drop(crowd);
    }
}

/// Told by how many of the crowd are answered first: where places are given to whoever comes first, all are but those
/// that have theirs at last.
#[test]
fn a_crowd_of_one_address_that_greets_and_says_nothing_more_keeps_no_other_address_waiting() {
    const CROWD: usize = 800;
    let home = Home::with("server.workers = 1\nserver.client_request_timeout_ms = 120000");
    let pair = Pair::of(&home);
    let trusted = pair.renew(90);
    let server = pair.serve(&home, &[]);
    let mut hello = Vec::new();
    connection(&trusted, &[]).write_tls(&mut hello).unwrap();
    let crowd: Vec<TcpStream> = (0..CROWD)
        .map(|_| {
            let mut stream = Wire::tcp_from("127.0.0.2", server.addr).into_inner();
            std::io::Write::write_all(&mut stream, &hello).unwrap();
            stream
        })
        .collect();
    let answered = || {
        let is_answered = |stream: &&TcpStream| {
            stream.set_nonblocking(true).unwrap();
            stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0)
        };
        crowd.iter().filter(is_answered).count()
    };
    let before = answered();
    connect(&server, &trusted).unwrap();
    let meanwhile = answered() - before;
    assert!(meanwhile <= (CROWD - before) / 2, "after {before} of {CROWD}, {meanwhile} were answered first");
}

#[test]
fn a_client_that_goes_away_stops_its_query_through_tls_as_well() {
    let home = Home::with("sources.connections_per_source = 1");
    let pair = Pair::of(&home);
    let trusted = pair.renew(90);
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    let server = pair.serve(&home, &[]);
    server.org("acme");
    server.source("acme", "facts", &file);
    let key = server.key("acme", "k");
    let begin = |sql: &str| {
        let mut wire = connect(&server, &trusted).unwrap();
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": query(sql) }).to_string();
        let (bearer, host) = (format!("Bearer {key}"), format!("localhost:{}", server.addr.port()));
        let headers =
            [("Authorization", bearer.as_str()), ("Host", &host), ("MCP-Protocol-Version", "2025-11-25")];
        wire.request("POST", "/mcp", &headers, body.as_bytes());
        wire
    };
    let mut endless = begin(ENDLESS);
    endless.head().expect("the head of a streamed answer");
    server.works();
    let mut next = begin("SELECT 1");
    // A FIN without a word of TLS, as from a process that was killed.
    drop(endless.into_inner().sock);
    let answer = promptly(|| next.answer());
    assert_eq!(*rows(&answer.json()["result"]), json!([[1]]));
}

#[test]
fn a_server_without_a_usable_certificate_does_not_start_and_says_why() {
    let home = Home::new();
    let pair = Pair::of(&home);
    let start = || {
        let mut command = home.command(&["serve", "--port", "0"]);
        command.env("SEQUEL__TLS__CERTIFICATE", &pair.certificate);
        command.env("SEQUEL__TLS__PRIVATE_KEY", &pair.private_key);
        run(&mut command)
    };
    start().refused("cert.pem");
    pair.renew(90);
    std::fs::copy(&pair.certificate, &pair.private_key).unwrap();
    start().refused("holds no private key");
    let mut half = home.command(&["serve", "--port", "0"]);
    half.env("SEQUEL__TLS__CERTIFICATE", &pair.certificate);
    run(&mut half).refused("tls.private_key");
}

#[test]
fn an_expired_certificate_is_served_with_an_error_in_the_log() {
    let home = Home::new();
    let pair = Pair::of(&home);
    pair.renew(-1);
    let server = pair.serve(&home, &[]);
    assert!(server.logs("the TLS certificate has expired").contains("ERROR"));
}
