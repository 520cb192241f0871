//! The query log: what each call that touched a data source leaves, however it ends, and that nothing of its data is in it.

use std::io::Read as _;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::browser::{Browser, key_in, owner, serve_with as open};
use crate::canaries::{files, holds};
use crate::server::{ENDLESS, Home, TestServer, failure, rows};
use crate::waiting::{PATIENCE, poll, promptly};
use crate::wire::request;

const TABLE: &str = "CREATE TABLE t(x, y); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";

fn acme_with(config: &str) -> (Home, TestServer, String) {
    let home = Home::with(config);
    let path = home.database("facts.db", TABLE);
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "k");
    (home, server, key)
}

/// The log, the oldest entry first.
fn log(home: &Home, args: &[&str]) -> Vec<Value> {
    let listed = home.json(&[&["audit", "queries", "--org", "acme"], args].concat());
    listed["entries"].as_array().unwrap().iter().rev().cloned().collect()
}

/// Waits for so many entries: a call that is broken off ends when the server has noticed.
fn entries(home: &Home, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    poll(PATIENCE, "the calls are in the log", || {
        found = log(home, &[]);
        found.len() == count
    });
    found
}

fn told(entry: &Value) -> (&str, &str, &str, u64, &str) {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    (text("tool"), text("outcome"), text("why"), entry["rows"].as_u64().unwrap_or_default(), text("asked"))
}

#[test]
fn every_call_that_touches_a_source_leaves_who_what_and_how_it_ended() {
    let (home, server, key) =
        acme_with("query.rows_max = 2\nquery.rows_default = 2\nquery.time_max_ms = 500");
    server.query(&key, "SELECT y FROM t WHERE x = 2 -- two");
    server.query(&key, "SELECT x FROM t");
    server.query(&key, "DELETE FROM t");
    server.query(&key, "SELECT x FROM t; SELECT y FROM t");
    server.query(&key, "SELECT nothing FROM nowhere");
    server.query(&key, "SELECT (((");
    server.query(&key, ENDLESS);
    let tool = |name: &str, arguments: Value| {
        server.rpc(&key, "tools/call", json!({ "name": name, "arguments": arguments }))
    };
    tool("explain_query", json!({ "sql": "SELECT y FROM t WHERE x = 4242" }));
    tool("describe_table", json!({ "table": "T" }));
    tool("describe_table", json!({ "table": "secret-4242" }));
    tool("search_schema", json!({ "query": "4242" }));
    server.rpc(&key, "resources/read", json!({ "uri": "sequel://sources/facts" }));
    // These touch none.
    tool("list_data_sources", json!({}));
    server.rpc(&key, "tools/list", json!({}));
    server.call(&key, json!({ "source": "nowhere", "sql": "SELECT 1" }));
    let found = log(&home, &[]);
    let all: Vec<_> = found.iter().map(told).collect();
    assert_eq!(
        all[..6],
        [
            ("run_query", "ok", "", 1, "SELECT y FROM t WHERE x = ?"),
            ("run_query", "truncated", "rows", 2, "SELECT x FROM t"),
            ("run_query", "refused", "not_a_query", 0, ""),
            ("run_query", "refused", "several_statements", 0, ""),
            ("run_query", "sql_error", "", 0, ""),
            ("run_query", "sql_error", "", 0, ""),
        ]
    );
    assert_eq!((all[6].0, all[6].1), ("run_query", "timed_out"));
    assert!(all[6].4.starts_with("WITH RECURSIVE") && !all[6].4.contains(char::is_numeric), "{:?}", all[6]);
    assert!(found[6]["ran_ms"].as_u64().unwrap() >= 400, "{}", found[6]);
    assert_eq!(
        all[7..],
        [
            ("explain_query", "ok", "", 0, "SELECT y FROM t WHERE x = ?"),
            ("describe_table", "ok", "", 0, "t"),
            ("describe_table", "sql_error", "no_table", 0, ""),
            ("search_schema", "ok", "", 0, ""),
            ("resources/read", "ok", "", 0, ""),
        ]
    );
    for (number, entry) in (1..).zip(&found) {
        assert_eq!(
            (&entry["kind"], &entry["number"], &entry["source_name"]),
            (&json!("call"), &json!(number), &json!("facts")),
            "{entry}"
        );
        let by = json!({ "kind": "key", "id": key[4..14], "name": "k", "person": null });
        assert_eq!(entry["by"], by);
    }
    assert!(found[0]["bytes"].as_u64().unwrap() > 50, "{}", found[0]);
    // As people read it.
    let text = home.cli(&["audit", "queries", "--org", "acme", "--limit", "5"]).out;
    assert!(text.contains("describe_table") && !text.contains("truncated"), "{text}");
}

