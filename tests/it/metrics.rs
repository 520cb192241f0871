//! The metrics: on an address of their own, in a form that is read by rule, and true.
//!
//! `tests/clients` reads the same text with Prometheus' own parser.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::json;

use crate::listening::listen;
use crate::server::{ENDLESS, Home, TestServer};
use crate::waiting::{PATIENCE, poll};
use crate::wire::{Answer, Wire};

pub(crate) const METRICS: (&str, &str) = ("SEQUEL__METRICS__LISTEN", "127.0.0.1:0");

/// Where a server serves its metrics.
pub(crate) fn address(server: &TestServer) -> SocketAddr {
    let log = server.logs("metrics are served");
    let line = log.lines().find(|line| line.contains("metrics are served")).unwrap();
    line.split_once("address=").unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

fn get(at: SocketAddr, path: &str, host: &str) -> Answer {
    let mut wire = Wire::tcp(at);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    wire.send(request.as_bytes());
    wire.answer()
}

/// All samples, by name and labels. Holds the text against the rules of OpenMetrics on the way.
pub(crate) fn scrape(at: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(at, "/metrics", "localhost");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.header("content-type").unwrap().to_owned();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            if words[0] == "TYPE" {
                assert!(types.insert(words[1].to_owned(), words[2].to_owned()).is_none(), "twice: {line}");
            }
            assert!(matches!(words[0], "HELP" | "TYPE" | "UNIT" | "EOF"), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        let bare = name.split('{').next().unwrap();
        let family = types.keys().filter(|family| bare.starts_with(family.as_str())).max_by_key(|f| f.len());
        let family = family.unwrap_or_else(|| panic!("no family: {line}"));
        let suffix = &bare[family.len()..];
        let allowed: &[&str] = match types[family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}: {line}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
    }
    samples
}

#[test]
fn metrics_are_told_on_an_address_of_their_own_and_nowhere_by_default() {
    let home = Home::new();
    let mut silent = home.serve();
    silent.stop();
    assert!(!silent.log().contains("metrics are served"));
    let server = home.serve_with(&[METRICS]);
    let at = address(&server);
    assert!(at.ip().is_loopback() && at != server.addr);
    assert_eq!(server.http("GET", "/metrics", &[], b"").status, 404);
    for path in ["/", "/mcp", "/api/v1/server", "/healthz", "/metrics/x"] {
        assert_eq!(get(at, path, "localhost").status, 404, "{path}");
    }
    // A page in a browser of this machine does not read along.
    assert_eq!(get(at, "/metrics", "rebound.evil.test").status, 403);
    let samples = scrape(at);
    assert_eq!(samples["sequel_ready"], 1.0);
    assert_eq!(samples[&format!("sequel_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);
    assert!(samples["process_resident_memory_bytes"] > 1e6 && samples["process_open_fds"] > 5.0);
    assert!(samples["process_cpu_seconds_total"] >= 0.0 && samples["process_start_time_seconds"] > 1.6e9);
}

#[test]
fn what_happens_is_counted_under_its_name() {
    let home = Home::new();
    let server = home.serve_with(&[METRICS]);
    let at = address(&server);
    server.org("acme");
    server.source(
        "acme",
        "d",
        &home.database("d.sqlite", "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)"),
    );
    let (key, gone) = (server.key("acme", "k"), server.key("acme", "gone"));
    server.delete_key("acme", "gone");
    server.query(&key, "SELECT x FROM t");
    server.query(&key, "SELECT nothing FROM nowhere");
    server.query(&key, "DROP TABLE t");
    assert_eq!(server.status(&key), 200);
    assert_eq!(server.status(&gone), 401);
    assert_eq!(server.post(&[], b"").status, 401);
    assert_eq!(server.http("GET", "/nowhere", &[], b"").status, 404);
    let samples = scrape(at);
    let count = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(count("sequel_http_requests_total{route=\"/mcp\",status=\"2xx\"}"), 4.0);
    assert_eq!(count("sequel_http_requests_total{route=\"/mcp\",status=\"4xx\"}"), 2.0);
    assert_eq!(count("sequel_http_requests_total{route=\"other\",status=\"4xx\"}"), 1.0);
    assert_eq!(count("sequel_http_request_duration_seconds_count{route=\"/mcp\"}"), 6.0);
    assert_eq!(count("sequel_mcp_messages_total{method=\"tools/call\"}"), 3.0);
    assert_eq!(count("sequel_mcp_messages_total{method=\"tools/list\"}"), 1.0);
    assert_eq!(count("sequel_http_refusals_total{reason=\"unknown_credential\"}"), 1.0);
    assert_eq!(count("sequel_http_refusals_total{reason=\"missing_credential\"}"), 1.0);
    assert_eq!(count("sequel_tool_calls_total{tool=\"run_query\",outcome=\"ok\"}"), 1.0);
    assert_eq!(count("sequel_tool_calls_total{tool=\"run_query\",outcome=\"error\"}"), 2.0);
    assert_eq!(count("sequel_queries_total{outcome=\"ok\"}"), 1.0);
    assert_eq!(count("sequel_queries_total{outcome=\"sql_error\"}"), 1.0);
    assert_eq!(count("sequel_queries_total{outcome=\"refused\"}"), 1.0);
    assert_eq!(count("sequel_query_rows_total"), 2.0);
    assert_eq!(count("sequel_changes_total{outcome=\"made\"}"), 4.0);
    assert_eq!((count("sequel_orgs_active"), count("sequel_org_loads_total")), (1.0, 1.0));
    assert_eq!((count("sequel_sources_open"), count("sequel_queries_running")), (1.0, 0.0));
    assert!(count("sequel_store_operations_total{operation=\"commit\",outcome=\"ok\"}") >= 5.0);
    assert!(count("sequel_connections_total") >= 7.0);
}

#[test]
fn what_runs_is_told_while_it_runs() {
    let home = Home::new();
    let server = home.serve_with(&[METRICS]);
    let at = address(&server);
    server.org("acme");
    server.source("acme", "d", &home.database("d.sqlite", "CREATE TABLE t(x)"));
    let key = server.key("acme", "k");
    let pending = server.begin(&key, &json!(1), ENDLESS);
    let samples = scrape(at);
    for name in ["sequel_calls_running", "sequel_queries_running", "sequel_connections_open"] {
        assert_eq!(samples[name], 1.0, "{name}");
    }
    drop(pending);
    poll(PATIENCE, "the abandoned query is counted as cancelled", || {
        scrape(at)["sequel_queries_total{outcome=\"cancelled\"}"] == 1.0
    });
    poll(PATIENCE, "nothing runs any more", || {
        let samples = scrape(at);
        samples["sequel_calls_running"]
            + samples["sequel_queries_running"]
            + samples["sequel_connections_open"]
            == 0.0
    });
}

#[test]
fn what_else_is_asked_has_names_of_its_own_and_open_streams_are_told() {
    let home = Home::new();
    let server = home.serve_with(&[METRICS]);
    let at = address(&server);
    server.org("acme");
    server.source("acme", "d", &home.database("d.sqlite", "CREATE TABLE t(x)"));
    let key = server.key("acme", "k");
    server.rpc(&key, "resources/list", json!({}));
    server.rpc(&key, "resources/read", json!({ "uri": "sequel://sources/d" }));
    server.rpc(&key, "resources/read", json!({ "uri": "sequel://sources/other" }));
    let template = json!({ "type": "ref/resource", "uri": "sequel://sources/{source}/tables/{table}" });
    let argument = json!({ "name": "source", "value": "" });
    server.rpc(&key, "completion/complete", json!({ "ref": template, "argument": argument }));
    let (stream, _) = listen(&server, &key, json!(1), json!({ "resourcesListChanged": true }));
    let samples = scrape(at);
    let calls = |name: &str, outcome: &str| {
        samples[&format!("sequel_tool_calls_total{{tool=\"{name}\",outcome=\"{outcome}\"}}")]
    };
    assert_eq!(calls("resources/list", "ok"), 1.0);
    assert_eq!((calls("resources/read", "ok"), calls("resources/read", "error")), (1.0, 1.0));
    assert_eq!(calls("completion/complete", "ok"), 1.0);
    assert_eq!((calls("other", "ok"), calls("other", "error")), (0.0, 0.0));
    // A stream is no call.
    assert_eq!((samples["sequel_streams_open"], samples["sequel_calls_running"]), (1.0, 0.0));
    drop(stream);
    poll(PATIENCE, "the stream is closed", || scrape(at)["sequel_streams_open"] == 0.0);
}

#[test]
fn nothing_that_is_asked_adds_a_line_or_a_name() {
    let home = Home::new();
    let server = home.serve_with(&[METRICS]);
    let at = address(&server);
    let names = || scrape(at).into_keys().collect::<BTreeSet<_>>();
    let before = names();
    server.org("CANARY");
    let key = server.key("CANARY", "CANARY");
    server.rpc(&key, "CANARY/\"method\"", json!({}));
    server.rpc(&key, "tools/call", json!({ "name": "CANARY", "arguments": {} }));
    server.http("GET", "/CANARY", &[], b"");
    server.http("CANARY", "/mcp", &[], b"");
    let after = names();
    assert_eq!(before, after);
    assert!(after.iter().all(|name| !name.contains("CANARY") && !name.contains(&key[4..14])));
}
