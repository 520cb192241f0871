//! A server whose records are in Postgres, seen from outside: the database goes away and comes back, and a second
//! server is told who serves.

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::backing::Backing;
use crate::proxy::{Mood, Proxy};
use crate::server::{Home, TestServer, rows};
use crate::waiting::{PATIENCE, poll};

/// A server on a fresh database behind a proxy, one organization, a source and a key.
fn served() -> (Home, Backing, Proxy, TestServer, String) {
    let backing = Backing::postgres();
    let url = backing.url().expect("a database's URL");
    let proxy = Proxy::before(&url);
    let (_, database) = url.rsplit_once('/').unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", proxy.port);
    let home = Home::on_sqlite(&format!("storage.url = {url:?}\n"));
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &path);
    let key = server.key("acme", "k");
    (home, backing, proxy, server, key)
}

#[test]
fn while_the_database_is_away_changes_are_refused_keys_go_on_and_all_is_well_afterwards() {
    let (_home, _backing, proxy, mut server, key) = served();
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    proxy.is(Mood::Cut);
    let refused = server.admin("POST", "/orgs/acme/keys", &json!({ "name": "lost" }));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    // What was published is verified from memory, until the server can no longer be sure that it is alone.
    assert_eq!(server.status(&key), 200);
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    poll(PATIENCE, "the server is no longer sure", || server.status(&key) == 503);
    proxy.is(Mood::Open);
    poll(PATIENCE, "the key works again", || server.status(&key) == 200);
    let mut made = 0;
    poll(PATIENCE, "changes are made again", || {
        made += 1;
        server.admin("POST", "/orgs/acme/keys", &json!({ "name": format!("later-{made}") })).status == 201
    });
    // Never a success that was none.
    let names = server.admin("GET", "/orgs/acme/keys", &json!(null)).text();
    assert!(!names.contains("lost"), "{names}");
    server.stop();
}

#[test]
fn a_revoke_that_did_not_happen_is_never_answered_as_one() {
    let (_home, _backing, proxy, mut server, key) = served();
    proxy.is(Mood::Silent);
    let refused = server.admin("DELETE", "/orgs/acme/keys/k", &json!(null));
    assert!(matches!(refused.status, 500 | 503), "{} {}", refused.status, refused.text());
    proxy.is(Mood::Open);
    // Whichever it was, it is one of the two, and a repeated revoke is one.
    poll(PATIENCE, "the revoke is made", || {
        matches!(server.admin("DELETE", "/orgs/acme/keys/k", &json!(null)).status, 204 | 200 | 404)
    });
    poll(PATIENCE, "the key is refused", || server.status(&key) == 401);
    server.stop();
}

#[test]
fn a_second_server_on_one_database_is_told_who_serves_and_the_first_does_not_mind() {
    let (_home, backing, _proxy, mut server, key) = served();
    let url = backing.url().expect("a database's URL");
    let other = Home::on_sqlite(&format!("storage.url = {url:?}\n"));
    let ran = other.cli(&["serve", "--port", "0"]);
    ran.refused("in use by another Sequel process");
    assert!(ran.err.contains(&server.pid().as_raw_nonzero().to_string()), "{ran:?}");
    // A command is no second server: it asks the first, which the lease names.
    assert_eq!(other.json(&["org", "list"])["orgs"][0]["name"], "acme");
    assert_eq!(server.status(&key), 200);
    server.stop();
    assert_eq!(other.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn a_server_that_was_paused_and_succeeded_ends_by_itself_and_leaves_its_successor_alone() {
    let (home, _backing, _proxy, mut paused, key) = served();
    assert_eq!(paused.status(&key), 200);
    kill_process(paused.pid(), Signal::STOP).unwrap();
    // On the same data folder, as whoever takes a server for dead starts it anew.
    let mut server = home.serve();
    server.delete_key("acme", "k");
    kill_process(paused.pid(), Signal::CONT).unwrap();
    let status = paused.wait();
    let log = paused.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let last = log.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("Error: Another Sequel process has taken over the store"), "{log}");
    assert_eq!(server.status(&key), 401);
    assert_eq!(home.json(&["org", "list"])["orgs"][0]["name"], "acme", "the socket is the successor's");
    server.stop();
}

#[test]
fn a_password_is_read_from_its_file_and_shown_nowhere() {
    let backing = Backing::postgres();
    let url = backing.url().expect("a database's URL");
    let home = Home::on_sqlite(&format!("storage.url = {url:?}\nstorage.password_file = \"password\"\n"));
    let refused = home.cli(&["org", "create", "acme"]);
    refused.refused("storage.password_file cannot be read");
    std::fs::write(home.path().join("password"), "hunter2\n").unwrap();
    // The cluster trusts everybody: what is tested is that it is read, and not told.
    home.json(&["org", "create", "acme"]);
    let shown = home.cli(&["config", "show"]);
    assert!(shown.out.contains("postgres:[redacted]") && !shown.out.contains("hunter2"), "{}", shown.out);
}