#[test]
fn the_request_that_a_client_is_told_is_the_one_in_the_log_and_in_the_servers_own() {
    let home = Home::new();
    let path = home.database("facts.db", TABLE);
    let mut server = home.serve_with(&[("SEQUEL__LOG__FILTER", "debug")]);
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "k");
    let arguments = json!({ "name": "run_query", "arguments": { "sql": "SELECT x FROM t" } });
    let answer = server.rpc(&key, "tools/call", arguments);
    let request = answer.header("x-request-id").unwrap();
    assert_eq!(log(&home, &[])[0]["request"], request);
    server.stop();
    assert!(server.log().contains(request));
}

#[test]
fn a_client_that_leaves_a_call_that_it_cancels_and_a_key_that_is_revoked_are_told_apart() {
    let (home, server, key) = acme_with("sources.connections_per_source = 4");
    let begin = |id: &str| {
        let pending = server.begin(&key, &json!(id), ENDLESS);
        server.works();
        pending
    };
    drop(begin("closes"));
    entries(&home, 1);
    begin("resets").wire.reset();
    entries(&home, 2);
    let cancelled = begin("cancels");
    let params = json!({ "requestId": "cancels" });
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string();
    let bearer = format!("Bearer {key}");
    server.post(&[("Authorization", &bearer), ("MCP-Protocol-Version", "2025-11-25")], body.as_bytes());
    promptly(|| cancelled.result());
    let removed = begin("loses its source");
    server.done("DELETE", "/orgs/acme/sources/facts", Value::Null);
    promptly(|| removed.result());
    server.source("acme", "facts", &home.databases().join("facts.db"));
    let revoked = begin("is revoked");
    server.delete_key("acme", "k");
    promptly(|| revoked.result());
    let found = entries(&home, 5);
    let outcomes: Vec<_> = found.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["disconnected", "disconnected", "cancelled", "source_removed", "revoked"]);
    for entry in &found {
        assert!(entry["asked"].as_str().is_some_and(|asked| asked.starts_with("WITH RECURSIVE")), "{entry}");
        // What is gone has no name any more, and the trail knows it by this id.
        assert_eq!((&entry["by"]["id"], &entry["by"]["name"]), (&json!(key[4..14]), &Value::Null));
    }
    assert_eq!((&found[3]["source_name"], &found[4]["source_name"]), (&Value::Null, &json!("facts")));
}

