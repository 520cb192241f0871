//! Revocation is immediate and total: what runs is stopped, what comes is refused.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::server::{ENDLESS, Home, TestServer, failure, rows};
use crate::waiting::promptly;
use crate::wire::{Head, Wire};

/// One connection to the source: only a query that has really ended makes room for the next.
const ONE_CONNECTION: &str = "sources.connections_per_source = 1";

fn acme() -> (Home, TestServer) {
    let home = Home::with(ONE_CONNECTION);
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    (home, server)
}

/// Runs something endless, pulls the trigger, and holds that it ended, why, and that the source is free.
fn ends_a_running_query(name: &str, trigger: impl FnOnce(&TestServer), says: &str, then: u16) {
    let (_home, server) = acme();
    let (key, other) = (server.key("acme", name), server.key("acme", "other"));
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    let next = server.begin(&other, &json!("next"), "SELECT sum(x) FROM t");
    assert!(next.wire.is_silent(), "one query has the source's only connection");
    trigger(&server);
    let (said, next) = promptly(|| (failure(&running.result()), next.result()));
    assert!(said.contains(says), "{said}");
    assert_eq!(*rows(&next), json!([[3]]));
    assert_eq!(server.status(&key), then);
}

#[test]
fn deleting_a_key_ends_its_running_query_and_refuses_the_next() {
    ends_a_running_query("doomed", |server| server.delete_key("acme", "doomed"), "revoked", 401);
}

#[test]
fn disabling_a_key_ends_its_running_query_and_refuses_the_next() {
    ends_a_running_query("doomed", |server| server.switch_key("acme", "doomed", false), "revoked", 401);
}

#[test]
fn rotating_without_overlap_ends_what_the_old_secret_runs() {
    let rotate = |server: &TestServer| {
        server.done("POST", "/orgs/acme/keys/doomed/rotate", json!({ "overlap_seconds": 0 }));
    };
    ends_a_running_query("doomed", rotate, "revoked", 401);
}

#[test]
fn a_call_that_races_the_deletion_of_its_key_is_stopped_or_refused() {
    let (_home, server) = acme();
    let other = server.key("acme", "other");
    for i in 0..30u64 {
        let name = format!("key-{i}");
        let key = server.key("acme", &name);
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..2)
                .map(|_| {
                    let (server, key) = (&server, &key);
                    scope.spawn(move || {
                        let params = json!({ "name": "run_query", "arguments": { "sql": ENDLESS } });
                        server.rpc(key, "tools/call", params)
                    })
                })
                .collect();
            // From before the calls have come to after they run: another distance each time.
            std::thread::sleep(Duration::from_micros(i * 150));
            server.delete_key("acme", &name);
            promptly(|| {
                for call in calls {
                    let answer = call.join().unwrap();
                    match answer.status {
                        401 => {}
                        200 => assert!(
                            failure(&answer.json()["result"]).contains("revoked"),
                            "{}",
                            answer.text()
                        ),
                        other => panic!("{other}: {}", answer.text()),
                    }
                }
            });
        });
        assert_eq!(server.status(&key), 401);
    }
    assert_eq!(*rows(&server.query(&other, "SELECT sum(x) FROM t")), json!([[3]]));
}

