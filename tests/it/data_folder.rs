//! A data folder or address that cannot be used: one sentence that says what to do, exit code ≠ 0.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server::{Home, Ran, Running, run};
use crate::waiting::{PATIENCE, poll};

/// What the server and a command say on a data folder.
fn both(home: &Home, folder: &Path) -> [Ran; 2] {
    [&["serve", "--port", "0"][..], &["org", "list"]].map(|args| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sequel"));
        command.args(args).arg("--data-dir").arg(folder).env_clear().env("HOME", home.path());
        run(command.current_dir(home.path()).stdin(Stdio::null()))
    })
}

#[test]
fn a_folder_that_is_not_there_is_not_made_silently() {
    let home = Home::new();
    let folder = home.path().join("typo");
    for ran in both(&home, &folder) {
        ran.refused("does not exist");
    }
    assert!(!folder.exists());
}

#[test]
fn a_file_in_the_folders_place_is_refused() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for ran in both(&home, &file) {
        ran.refused("is not a folder");
    }
    for ran in both(&home, &file.join("beneath")) {
        ran.refused("data folder");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    // Also where the tests run as root, whom no mode keeps out: the store's file is a folder, and a
    // link that leads to itself stands for what cannot be looked at.
    let home = Home::on_sqlite("");
    std::fs::create_dir(home.data().join("sequel.db")).unwrap();
    for ran in both(&home, &home.data()) {
        ran.refused("it is a folder");
    }
    let turning = home.path().join("turning");
    std::os::unix::fs::symlink(&turning, &turning).unwrap();
    for ran in both(&home, &turning) {
        ran.refused("turning");
    }
}

#[test]
fn a_folder_in_use_by_another_server_is_refused_and_the_other_server_does_not_mind() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let ran = home.cli(&["serve", "--port", "0"]);
    ran.refused("in use by another Sequel process");
    assert!(ran.err.contains(&server.pid().as_raw_nonzero().to_string()), "{ran:?}");
    home.cli(&["demo", "--port", "0"]).refused("in use by another Sequel process");
    assert_eq!(server.http("GET", "/readyz", &[], b"").status, 200);
    // A command is no second server: it asks the first.
    assert_eq!(home.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn a_store_of_a_newer_version_is_left_as_it_is() {
    let home = Home::on_sqlite("");
    home.json(&["org", "create", "acme"]);
    let path = home.data().join("sequel.db");
    let store = rusqlite::Connection::open(&path).unwrap();
    let known: u32 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    store.execute_batch("PRAGMA user_version = 4711; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    for ran in both(&home, &home.data()) {
        ran.refused("newer version of Sequel");
        assert!(ran.err.contains("4711"), "{ran:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", known).unwrap();
    assert_eq!(home.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn a_file_that_is_no_store_of_ours_is_left_as_it_is() {
    let home = Home::on_sqlite("");
    let path = home.data().join("sequel.db");
    let private = || {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
    };
    std::fs::write(&path, "Dear diary, this is no database at all.\n".repeat(200)).unwrap();
    private();
    let before = std::fs::read(&path).unwrap();
    for ran in both(&home, &home.data()) {
        ran.refused("not a readable Sequel store");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs(x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    private();
    for ran in both(&home, &home.data()) {
        ran.refused("not a readable Sequel store");
    }
    let theirs: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT x FROM theirs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(theirs, 1);
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for command in ["serve", "demo"] {
        home.cli(&[command, "--port", &port]).refused(&format!("127.0.0.1:{port} is in use"));
    }
    // The lock was not kept.
    home.json(&["org", "list"]);
}

#[test]
fn a_configuration_with_a_slip_is_refused_with_the_place_and_a_suggestion() {
    let home = Home::with("server.lisen = \"127.0.0.1:0\"");
    let ran = home.cli(&["serve"]);
    ran.refused("server.listen");
    let home = Home::with("query.time_max_ms = \"fast\"");
    home.cli(&["serve"]).refused("query.time_max_ms");
    let home = Home::new();
    let ran = run(home.command(&["serve"]).env("SEQUEL__QUERY__TIME_MAX", "5"));
    ran.refused("SEQUEL__QUERY__TIME_MAX_MS");
}

#[test]
fn of_several_servers_that_start_at_once_on_one_folder_one_wins_and_the_others_say_why_not() {
    let home = Home::new();
    let mut children: Vec<_> =
        (0..4).map(|_| Running(home.command(&["serve", "--port", "0"]).spawn().unwrap())).collect();
    // All but one end by themselves.
    let mut lost = Vec::new();
    poll(PATIENCE, "three servers give up", || {
        let ended = children.iter_mut().position(|child| child.0.try_wait().unwrap().is_some());
        lost.extend(ended.map(|at| children.swap_remove(at)));
        lost.len() == 3
    });
    for mut child in lost {
        let mut err = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(child.0.wait().unwrap().code(), Some(1), "{err}");
        assert!(err.contains("in use by another Sequel process"), "{err}");
    }
    home.json(&["org", "create", "acme"]);
    drop(children);
    assert_eq!(home.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn a_data_folder_of_a_long_path_works_though_a_socket_s_path_may_not_be_long() {
    let place = ["a-folder-with-a-name-of-some-length"; 5].join("/");
    let home = Home::with_data_in(&place, "");
    assert!(home.data().as_os_str().len() > 108);
    let mut server = home.serve();
    home.json(&["org", "create", "acme"]);
    let key = home.json(&["key", "create", "client"])["key"].as_str().unwrap().to_owned();
    assert_eq!(server.status(&key), 200);
    server.stop();
    assert_eq!(home.json(&["key", "list"])["keys"][0]["name"], "client");
}