/// Sends a query whose answer of 8 MB no buffer takes in, and takes the beginning of it.
fn large(server: &TestServer, key: &str) -> TcpStream {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000) \
               SELECT i, printf('%.1000c', 'x') FROM n";
    let params = json!({ "name": "run_query", "arguments": { "sql": sql, "row_limit": 4000 } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let mut wire = server.connect();
    wire.send(&request("POST", "/mcp", &[("Authorization", &format!("Bearer {key}"))], body.as_bytes()));
    assert_eq!(wire.head().unwrap().status, 200);
    // All of it is made before any of it is sent.
    let mut stream = wire.into_inner();
    stream.read_exact(&mut [0; 100_000]).unwrap();
    stream
}

#[test]
fn an_answer_that_is_broken_off_while_it_is_sent_is_told_as_that_with_the_most_that_left() {
    let (home, server, key) = acme_with("");
    drop(large(&server, &key));
    let left = &entries(&home, 1)[0];
    assert_eq!((&left["outcome"], &left["rows"]), (&json!("disconnected"), &json!(4000)), "{left}");
    assert!(left["bytes"].as_u64().unwrap() > 8_000_000, "{left}");
    let mut held = large(&server, &key);
    server.delete_key("acme", "k");
    // Who goes on reading finds the end of it.
    promptly(|| std::io::copy(&mut held, &mut std::io::sink()).ok());
    let revoked = entries(&home, 2)[1].clone();
    assert_eq!((&revoked["outcome"], &revoked["rows"]), (&json!("revoked"), &json!(4000)), "{revoked}");
}

#[test]
fn who_waits_for_a_connection_in_vain_is_told_as_busy_with_how_long() {
    let (home, server, key) = acme_with("sources.connections_per_source = 1");
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    let said = failure(&server.query(&key, "SELECT 1"));
    assert!(said.contains("busy"), "{said}");
    let found = log(&home, &[]);
    assert_eq!(told(&found[0]), ("run_query", "busy", "", 0, ""));
    assert!(found[0]["waited_ms"].as_u64().unwrap() >= 4_000 && found[0]["ran_ms"] == 0, "{}", found[0]);
    drop(running);
}

#[test]
fn a_flood_beyond_what_may_wait_is_counted_in_the_log_itself() {
    let (home, server, key) = acme_with("audit.queries_waiting_max = 5\nquery.concurrent_per_key = 8");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..50).for_each(|_| drop(server.query(&key, "SELECT 1"))));
        }
    });
    let found = log(&home, &["--limit", "10000"]);
    let calls = found.iter().filter(|entry| entry["kind"] == "call").count() as u64;
    let lost: u64 = found.iter().filter_map(|entry| entry["calls"].as_u64()).sum();
    assert!(lost > 0 && calls >= 5, "{found:?}");
    assert_eq!(calls + lost, 300, "each call is either there or counted");
    // The other trail has lost nothing.
    let trail = home.json(&["audit", "list", "--org", "acme"]);
    assert_eq!(trail["entries"].as_array().unwrap().len(), 3);
    assert!(home.cli(&["audit", "queries", "--org", "acme"]).out.contains("found no room"));
}

#[test]
fn the_log_is_bounded_and_pushes_nothing_out_of_the_audit_trail() {
    let (home, server, key) = acme_with("audit.queries_max = 10\naudit.entries_max = 10");
    for n in 0..30 {
        server.query(&key, &format!("SELECT x AS c{n} FROM t"));
        if n == 12 {
            // Written in two rounds at least.
            assert_eq!(log(&home, &[]).len(), 10);
        }
    }
    let found = log(&home, &[]);
    assert_eq!(found.len(), 10);
    assert_eq!((&found[0]["number"], &found[9]["number"]), (&json!(21), &json!(30)));
    assert_eq!(found[9]["asked"], "SELECT x AS c29 FROM t");
    assert_eq!(home.json(&["audit", "list", "--org", "acme"])["entries"].as_array().unwrap().len(), 3);
}

#[test]
fn a_proper_stop_loses_no_entry_and_a_kill_none_that_was_written() {
    let (home, mut server, key) = acme_with("");
    for _ in 0..7 {
        server.query(&key, "SELECT x FROM t");
    }
    server.stop();
    let mut server = home.serve();
    assert_eq!(log(&home, &[]).len(), 7);
    server.query(&key, "SELECT x FROM t");
    assert_eq!(log(&home, &[]).len(), 8, "who reads it has it written down");
    server.query(&key, "SELECT x FROM t");
    server.kill();
    let server = home.serve();
    let kept = log(&home, &[]).len();
    println!("9 calls and a kill right behind the last: {kept} entries");
    assert!((8..=9).contains(&kept), "{kept}");
    server.query(&key, "SELECT y FROM t");
    let found = log(&home, &[]);
    assert_eq!(found.last().unwrap()["number"], kept + 1, "a number is given once");
}

#[test]
fn what_is_kept_is_the_operators_decision() {
    for (kept, expected) in [("numbers", Some(Value::Null)), ("never", None)] {
        let (home, server, key) = acme_with(&format!("audit.queries = \"{kept}\""));
        server.query(&key, "SELECT x FROM t");
        server.rpc(&key, "tools/call", json!({ "name": "describe_table", "arguments": { "table": "t" } }));
        let found = log(&home, &[]);
        assert_eq!(found.first().map(|entry| entry["asked"].clone()), expected, "{kept}");
        assert_eq!(found.len(), if expected.is_some() { 2 } else { 0 });
    }
}

