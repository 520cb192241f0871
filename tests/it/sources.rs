//! Which files may become data sources (THREATS 20 and 21): one sentence each, exit code 1.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::server::{Home, Ran, rows};

fn add(home: &Home, path: &str) -> Ran {
    home.cli(&["source", "add", "facts", "--org", "acme", "--path", path])
}

fn acme(home: &Home) {
    home.json(&["org", "create", "acme"]);
}

#[test]
fn files_outside_the_allowed_folders_are_refused() {
    let home = Home::new();
    acme(&home);
    let outside = home.path().join("outside.db");
    rusqlite::Connection::open(&outside).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    add(&home, &text(&outside)).refused("outside the folders");
    add(&home, "/etc/passwd").refused("outside the folders");
    // Where nothing is, the answer is the same: nobody feels his way through the disk.
    add(&home, "/etc/nothing-of-this-name").refused("outside the folders");
    add(&home, &format!("{}/../outside.db", text(&home.databases()))).refused("..");
    add(&home, &text(&home.databases())).refused("");

    symlink(&outside, home.databases().join("link.db")).unwrap();
    add(&home, &text(&home.databases().join("link.db"))).refused("outside the folders");
    symlink(home.path(), home.databases().join("up")).unwrap();
    add(&home, &text(&home.databases().join("up/outside.db"))).refused("outside the folders");
    symlink("/nowhere/at/all", home.databases().join("dangling.db")).unwrap();
    add(&home, &text(&home.databases().join("dangling.db"))).refused("symbolic link");

    assert_eq!(home.json(&["source", "list", "--org", "acme"]), json!({ "sources": [] }));
}

#[test]
fn uris_missing_files_and_files_that_are_no_database_are_refused() {
    let home = Home::new();
    acme(&home);
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    for uri in [
        format!("file:{}", file.display()),
        format!("file:{}?mode=rwc", file.display()),
        ":memory:".to_owned(),
    ] {
        // As a setting, since --path makes it a path of the working directory.
        let setting = format!("path={uri}");
        let ran = home.cli(&["source", "add", "facts", "--org", "acme", "--set", &setting]);
        ran.refused("URIs");
    }
    add(&home, home.databases().join("missing.db").to_str().unwrap()).refused("no such file");
    let other = home.cli(&["source", "add", "facts", "--org", "acme", "--kind", "oracle", "--set", "path=x"]);
    other.refused("oracle");
    let setting = format!("path={}", file.display());
    let more = home.cli(&["source", "add", "facts", "--org", "acme", "--set", &setting, "--set", "mode=rwc"]);
    more.refused("mode");
    home.cli(&["source", "add", "facts", "--org", "acme"]).refused("path");

    // What is no database is found out by asking it.
    std::fs::write(home.databases().join("text.db"), "Dear diary, this is no database at all.\n".repeat(100))
        .unwrap();
    home.json(&[
        "source",
        "add",
        "text",
        "--org",
        "acme",
        "--path",
        home.databases().join("text.db").to_str().unwrap(),
    ]);
    let tested = home.cli(&["source", "test", "text", "--org", "acme", "--json"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    let tested: serde_json::Value = serde_json::from_str(&tested.out).unwrap();
    assert_eq!(tested["ok"], false);
    assert!(tested["error"].as_str().unwrap().len() > 10, "{tested}");
}

#[test]
fn the_servers_own_store_is_refused_under_every_name() {
    let home = Home::on_sqlite("");
    // A second folder, and in it the server's own data.
    let config = format!("sources.sqlite.folders = [{:?}]\n", home.path());
    std::fs::write(home.path().join("sequel.toml"), config).unwrap();
    acme(&home);
    let store = home.data().join("sequel.db");
    assert!(store.is_file());
    for name in ["sequel.db", "sequel.db.lock"] {
        add(&home, home.data().join(name).to_str().unwrap()).refused("belongs to the server itself");
    }
    std::fs::hard_link(&store, home.databases().join("innocent.db")).unwrap();
    add(&home, home.databases().join("innocent.db").to_str().unwrap())
        .refused("belongs to the server itself");
}

#[test]
fn without_an_allowed_folder_nothing_can_be_connected() {
    let home = Home::new();
    std::fs::write(home.path().join("sequel.toml"), "").unwrap();
    acme(&home);
    let file = home.database("facts.db", "CREATE TABLE t(x)");
    add(&home, file.to_str().unwrap()).refused("No folder is allowed");
}

#[test]
fn a_file_that_is_exchanged_for_a_link_afterwards_is_not_followed() {
    let home = Home::new();
    let file = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let outside = home.path().join("outside.db");
    std::fs::copy(&file, &outside).unwrap();
    let mut server = home.serve();
    server.org("acme");
    server.source("acme", "facts", &file);
    let key = server.key("acme", "client");
    assert_eq!(*rows(&server.query(&key, "SELECT x FROM t")), json!([[1]]));
    server.stop();
    std::fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    let server = home.serve();
    let said = crate::server::failure(&server.query(&key, "SELECT x FROM t"));
    assert!(said.contains("cannot be opened") && !said.contains("outside.db"), "{said}");
    home.cli(&["source", "test", "facts", "--org", "acme"]);
}