/// Sends a batch (2025-03-26) of queries; gives back its wire, with the head of the answer there.
fn batch_of(server: &TestServer, key: &str, queries: &[&str]) -> (Wire<TcpStream>, Head) {
    let call = |(id, sql): (usize, &&str)| {
        let params = json!({ "name": "run_query", "arguments": { "sql": sql } });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let batch = serde_json::Value::from_iter(queries.iter().enumerate().map(call)).to_string();
    let mut wire = server.connect();
    wire.request("POST", "/mcp", &[("Authorization", &format!("Bearer {key}"))], batch.as_bytes());
    let head = wire.head().unwrap();
    (wire, head)
}

#[test]
fn a_batch_goes_on_after_its_key_was_deleted_with_refusals_only() {
    let (_home, server) = acme();
    let key = server.key("acme", "doomed");
    let (mut wire, head) = batch_of(&server, &key, &[ENDLESS, "SELECT sum(x) FROM t"]);
    server.works();
    server.delete_key("acme", "doomed");
    let answers = promptly(|| wire.rest(head)).json();
    for (at, answer) in answers.as_array().unwrap().iter().enumerate() {
        assert!(answer["error"]["message"].as_str().unwrap().contains("no longer valid"), "{answers}");
        assert_eq!(answer["id"], at, "{answers}");
    }
    assert_eq!(answers.as_array().unwrap().len(), 2);
}

#[test]
fn a_batch_sends_no_row_after_its_key_was_deleted() {
    let (_home, server) = acme();
    let key = server.key("acme", "doomed");
    let (mut wire, head) = batch_of(&server, &key, &["SELECT 'SECRET' || 'ROW'", ENDLESS]);
    server.works();
    server.delete_key("acme", "doomed");
    let answer = promptly(|| wire.rest(head));
    assert!(!answer.text().contains("SECRETROW"), "{}", answer.text());
    assert_eq!(answer.json().as_array().unwrap().len(), 2, "every request is answered");
}

#[test]
fn a_batch_whose_last_query_is_cancelled_by_its_client_still_sends_the_rows_of_the_others() {
    let (_home, server) = acme();
    let key = server.key("acme", "client");
    let (mut wire, head) = batch_of(&server, &key, &["SELECT 'KEPT' || 'ROW'", ENDLESS]);
    server.works();
    let cancelled =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let mut other = server.connect();
    let bearer = format!("Bearer {key}");
    other.request("POST", "/mcp", &[("Authorization", &bearer)], cancelled.to_string().as_bytes());
    let answer = promptly(|| wire.rest(head));
    assert!(answer.text().contains("KEPTROW"), "{}", answer.text());
}

#[test]
fn a_batch_makes_its_way_where_its_key_may_run_one_call_at_a_time() {
    let home = Home::with("query.concurrent_per_key = 1");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    let (mut wire, head) = batch_of(&server, &key, &["SELECT 'ONE' || 'ROW'", "SELECT 'TWO' || 'ROW'"]);
    let answer = promptly(|| wire.rest(head));
    assert!(answer.text().contains("ONEROW") && answer.text().contains("TWOROW"), "{}", answer.text());
}

#[test]
fn renaming_a_key_lets_its_running_query_go_on() {
    let home = Home::with("query.time_max_ms = 1500");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "before");
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    server.done("PATCH", "/orgs/acme/keys/before", json!({ "name": "after" }));
    // It ends by its own time, not by the change.
    let said = failure(&running.result());
    assert!(said.contains("longer than"), "{said}");
    assert_eq!(server.status(&key), 200);
}

#[test]
fn deleting_one_key_leaves_the_queries_of_the_others_alone() {
    let home = Home::with("query.time_max_ms = 1500");
    let path = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let (kept, _doomed) = (server.key("acme", "kept"), server.key("acme", "doomed"));
    let running = server.begin(&kept, &json!(1), ENDLESS);
    server.works();
    server.delete_key("acme", "doomed");
    let said = failure(&running.result());
    assert!(said.contains("longer than"), "{said}");
}

#[test]
fn removing_a_source_ends_the_queries_that_run_on_it_and_it_is_gone() {
    let remove = |server: &TestServer| {
        server.done("DELETE", "/orgs/acme/sources/facts", serde_json::Value::Null);
    };
    let (home, server) = acme();
    let key = server.key("acme", "client");
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    remove(&server);
    let said = promptly(|| failure(&running.result()));
    assert!(said.contains("was removed"), "{said}");
    let said = failure(&server.call(&key, json!({ "source": "facts", "sql": "SELECT 1" })));
    assert!(said.contains("No data source"), "{said}");
    // The database itself is untouched, and can be connected again.
    server.source("acme", "facts", &home.databases().join("facts.db"));
    assert_eq!(*rows(&server.query(&key, "SELECT sum(x) FROM t")), json!([[3]]));
}
