//! Traces: what a collector gets, and what it never gets. In a build with the feature `otel`, which
//! `tests/run` makes; any other build says that it cannot.

use crate::server::Home;

#[cfg(not(feature = "otel"))]
#[test]
fn a_build_without_opentelemetry_says_so_instead_of_sending_nothing() {
    let home = Home::with("telemetry.endpoint = \"http://127.0.0.1:4318/v1/traces\"\n");
    home.cli(&["serve", "--port", "0"]).refused("--features otel");
}

#[cfg(feature = "otel")]
mod collector {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::{Arc, Mutex};

    /// Path and body of each request.
    type Posts = Vec<(String, Vec<u8>)>;

    /// Takes every POST and keeps its body.
    pub(super) struct Collector {
        pub(super) address: SocketAddr,
        bodies: Arc<Mutex<Posts>>,
    }

    impl Collector {
        pub(super) fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let bodies = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&bodies);
            // Ends with the test's process.
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut reader = BufReader::new(stream.unwrap());
                    let (mut head, mut length) = (String::new(), 0);
                    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                    for line in head.lines() {
                        if let Some((name, value)) = line.split_once(':')
                            && name.eq_ignore_ascii_case("content-length")
                        {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    kept.lock().unwrap().push((head, body));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                    reader.get_mut().write_all(answer).unwrap();
                }
            });
            Self { address, bodies }
        }

        pub(super) fn heads(&self) -> Vec<String> {
            self.bodies.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
        }

        /// Everything that came. Texts stand in protobuf as they are.
        pub(super) fn all(&self) -> Vec<u8> {
            self.bodies.lock().unwrap().iter().flat_map(|(_, body)| body.clone()).collect()
        }

        pub(super) fn has(&self, text: &str) -> bool {
            self.all().windows(text.len()).any(|window| window == text.as_bytes())
        }
    }
}

#[cfg(feature = "otel")]
#[test]
fn a_collector_gets_request_authentication_tool_and_query_with_the_request_id_and_no_secret() {
    let collector = collector::Collector::start();
    let home = Home::with(&format!(
        "telemetry.endpoint = \"http://{}/v1/traces\"\ntelemetry.service_name = \"sequel-here\"\n",
        collector.address
    ));
    let mut server = home.serve();
    server.org("acme");
    server.source(
        "acme",
        "orders",
        &home.database("d.sqlite", "CREATE TABLE t(x); INSERT INTO t VALUES ('ROW-CANARY')"),
    );
    let key = server.key("acme", "k");
    let call =
        serde_json::json!({ "name": "run_query", "arguments": { "sql": "SELECT x, 'SQL-CANARY' FROM t" } });
    let answer = server.rpc(&key, "tools/call", call);
    assert_eq!(answer.status, 200);
    let id = answer.header("x-request-id").unwrap().to_owned();
    // What waits is sent before the end.
    server.stop();
    for text in [
        "sequel-here",
        "mcp request",
        "authenticate",
        "run_query",
        "query",
        "sqlite",
        "orders",
        "request_id",
        &id,
        "Ok",
    ] {
        assert!(collector.has(text), "{text}: {}", String::from_utf8_lossy(&collector.all()));
    }
    for secret in ["SQL-CANARY", "ROW-CANARY", &key[14..]] {
        assert!(!collector.has(secret), "{secret}");
    }
    let heads = collector.heads();
    assert!(heads.iter().all(|head| head.starts_with("POST /v1/traces HTTP/1.1\r\n")), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains("application/x-protobuf")), "{heads:?}");
    // Spans are no lines of the log.
    assert!(!server.log().contains("mcp request"), "{}", server.log());
}

#[cfg(feature = "otel")]
#[test]
fn a_collector_that_is_away_keeps_nobody_from_being_served_or_stopped() {
    let home = Home::with("telemetry.endpoint = \"http://127.0.0.1:1/v1/traces\"\n");
    let mut server = home.serve();
    server.org("acme");
    let key = server.key("acme", "k");
    assert_eq!(server.status(&key), 200);
    server.stop();
}
