//! Many at once, few of them well-meaning: a normal client goes on as if it were alone (THREATS 15, 16, 23).

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::credentials::forged;
use crate::server::{Home, TestServer, rows};
use crate::waiting::promptly;
use crate::wire::{Wire, request};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A server with the organization `acme`, its source `facts` and a key.
fn acme(config: &str) -> (Home, TestServer, String) {
    let home = Home::with(config);
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "client");
    (home, server, key)
}

/// A normal client does what normal clients do, on new connections.
fn is_served(server: &TestServer, key: &str) {
    for _ in 0..20 {
        assert_eq!(promptly(|| server.status(key)), 200);
    }
    assert_eq!(promptly(|| rows(&server.query(key, "SELECT x FROM t")).clone()), json!([[1]]));
}

#[test]
fn five_hundred_idle_connections_disturb_nobody() {
    let (_home, server, key) = acme("");
    // A third never says anything, a third stops within a head, a third within a body, a third of them signed in.
    let bearer = format!("Bearer {key}");
    let begun = request("POST", "/mcp", &[("Authorization", &bearer), ("Content-Length", "100")], b"{");
    let idle: Vec<_> = (0..500)
        .map(|number| {
            let mut wire = server.connect();
            match number % 3 {
                0 => {}
                1 => wire.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthoriz"),
                _ => wire.send(&begun),
            }
            wire
        })
        .collect();
    is_served(&server, &key);
    // One of them makes up its mind.
    let mut late = idle.into_iter().next().unwrap();
    late.request("GET", "/healthz", &[], b"");
    assert_eq!(late.answer().status, 200);
}

#[test]
fn a_flood_of_wrong_keys_is_slowed_down_and_nobody_else_notices() {
    let (_home, server, key) = acme("");
    // Known, and in no request yet when the flood comes.
    let newcomer = server.key("acme", "newcomer");
    let over = AtomicBool::new(false);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let floods: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut wire = server.connect();
                    let mut seen = Vec::new();
                    // At least sixty each, however slow the machine is, and not for ever.
                    while (!over.load(Ordering::Relaxed) || seen.len() < 60) && seen.len() < 5_000 {
                        let bearer = format!("Bearer {}", forged(None));
                        wire.request("POST", "/mcp", &[("Authorization", &bearer)], LIST.as_bytes());
                        let answer = wire.answer();
                        let told = answer.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
                        match answer.status {
                            401 => assert!(answer.header("www-authenticate").is_some()),
                            429 => assert!(told.is_some_and(|wait| (1..=60).contains(&wait)), "{answer:?}"),
                            other => panic!("{other}: {}", answer.text()),
                        }
                        seen.push(answer.status);
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..5 {
            is_served(&server, &key);
        }
        assert_eq!(server.status(&newcomer), 200);
        over.store(true, Ordering::Relaxed);
        floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect()
    });
    let refused = statuses.iter().filter(|status| **status == 401).count();
    // The quota of a minute and what became free meanwhile.
    assert!(refused <= 60 + 60, "{refused} of {} were looked up", statuses.len());
    assert!(statuses.len() > 200, "the flood was none: {}", statuses.len());
}

#[test]
fn equal_ids_of_organizations_that_ask_at_the_same_time_never_cross() {
    const ORGS: usize = 4;
    const EACH: usize = 3;
    let home = Home::new();
    let server = home.serve();
    let clients: Vec<(usize, String)> = (0..ORGS)
        .flat_map(|number| {
            let org = format!("org-{number}");
            server.org(&org);
            let sql = format!("CREATE TABLE t(x); INSERT INTO t VALUES ({number})");
            server.source(&org, "facts", &home.database(&format!("{org}.db"), &sql));
            (0..EACH)
                .map(|client| (number, server.key(&org, &format!("client-{client}"))))
                .collect::<Vec<_>>()
        })
        .collect();
    let together = std::sync::Barrier::new(clients.len());
    std::thread::scope(|scope| {
        for (number, key) in &clients {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                let mut wire = server.connect();
                let bearer = format!("Bearer {key}");
                let headers = [("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
                for round in 0..20 {
                    // The same id for all, in the same moment; text and number in turn.
                    let id = if round % 2 == 0 { json!(7) } else { json!("7") };
                    let params = json!({ "name": "run_query", "arguments": { "sql": "SELECT x FROM t" } });
                    let body =
                        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
                    together.wait();
                    wire.request("POST", "/mcp", &headers, body.to_string().as_bytes());
                    let answer = wire.answer().json();
                    assert_eq!(answer["id"], id);
                    assert_eq!(*rows(&answer["result"]), json!([[number]]), "round {round}");
                }
            });
        }
    });
}

#[test]
fn whoever_asks_on_and_on_without_listening_fills_no_memory() {
    // Answers that say something, not refusals, are what must not gather.
    let (_home, server, key) =
        acme("limits.requests_per_minute_per_key = 1000000\nlimits.requests_per_minute_per_org = 1000000");
    let bearer = format!("Bearer {key}");
    let one = request("POST", "/mcp", &[("Authorization", &bearer)], LIST.as_bytes());
    let many = one.repeat(64 * 1024 / one.len());
    let before = server.resident_bytes();
    let mut deaf: Vec<Wire<_>> = (0..3).map(|_| server.connect()).collect();
    let mut taken = 0;
    for wire in &mut deaf {
        // Until the server takes no more of this one, or it had far more than the system's buffers hold.
        let mut rounds = 0;
        while rounds < 1024 && wire.takes(&many) {
            rounds += 1;
        }
        taken += rounds * many.len();
        assert!(rounds < 1024, "64 MiB of questions were taken from somebody who reads no answer");
    }
    let grew = server.resident_bytes().saturating_sub(before);
    assert!(grew < 64 << 20, "{grew} bytes for {taken} bytes of questions");
    is_served(&server, &key);
}

#[test]
fn a_refused_request_among_many_on_one_connection_keeps_the_others_in_turn() {
    let (_home, server, key) = acme("");
    let bearer = format!("Bearer {key}");
    let wrong = format!("Bearer {}", forged(None));
    let mut wire = server.connect();
    for id in 0..10 {
        let authorization = if id % 2 == 0 { &bearer } else { &wrong };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        wire.request("POST", "/mcp", &[("Authorization", authorization)], body.as_bytes());
    }
    for id in 0..10 {
        let answer = wire.answer();
        let expected = if id % 2 == 0 { (200, json!(id)) } else { (401, Value::Null) };
        assert_eq!((answer.status, answer.json()["id"].clone()), expected);
    }
}

#[test]
fn whoever_reads_no_answer_holds_no_connection_of_the_source() {
    let (_home, server, key) = acme("sources.connections_per_source = 1\nquery.time_max_ms = 5000");
    let big = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT printf('%03000d', i) FROM n";
    // Far more than the system's buffers hold; of each, its head is read and nothing else.
    let deaf: Vec<_> = (0..4).map(|id| server.begin(&key, &json!(id), big)).collect();
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    // They were only slow: each finds its answer where it left it.
    for pending in deaf {
        assert!(pending.result()["structuredContent"]["row_count"].as_u64().unwrap() > 500);
    }
}
