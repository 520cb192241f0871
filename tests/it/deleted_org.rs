//! An organization's deletion as its clients and its operator see it.

use serde_json::{Value, json};

use crate::server::{ENDLESS, Home, failure, rows};
use crate::waiting::{PATIENCE, PROMISED, poll};

#[test]
fn a_deleted_org_is_refused_at_once_and_its_running_queries_end() {
    let home = Home::new();
    let file = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let server = home.serve();
    for org in ["acme", "other"] {
        server.org(org);
        server.source(org, "facts", &file);
    }
    let (key, kept) = (server.key("acme", "k"), server.key("other", "k"));
    let revoked = server.key("acme", "revoked");
    server.delete_key("acme", "revoked");
    let running = server.begin(&key, &json!(1), ENDLESS);
    server.works();
    let deleted = home.json(&["org", "delete", "acme", "--yes"]);
    assert_eq!((&deleted["deleted"], &deleted["purged"]), (&json!(true), &json!(false)));
    let clock = sequel::context::Clock::system();
    failure(&running.result());
    assert!(clock.elapsed() < PROMISED, "{:?}", clock.elapsed());
    // As if it had never been: the same answer as to a key that nobody has.
    let (refused, unknown) =
        (server.rpc(&key, "tools/list", json!({})), server.rpc(&revoked, "tools/list", json!({})));
    assert_eq!((refused.status, refused.text()), (401, unknown.text()));
    let (gone, missing) =
        (server.admin("GET", "/orgs/acme", &Value::Null), server.admin("GET", "/orgs/nowhere", &Value::Null));
    assert_eq!((gone.status, gone.text()), (404, missing.text()));
    assert_eq!(*rows(&server.query(&kept, "SELECT x FROM t")), json!([[1]]));

    home.json(&["org", "restore", "acme"]);
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    assert_eq!(server.status(&revoked), 401);
}

#[test]
fn a_deletion_outlives_a_kill_and_so_does_its_undoing() {
    let home = Home::new();
    let mut server = home.serve();
    server.org("acme");
    let key = server.key("acme", "k");
    server.done("DELETE", "/orgs/acme", Value::Null);
    server.kill();
    let mut server = home.serve();
    assert_eq!(server.status(&key), 401);
    server.done("POST", "/orgs/acme/restore", Value::Null);
    server.kill();
    let server = home.serve();
    assert_eq!(server.status(&key), 200);
}

#[test]
fn a_server_purges_what_is_due_and_its_name_is_free_again() {
    let home = Home::on_sqlite("[orgs]\ndelete_grace_seconds = 1");
    let mut server = home.serve();
    server.org("acme");
    server.key("acme", "k");
    server.done("DELETE", "/orgs/acme", Value::Null);
    let listed = || server.done("GET", "/orgs?deleted=true", Value::Null)["orgs"].as_array().unwrap().len();
    poll(PATIENCE, "the organization is purged", || listed() == 0);
    server.org("acme");
    server.stop();
    // Nothing of the first one is left but the name in the log of what happened.
    let store = rusqlite::Connection::open(home.data().join("sequel.db")).unwrap();
    let left = "SELECT count(*) FROM org_records WHERE org NOT IN (SELECT id FROM orgs)";
    assert_eq!(store.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn an_org_that_is_deleted_for_good_is_gone_without_a_server_too() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    home.json(&["key", "create", "k"]);
    let refused = home.cli(&["org", "delete", "acme"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    home.json(&["org", "delete", "acme", "--yes"]);
    home.cli(&["org", "create", "acme"]).refused("deleted organization");
    assert_eq!(home.json(&["org", "list"])["orgs"], json!([]));
    assert!(home.json(&["org", "list", "--deleted"])["orgs"][0]["purge_at"].is_string());
    let gone = home.json(&["org", "delete", "acme", "--now", "--yes"]);
    assert_eq!(gone["purged"], true);
    home.cli(&["org", "restore", "acme"]).refused("deleted organization");
    assert_eq!(home.json(&["org", "list", "--deleted"])["orgs"], json!([]));
    home.json(&["org", "create", "acme"]);
}
