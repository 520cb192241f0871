//! A client that goes away, or says `notifications/cancelled`, takes its query with it (THREATS 15, 22).

use serde_json::{Value, json};

use crate::server::{ENDLESS, Home, Pending, TestServer, failure, rows};
use crate::waiting::promptly;
use crate::wire::request;

/// One connection a source, and more than one call a key: it is the connection that the next question waits
/// for, so that it is answered only when the query before it has really ended.
fn acme() -> (Home, TestServer, String) {
    let home = Home::with("query.concurrent_per_key = 4\nsources.connections_per_source = 1");
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    (home, server, key)
}

/// Begins something endless and, behind it, a question that it really keeps waiting.
fn running(server: &TestServer, key: &str, id: &Value) -> (Pending, Pending) {
    let pending = server.begin(key, id, ENDLESS);
    server.works();
    let next = waiting(server, key);
    (pending, next)
}

fn waiting(server: &TestServer, key: &str) -> Pending {
    let next = server.begin(key, &json!("next"), "SELECT 1");
    assert!(next.wire.is_silent(), "one query has the source's only connection");
    next
}

/// Holds that the waiting question is answered in the promised time.
fn makes_room(next: Pending) {
    assert_eq!(*rows(&promptly(|| next.result())), json!([[1]]));
}

#[test]
fn a_client_that_closes_its_connection_stops_its_query() {
    let (_home, server, key) = acme();
    for _ in 0..3 {
        let (pending, next) = running(&server, &key, &json!(1));
        drop(pending);
        makes_room(next);
    }
}

#[test]
fn a_client_that_resets_its_connection_stops_its_query() {
    let (_home, server, key) = acme();
    for _ in 0..3 {
        let (pending, next) = running(&server, &key, &json!(1));
        pending.wire.reset();
        makes_room(next);
    }
}

#[test]
fn a_client_that_only_says_that_it_will_send_no_more_stops_its_query_too() {
    let (_home, server, key) = acme();
    let (mut pending, next) = running(&server, &key, &json!(1));
    pending.wire.finish();
    makes_room(next);
}

#[test]
fn a_modern_client_cancels_by_going_away() {
    let (_home, server, key) = acme();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "run_query", "arguments": { "sql": ENDLESS }, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
    } } });
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "run_query"),
    ];
    let mut wire = server.connect();
    wire.send(&request("POST", "/mcp", &headers, body.to_string().as_bytes()));
    assert_eq!(wire.head().unwrap().status, 200);
    server.works();
    let next = waiting(&server, &key);
    drop(wire);
    makes_room(next);
}

fn cancel(server: &TestServer, key: &str, id: &Value) {
    let params = json!({ "requestId": id, "reason": "enough" });
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string();
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    let answer = server.post(&headers, body.as_bytes());
    assert_eq!((answer.status, answer.body.len()), (202, 0));
}

#[test]
fn a_cancelled_notification_stops_the_query_that_it_names() {
    let (_home, server, key) = acme();
    for id in [json!(7), json!("seven"), json!("7\u{e9}\"")] {
        let (pending, next) = running(&server, &key, &id);
        let said = promptly(|| {
            cancel(&server, &key, &id);
            failure(&pending.result())
        });
        assert!(said.contains("cancelled"), "{said}");
        makes_room(next);
    }
}

#[test]
fn equal_request_ids_of_two_organizations_and_of_two_keys_never_cross() {
    let home = Home::with("query.time_max_ms = 2000\nsources.connections_per_source = 4");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    for org in ["acme", "other"] {
        server.org(org);
        server.source(org, "facts", &path);
    }
    let (ours, colleague, theirs) =
        (server.key("acme", "client"), server.key("acme", "colleague"), server.key("other", "client"));
    let [a, b, c] = [&ours, &colleague, &theirs].map(|key| server.begin(key, &json!(1), ENDLESS));
    server.works();
    // Ids that are alike for a person are not the same: text is no number.
    cancel(&server, &ours, &json!("1"));
    cancel(&server, &ours, &json!(2));
    cancel(&server, &ours, &json!(1));
    assert!(failure(&a.result()).contains("cancelled"));
    for pending in [b, c] {
        let said = failure(&pending.result());
        // To the end of its own time, which it may have spent waiting for the other one's turn.
        assert!(said.contains("longer than the limit") || said.contains("stopped after 2 s"), "{said}");
    }
}

#[test]
fn answers_to_equal_ids_go_to_those_who_asked() {
    let home = Home::new();
    let server = home.serve();
    let clients: Vec<_> = (0..4)
        .map(|i| {
            let org = format!("org-{i}");
            server.org(&org);
            let sql = format!("CREATE TABLE t(x); INSERT INTO t VALUES ({i})");
            server.source(&org, "facts", &home.database(&format!("{org}.db"), &sql));
            (i, server.key(&org, "client"))
        })
        .collect();
    std::thread::scope(|scope| {
        for (i, key) in &clients {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_eq!(*rows(&server.query(key, "SELECT x FROM t")), json!([[i]]));
                }
            });
        }
    });
}
