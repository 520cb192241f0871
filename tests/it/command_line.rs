//! The command line as scripts use it, with a running server and without one.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::{Home, rows};

#[track_caller]
fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

/// A whole life of an organization, its source and its keys.
fn life(home: &Home) {
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    let org = home.json(&["org", "create", "acme"]);
    assert_eq!(members(&org), ["created_at", "id", "name"]);
    assert_eq!(home.json(&["org", "list"])["orgs"], json!([org]));

    let path = file.to_str().unwrap();
    let source = home.json(&["source", "add", "facts", "--path", path, "--description", "All facts"]);
    assert_eq!(members(&source), ["created_at", "description", "id", "kind", "name", "settings"]);
    assert_eq!((&source["name"], &source["kind"]), (&json!("facts"), &json!("sqlite")));
    assert_eq!(home.json(&["source", "list"])["sources"], json!([source]));
    let tested = home.json(&["source", "test", "facts"]);
    assert_eq!((members(&tested), &tested["ok"]), (vec!["elapsed_ms", "ok"], &json!(true)));

    let key = home.json(&["key", "create", "laptop", "--org", "acme"]);
    assert_eq!(members(&key), ["id", "key", "name", "org", "prefix"]);
    let secret = key["key"].as_str().unwrap();
    assert_eq!((secret.len(), &secret[..14]), (75, key["prefix"].as_str().unwrap()));
    let narrow = home.json(&["key", "create", "narrow", "--source", "facts", "--expires", "2099-01-31"]);
    assert_eq!(narrow["expires_at"], "2099-01-31T00:00:00Z");

    let listed = home.json(&["key", "list"]);
    let listed = listed["keys"].as_array().unwrap();
    assert_eq!(
        listed.iter().map(|key| key["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["laptop", "narrow"]
    );
    assert_eq!(
        (&listed[0]["status"], &listed[0]["enabled"], &listed[0]["owner"]),
        (&json!("active"), &json!(true), &Value::Null)
    );
    assert_eq!(listed[1]["sources"], json!(["facts"]));
    assert!(!listed[0].to_string().contains(secret));

    // By name, id or prefix.
    assert_eq!(home.json(&["key", "disable", "laptop"])["status"], "disabled");
    assert_eq!(home.json(&["key", "enable", key["id"].as_str().unwrap()])["status"], "active");
    assert_eq!(home.json(&["key", "rename", key["prefix"].as_str().unwrap(), "desk"])["name"], "desk");
    let rotated = home.json(&["key", "rotate", "desk", "--overlap", "1h"]);
    assert_eq!(members(&rotated), ["id", "key", "name", "prefix", "previous_valid_until"]);
    assert_eq!(rotated["id"], key["id"]);
    let deleted = home.json(&["key", "delete", "desk", "--yes"]);
    assert_eq!(deleted, json!({ "deleted": true, "id": key["id"], "name": "desk" }));
    let removed = home.json(&["source", "remove", "facts", "--yes"]);
    assert_eq!(removed, json!({ "deleted": true, "id": source["id"], "name": "facts" }));
}

#[test]
fn every_command_answers_in_its_documented_shape_without_a_server() {
    life(&Home::new());
}

#[test]
fn every_command_answers_in_its_documented_shape_with_a_server() {
    let home = Home::new();
    let mut server = home.serve();
    life(&home);
    server.stop();
}

#[test]
fn what_is_done_without_a_server_is_there_when_it_starts_and_the_other_way_round() {
    let home = Home::new();
    let file = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    home.json(&["org", "create", "acme"]);
    home.json(&["source", "add", "facts", "--path", file.to_str().unwrap()]);
    let key = home.json(&["key", "create", "early"])["key"].as_str().unwrap().to_owned();
    let mut server = home.serve();
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    let late = home.json(&["key", "create", "late"])["key"].as_str().unwrap().to_owned();
    assert_eq!(server.status(&late), 200);
    home.json(&["key", "delete", "early", "--yes"]);
    assert_eq!(server.status(&key), 401);
    server.stop();
    home.json(&["key", "delete", "late", "--yes"]);
    let server = home.serve();
    assert_eq!([server.status(&key), server.status(&late)], [401, 401]);
}

/// Several commands at once, of which each has to succeed.
fn at_once(home: &Home, key: impl Fn(usize) -> String) {
    let children: Vec<_> =
        (0..6).map(|i| home.command(&["key", "create", &key(i), "--json"]).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn commands_that_run_at_once_wait_for_each_other() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    at_once(&home, |i| format!("alone-{i}"));
    let _server = home.serve();
    at_once(&home, |i| format!("served-{i}"));
    assert_eq!(home.json(&["key", "list"])["keys"].as_array().unwrap().len(), 12);
}

#[test]
fn what_destroys_is_refused_where_nobody_can_be_asked() {
    let home = Home::new();
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &file);
    let key = server.key("acme", "client");
    for args in [
        &["key", "delete", "client"][..],
        &["key", "rotate", "client", "--overlap", "0"],
        &["source", "remove", "facts"],
    ] {
        let ran = home.cli(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains("--yes") && ran.err.lines().count() == 1, "{ran:?}");
        let ran = home.cli(&[args, &["--json"]].concat());
        let error: Value = serde_json::from_str(&ran.err).expect(&ran.err);
        assert_eq!((ran.code, &error["error"]["code"]), (2, &json!("not_confirmed")));
    }
    // A yes on a pipe is not a person's.
    let mut child = home.command(&["key", "delete", "client"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"y\ny\n").unwrap_or_default();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2));
    assert_eq!(server.status(&key), 200);
}

#[test]
fn errors_are_one_sentence_and_with_json_one_object() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    home.json(&["key", "create", "taken"]);
    for (args, code, with) in [
        (&["key", "delete", "nobody", "--yes"][..], "not_found", "API key"),
        (&["key", "create", "taken"], "name_taken", "taken"),
        (&["key", "create", "x", "--org", "nowhere"], "not_found", "organization"),
        (&["key", "create", ""], "invalid", "1 to 100"),
        (&["key", "create", &"n".repeat(101)], "invalid", "100"),
        (&["key", "create", "x", "--source", "nowhere"], "invalid", "data source"),
        (&["key", "rotate", "taken", "--overlap", "3000d"], "invalid", "overlap"),
        (&["org", "create", "acme"], "name_taken", "acme"),
        (&["source", "remove", "nowhere", "--yes"], "not_found", "data source"),
    ] {
        home.cli(args).refused(with);
        let ran = home.cli(&[args, &["--json"]].concat());
        let error: Value = serde_json::from_str(&ran.err).expect(&ran.err);
        assert_eq!(
            (ran.code, ran.out.as_str(), &error["error"]["code"]),
            (1, "", &json!(code)),
            "{args:?} {error}"
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(with), "{error}");
    }
    for args in [
        &["key", "create", "x", "--expires", "yesterday"][..],
        &["key", "create", "x", "--expires", "2001-01-01"],
        &["key"],
    ] {
        assert_eq!(home.cli(args).code, 2, "{args:?}");
    }
}

#[test]
fn the_demo_answers_from_real_tables_and_goes_on_when_it_is_run_again() {
    let home = Home::new();
    std::fs::remove_dir(home.data()).unwrap();
    let mut server = home.demo();
    assert_eq!(members(&server.printed), ["api_key", "mcp_url", "org", "set_up_url"]);
    assert_eq!(server.printed["org"], "demo");
    let key = server.printed["api_key"].as_str().unwrap().to_owned();
    let join = "SELECT s.name, count(*) FROM flights f JOIN airports a ON a.iata = f.origin JOIN states s ON s.code = a.state \
                WHERE s.code = 'WA' GROUP BY s.name";
    let row = rows(&server.query(&key, join))[0].clone();
    assert!(row[0] == "Washington" && row[1].as_u64().unwrap() > 10, "{row}");
    assert_eq!(home.json(&["key", "list", "--org", "demo"])["keys"].as_array().unwrap().len(), 1);
    server.stop();

    let mut server = home.demo();
    assert_eq!(server.printed["api_key"], Value::Null);
    assert_eq!(server.status(&key), 200);
    home.json(&["key", "delete", "sequel_mcp", "--yes"]);
    assert_eq!(server.status(&key), 401);
    server.stop();
}
