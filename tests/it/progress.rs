//! Progress: a client that gives a token and takes events hears of its query while it runs, on both eras.

use serde_json::{Value, json};

use crate::events::Events;
use crate::server::{ENDLESS, Home, TestServer, failure};
use crate::waiting::promptly;

const MODERN: &str = "2026-07-28";
const BOTH: &str = "application/json, text/event-stream";

fn acme(config: &str) -> (Home, TestServer, String) {
    let home = Home::with(&format!("sources.connections_per_source = 1\n{config}"));
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (42)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    (home, server, key)
}

/// A `run_query` with this token.
fn body(version: &str, token: &Value, sql: &str) -> Value {
    let mut meta = json!({ "progressToken": token });
    if version == MODERN {
        meta["io.modelcontextprotocol/protocolVersion"] = json!(version);
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    let params = json!({ "name": "run_query", "arguments": { "sql": sql }, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": "q", "method": "tools/call", "params": params })
}

fn headers<'a>(bearer: &'a str, version: &'a str, accept: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("Authorization", bearer), ("MCP-Protocol-Version", version), ("Accept", accept)];
    if version == MODERN {
        headers.extend([("Mcp-Method", "tools/call"), ("Mcp-Name", "run_query")]);
    }
    headers
}

fn begin(server: &TestServer, key: &str, version: &str, token: &Value, sql: &str) -> Events {
    let mut wire = server.connect();
    let body = body(version, token, sql).to_string();
    wire.request("POST", "/mcp", &headers(&format!("Bearer {key}"), version, BOTH), body.as_bytes());
    let head = wire.head().expect("the head of a stream");
    Events::of(wire, &head)
}

/// Holds that these are notes of progress that grow; answers how many.
#[track_caller]
fn grow(notes: &[Value], token: &Value) -> usize {
    let mut last = -1.0;
    for note in notes {
        assert_eq!(note["method"], "notifications/progress", "{note}");
        assert_eq!((note.get("id"), &note["params"]["progressToken"]), (None, token));
        let progress = note["params"]["progress"].as_f64().unwrap();
        assert!(progress > last, "{progress} after {last}");
        last = progress;
    }
    notes.len()
}

#[test]
fn a_long_query_is_heard_of_until_its_result_and_not_afterwards() {
    let (_home, server, key) = acme("query.time_max_ms = 2500");
    for (version, token) in [("2025-03-26", json!(7)), ("2025-11-25", json!("t")), (MODERN, json!("a\"b"))] {
        let mut events = begin(&server, &key, version, &token, ENDLESS).rest();
        let response = events.pop().unwrap();
        assert_eq!(response["id"], "q", "{response}");
        assert!(failure(&response["result"]).contains("longer than"), "{response}");
        assert_eq!(response["result"].get("resultType").is_some(), version == MODERN);
        // After a quarter of a second, and a second later, which leaves a busy machine another second.
        assert!(grow(&events, &token) >= 2, "{events:?}");
    }
}

#[test]
fn a_quick_query_is_one_event() {
    let (_home, server, key) = acme("");
    for version in ["2025-06-18", MODERN] {
        let events = begin(&server, &key, version, &json!(1), "SELECT x FROM t").rest();
        assert_eq!(events.last().unwrap()["result"]["structuredContent"]["rows"], json!([[42]]));
        // A slow machine may be heard of.
        grow(&events[..events.len() - 1], &json!(1));
    }
}

#[test]
fn without_a_token_or_without_events_the_answer_is_plain_json() {
    let (_home, server, key) = acme("");
    let bearer = format!("Bearer {key}");
    for version in ["2025-11-25", MODERN] {
        let with = body(version, &json!(1), "SELECT x FROM t");
        let mut without = with.clone();
        without["params"]["_meta"].as_object_mut().unwrap().remove("progressToken");
        let mut wrong = with.clone();
        wrong["params"]["_meta"]["progressToken"] = json!({ "no": "token" });
        for (accept, body) in [
            (BOTH, &without),
            (BOTH, &wrong),
            ("application/json", &with),
            ("*/*", &with),
            ("application/json, text/event-stream;q=0", &with),
        ] {
            let answer = server.post(&headers(&bearer, version, accept), body.to_string().as_bytes());
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            assert_eq!(answer.json()["result"]["structuredContent"]["rows"], json!([[42]]));
        }
    }
}

#[test]
fn what_touches_no_source_and_what_is_refused_is_plain_json_also_with_a_token() {
    let (_home, server, key) = acme("");
    let bearer = format!("Bearer {key}");
    for name in ["list_data_sources", "no_such_tool"] {
        let params = json!({ "name": name, "_meta": { "progressToken": 1 } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let answer = server.post(&headers(&bearer, "2025-11-25", BOTH), body.as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{name}");
    }
}

#[test]
fn a_revoke_ends_a_stream_of_progress_at_once() {
    let (_home, server, key) = acme("");
    for version in ["2025-11-25", MODERN] {
        let doomed = server.key("acme", "doomed");
        let mut events = begin(&server, &doomed, version, &json!(1), ENDLESS);
        server.works();
        server.delete_key("acme", "doomed");
        let mut events = promptly(|| events.rest());
        let response = events.pop().unwrap();
        assert!(failure(&response["result"]).contains("revoked"), "{response}");
        grow(&events, &json!(1));
        // The source's only connection is free again.
        promptly(|| server.query(&key, "SELECT 1"));
    }
}

#[test]
fn a_client_that_leaves_its_stream_of_progress_stops_its_query() {
    let (_home, server, key) = acme("");
    for version in ["2025-11-25", MODERN] {
        for rude in [false, true] {
            let mut events = begin(&server, &key, version, &json!(1), ENDLESS);
            assert_eq!(events.next().unwrap()["method"], "notifications/progress");
            match rude {
                true => events.wire.reset(),
                false => drop(events),
            }
            promptly(|| server.query(&key, "SELECT 1"));
        }
    }
}

#[test]
fn a_cancelled_request_gets_no_response() {
    let (_home, server, key) = acme("");
    let mut events = begin(&server, &key, "2025-11-25", &json!(1), ENDLESS);
    server.works();
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "q" } });
    let bearer = format!("Bearer {key}");
    let answer = server.post(&headers(&bearer, "2025-11-25", BOTH), cancel.to_string().as_bytes());
    assert_eq!(answer.status, 202);
    let events = promptly(|| events.rest());
    grow(&events, &json!(1));
}

#[test]
fn a_shutdown_ends_a_stream_of_progress_with_a_response() {
    let (_home, mut server, key) = acme("server.shutdown_seconds = 1");
    let mut events = begin(&server, &key, MODERN, &json!(1), ENDLESS);
    server.works();
    server.terminate();
    let response = events.rest().pop().unwrap();
    assert!(failure(&response["result"]).contains("restarting"), "{response}");
    assert!(server.wait().success());
}
