//! Usage: by key, data source and day; and what a kill leaves of it.

use serde_json::{Value, json};

use sequel::context::Clock;

use crate::server::{Home, TestServer};
use crate::waiting::{PATIENCE, poll};

fn lines(home: &Home, args: &[&str]) -> Vec<Value> {
    let usage = home.json(&[&["usage", "--org", "acme"], args].concat());
    usage["lines"].as_array().unwrap().clone()
}

/// With a source of three rows and a key.
fn acme(home: &Home) -> (TestServer, String) {
    let server = home.serve();
    server.org("acme");
    let path = home.database("d.sqlite", "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3)");
    server.source("acme", "d", &path);
    let key = server.key("acme", "k");
    (server, key)
}

#[test]
fn calls_rows_and_errors_are_told_by_key_source_and_day() {
    let home = Home::new();
    let (server, key) = acme(&home);
    let other = server.key("acme", "other");
    for _ in 0..2 {
        server.query(&key, "SELECT x FROM t");
    }
    server.query(&key, "SELECT nothing FROM nowhere");
    server.rpc(&other, "tools/call", json!({ "name": "list_data_sources", "arguments": {} }));
    // No tool, no call.
    server.rpc(&other, "tools/list", json!({}));
    let told = lines(&home, &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    let line = &told[0];
    assert_eq!((&line["key_name"], &line["source_name"]), (&json!("k"), &json!("d")));
    assert_eq!((&line["calls"], &line["rows"], &line["errors"]), (&json!(3), &json!(6), &json!(1)));
    assert!(line["bytes"].as_u64().unwrap() > 20 && line["queries"].as_u64().unwrap() >= 2, "{line}");
    assert_eq!((&told[1]["key_name"], &told[1]["source"]), (&json!("other"), &Value::Null));
    assert_eq!(told[1]["calls"], 1);
    assert_eq!(lines(&home, &["--key", "other"]), told[1..]);
    assert_eq!(lines(&home, &["--source", "d", "--days", "1"]), told[..1]);
    assert_eq!(home.cli(&["usage", "--org", "acme", "--key", "nobody"]).code, 1);
    // What a deleted key did stays, under its id and prefix.
    let prefix = &key[..14];
    server.delete_key("acme", "k");
    let gone = lines(&home, &["--key", prefix]);
    assert_eq!((gone.len(), &gone[0]["key_name"], &gone[0]["calls"]), (1, &Value::Null, &json!(3)));
    let text = home.cli(&["usage", "--org", "acme"]).out;
    assert!(text.contains("(gone)") && text.contains("total"), "{text}");
    for (days, status) in [(1, 200), (3_650, 200), (0, 422), (3_651, 422)] {
        let path = format!("/orgs/acme/usage?days={days}");
        assert_eq!(server.admin("GET", &path, &Value::Null).status, status, "{days}");
    }
}

/// The calls that are on the disk, read past the server.
fn written(home: &Home) -> u64 {
    let path = home.data().join("sequel.db");
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT coalesce(sum(json_extract(CAST(value AS TEXT), '$.calls')), 0) FROM records \
               WHERE CAST(key AS TEXT) GLOB 'usage/*'";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_kill_loses_no_use_that_the_timer_has_written_and_at_most_those_since() {
    const CALLS: u64 = 40;
    let home = Home::on_sqlite("");
    let (mut server, key) = acme(&home);
    for _ in 0..CALLS {
        server.query(&key, "SELECT x FROM t");
    }
    // Nobody asks for it: the timer alone writes it down.
    let clock = Clock::system();
    poll(PATIENCE, "usage is written down", || written(&home) == CALLS);
    let after = clock.elapsed();
    for _ in 0..CALLS {
        server.query(&key, "SELECT x FROM t");
    }
    server.kill();
    let _again = home.serve();
    let told: u64 = lines(&home, &[]).iter().map(|line| line["calls"].as_u64().unwrap()).sum();
    println!(
        "written {after:?} after the last call; {CALLS} calls, then {CALLS} and a kill: {told} are told"
    );
    assert!((CALLS..=2 * CALLS).contains(&told), "{told}");
}

#[test]
fn a_proper_stop_loses_no_use() {
    const CALLS: u64 = 7;
    let home = Home::on_sqlite("");
    let (mut server, key) = acme(&home);
    for _ in 0..CALLS {
        server.query(&key, "SELECT x FROM t");
    }
    server.stop();
    assert_eq!(written(&home), CALLS);
    assert_eq!(lines(&home, &[])[0]["calls"], CALLS);
}