#[test]
fn a_filter_finds_who_which_source_and_which_outcome() {
    let (home, server, key) = acme_with("");
    server.source("acme", "other", &home.database("other.db", TABLE));
    let second = server.key("acme", "second key");
    server.call(&key, json!({ "source": "facts", "sql": "SELECT 1" }));
    server.call(&second, json!({ "source": "other", "sql": "SELECT 2" }));
    server.call(&second, json!({ "source": "facts", "sql": "DROP TABLE t" }));
    let count = |args: &[&str]| log(&home, args).len();
    assert_eq!((count(&[]), count(&["--by", "SECOND"]), count(&["--by", &key[..14]])), (3, 2, 1));
    assert_eq!((count(&["--source", "other"]), count(&["--outcome", "refused"])), (1, 1));
    assert_eq!(count(&["--by", "second", "--outcome", "ok", "--source", "facts"]), 0);
    assert_eq!((count(&["--since", "1h"]), count(&["--since", "2100-01-01"])), (3, 0));
    assert_eq!(count(&["--limit", "2"]), 2);
    for (wrong, says) in [
        (["--outcome", "splendid"], "timed_out"),
        (["--by", "nobody"], "person"),
        (["--source", "nowhere"], "data source"),
    ] {
        let refused = home.cli(&[&["audit", "queries", "--org", "acme"], &wrong[..]].concat());
        assert_ne!(refused.code, 0);
        assert!(refused.err.contains(says), "{}", refused.err);
    }
    let page = |query: &str| server.done("GET", &format!("/orgs/acme/audit/queries{query}"), Value::Null);
    let first = page("?limit=2");
    let rest = page(&format!("?limit=2&before={}", first["next"]));
    assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    let status =
        |query: &str| server.admin("GET", &format!("/orgs/acme/audit/queries{query}"), &Value::Null).status;
    assert_eq!((status("?limit=1000"), status("?limit=1001"), status("?limit=0")), (200, 422, 422));
    assert_eq!((status("?before=x"), status("?outcom=ok")), (400, 400));
}

#[test]
fn nothing_of_what_was_read_or_asked_is_in_the_log_a_page_a_backup_or_a_file() {
    let home = Home::new();
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES ('row-canary-5151')");
    let mut server = open(&home, &[("SEQUEL__LOG__FILTER", "trace")]);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "k");
    let result = server.query(&key, "SELECT x FROM t WHERE x <> 'sql-canary-4242'");
    assert_eq!(*rows(&result), json!([["row-canary-5151"]]));
    for sql in [
        "SELECT x /* sql-canary-4242 */ FROM t WHERE x = \"sql-canary-4242\" -- sql-canary-4242",
        "SELECT x FROM t WHERE x = sqlcanary4242",
        "SELECT x FROM t WHERE x = 'sql-canary-4242",
        "DELETE FROM t WHERE x = 'sql-canary-4242'",
        "SELECT x FROM sqlcanary4242",
        "SELECT writefile('sql-canary-4242')",
    ] {
        server.query(&key, sql);
    }
    for (tool, arguments) in [
        ("search_schema", json!({ "query": "sql-canary-4242" })),
        ("describe_table", json!({ "table": "sql-canary-4242" })),
        ("describe_table", json!({ "table": "t" })),
        ("explain_query", json!({ "sql": "SELECT x FROM t WHERE x = 'sql-canary-4242'" })),
    ] {
        server.rpc(&key, "tools/call", json!({ "name": tool, "arguments": arguments }));
    }
    let listed = log(&home, &[]);
    assert_eq!(listed.len(), 11);
    let page = ada.get(&format!("{base}/queries")).text();
    assert!(
        page.contains("SELECT x FROM t WHERE x &lt;&gt; ?") || page.contains("SELECT x FROM t WHERE x"),
        "{page}"
    );
    let number = listed[0]["number"].clone();
    let backup = home.path().join("all.backup");
    home.json(&["backup", backup.to_str().unwrap()]);
    let told = [
        page,
        ada.get(&format!("{base}/queries.json")).text(),
        ada.get(&format!("{base}/queries/{number}")).text(),
        json!(listed).to_string(),
        String::from_utf8_lossy(&std::fs::read(&backup).unwrap()).into_owned(),
        server.log(),
    ];
    for canary in ["canary-4242", "canary4242", "canary-5151"] {
        for text in &told {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    server.stop();
    for (file, bytes) in files(&home.data()) {
        assert!(!holds(&bytes, "canary"), "a canary in {}", file.display());
    }
    let checked = home.json(&["storage", "check"]);
    assert_eq!((&checked["ok"], &checked["holds"]["queries"]), (&json!(true), &json!(11)));
}

#[test]
fn a_backup_takes_the_log_along_and_a_restore_brings_it_back() {
    let (home, mut server, key) = acme_with("");
    for _ in 0..3 {
        server.query(&key, "SELECT x FROM t");
    }
    assert_eq!(log(&home, &[]).len(), 3);
    let backup = home.path().join("all.backup");
    let backup = backup.to_str().unwrap();
    home.json(&["backup", backup]);
    server.query(&key, "SELECT y FROM t");
    server.stop();
    // Onto what goes further: its own log stays.
    home.json(&["restore", backup, "--replace", "--trust-keys", "--yes"]);
    let mut server = home.serve();
    let numbers =
        |found: Vec<Value>| found.iter().map(|entry| entry["number"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers(log(&home, &[])), [1, 2, 3, 4]);
    server.stop();
    let empty = Home::new();
    empty.json(&["restore", backup, "--yes"]);
    let _server = empty.serve();
    assert_eq!(numbers(log(&empty, &[])), [1, 2, 3]);
}

/// Somebody who is in the organization as this, in their browser, with a key of their own.
fn joined<'a>(server: &'a TestServer, base: &str, email: &str, role: &str) -> (Browser<'a>, String) {
    let mut browser = Browser::of(server, email);
    server.done("POST", "/orgs/acme/members", json!({ "user": email, "role": role }));
    browser.get(&format!("{base}/keys/new"));
    let fields = [("name", email), ("reach", "all"), ("expires", "90d"), ("owner", "me")];
    let page = browser.post(&format!("{base}/keys/new"), &fields).text();
    (browser, key_in(&page).unwrap_or_default())
}

#[test]
fn owners_and_admins_see_every_query_a_member_their_own_and_a_viewer_none() {
    let home = Home::new();
    let server = open(&home, &[]);
    let (mut ada, base) = owner(&server, "acme", "ada@example.com");
    server.source("acme", "facts", &home.database("facts.db", TABLE));
    let (mut bob, bobs) = joined(&server, &base, "bob@example.com", "member");
    let (mut eve, none) = joined(&server, &base, "eve@example.com", "viewer");
    let (mut dan, dans) = joined(&server, &base, "dan@example.com", "admin");
    assert!(none.is_empty());
    let at = format!("{base}/queries");
    assert!(ada.get(&at).text().contains("No data source was asked anything yet"));
    server.query(&bobs, "SELECT x FROM t");
    server.query(&dans, "SELECT y FROM t");
    for browser in [&mut ada, &mut dan] {
        let page = browser.get(&at).text();
        assert!(page.contains("SELECT x FROM t") && page.contains("SELECT y FROM t"), "{page}");
        assert!(page.contains("bob@example.com") && page.contains("dan@example.com"));
        let filtered = browser.get(&format!("{at}?by=BOB@")).text();
        assert!(filtered.contains("SELECT x FROM t") && !filtered.contains("SELECT y FROM t"));
        let none = browser.get(&format!("{at}?outcome=refused")).text();
        assert!(none.contains("No call matches"), "{none}");
        assert!(
            browser.get(&format!("{base}/audit")).text().contains(&at),
            "a way from the one to the other"
        );
    }
    let page = bob.get(&at).text();
    assert!(page.contains("SELECT x FROM t") && !page.contains("SELECT y FROM t"), "{page}");
    assert!(page.contains("Your queries") && !page.contains("dan@example.com"));
    let forged = bob.get(&format!("{at}?by={}", &dans[4..14])).text();
    assert!(!forged.contains("SELECT y FROM t"));
    let exported = bob.get(&format!("{at}.json")).json();
    assert_eq!(exported["entries"].as_array().unwrap().len(), 1);
    let (his, other) = (bob.get(&format!("{at}/1")), bob.get(&format!("{at}/2")));
    assert!(his.text().contains("SELECT x FROM t"));
    assert_eq!((other.status, bob.get(&format!("{at}/77")).status), (404, 404));
    assert!(
        bob.get(&format!("{base}/keys/{}", &bobs[4..14]))
            .text()
            .contains(&format!("{at}?by={}", &bobs[4..14]))
    );
    for path in [at.clone(), format!("{at}.json"), format!("{at}/1")] {
        assert_eq!(eve.get(&path).status, 403, "{path}");
    }
}
