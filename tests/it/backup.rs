//! Backups: what is in one, what a restore brings back and what it does not, and what becomes of both when something
//! breaks off.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::faults::with_files_of;
use crate::server::{Home, rows, run};
use crate::whole::{fill, is_unfinished, kill_midway};

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn backup(home: &Home) -> PathBuf {
    let file = home.path().join("store.backup");
    home.json(&["backup", text(&file), "--force"]);
    file
}

fn statuses(home: &Home, org: &str) -> Vec<(String, String)> {
    let keys = home.json(&["key", "list", "--org", org]);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    keys["keys"].as_array().unwrap().iter().map(|key| (word(&key["name"]), word(&key["status"]))).collect()
}

/// What every finished store has to be.
#[track_caller]
fn is_sound(home: &Home) -> Value {
    let checked = home.json(&["storage", "check"]);
    assert_eq!((&checked["ok"], &checked["findings"]), (&json!(true), &json!([])));
    checked["holds"].clone()
}

#[test]
fn what_was_revoked_after_a_backup_does_not_come_alive() {
    let home = Home::new();
    let path = home.database("facts.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    let mut server = home.serve();
    for org in ["acme", "gone"] {
        server.org(org);
    }
    server.source("acme", "facts", &path);
    let [kept, deleted, disabled, rotated] =
        ["kept", "deleted", "disabled", "rotated"].map(|name| server.key("acme", name));
    let of_gone = server.key("gone", "k");
    let file = backup(&home);
    server.delete_key("acme", "deleted");
    server.switch_key("acme", "disabled", false);
    let rotate = json!({ "overlap_seconds": 0 });
    let fresh =
        server.done("POST", "/orgs/acme/keys/rotated/rotate", rotate)["key"].as_str().unwrap().to_owned();
    let late = server.key("acme", "late");
    server.done("DELETE", "/orgs/acme/sources/facts", Value::Null);
    server.done("DELETE", "/orgs/gone", Value::Null);
    server.stop();

    // Onto a store that knows what happened since.
    home.cli(&["restore", text(&file)]).refused("add --replace");
    let ran = home.cli(&["restore", text(&file), "--replace", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let done = home.json(&["restore", text(&file), "--replace", "--yes"]);
    assert_eq!(
        (&done["keys_kept"], &done["keys_left_deleted"], &done["keys_removed"], &done["keys_suspended"]),
        (&json!(3), &json!(1), &json!(1), &json!(0))
    );
    assert_eq!((&done["orgs"], &done["orgs_left"], &done["epoch"]), (&json!(1), &json!(1), &json!(1)));
    is_sound(&home);
    let mut server = home.serve();
    assert_eq!(*rows(&server.query(&kept, "SELECT x FROM t")), json!([[1]]));
    assert_eq!([&deleted, &disabled, &rotated, &late, &of_gone].map(|key| server.status(key)), [401; 5]);
    assert_eq!(server.status(&fresh), 200);
    let audit = home.json(&["audit", "list", "--org", "acme"]);
    let entries: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(entries[0], "org.restore_backup");
    assert!(entries.contains(&&json!("key.delete")), "the trail of the store stays: {entries:?}");
    server.org("gone-again");
    server.stop();

    // Into an empty one, which knows nothing: not even the key that was never touched.
    let other = Home::new();
    let done = other.json(&["restore", text(&file)]);
    assert_eq!((&done["keys_suspended"], &done["orgs"]), (&json!(5), &json!(2)));
    is_sound(&other);
    let all = [&kept, &deleted, &disabled, &rotated, &fresh, &of_gone];
    let server = other.serve();
    assert_eq!(all.map(|key| server.status(key)), [401; 6]);
    assert!(statuses(&other, "acme").iter().all(|(_, status)| status == "suspended"));
    let shown = other.cli(&["key", "list", "--org", "acme"]).out;
    assert!(shown.contains("suspended by restore of 20"), "{shown}");
    // A stranger is not told why.
    let (suspended, unknown) = (
        server.rpc(&kept, "tools/list", json!({})),
        server.rpc(&server.key("acme", "mine").replace("sql_", "sql_0"), "tools/list", json!({})),
    );
    assert_eq!((suspended.status, suspended.text()), (401, unknown.text()));
    other.json(&["key", "enable", "kept", "--org", "acme"]);
    assert_eq!([server.status(&kept), server.status(&deleted)], [200, 401]);
}

#[test]
fn an_operator_may_trust_the_keys_of_a_backup_but_no_secret_that_was_rotated_away() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let [plain, disabled, old] = ["plain", "disabled", "rotated"].map(|name| server.key("acme", name));
    server.switch_key("acme", "disabled", false);
    let rotate = json!({ "overlap_seconds": 3600 });
    let new =
        server.done("POST", "/orgs/acme/keys/rotated/rotate", rotate)["key"].as_str().unwrap().to_owned();
    assert_eq!(server.status(&old), 200);
    let file = backup(&home);
    let other = Home::new();
    let done = other.json(&["restore", text(&file), "--trust-keys", "--yes"]);
    assert_eq!((&done["keys_trusted"], &done["keys_suspended"]), (&json!(3), &json!(0)));
    let server = other.serve();
    assert_eq!([&plain, &new].map(|key| server.status(key)), [200; 2]);
    assert_eq!([&disabled, &old].map(|key| server.status(key)), [401; 2]);
}

#[test]
fn a_restore_wants_the_store_for_itself() {
    let home = Home::new();
    let server = home.serve();
    server.org("acme");
    let file = backup(&home);
    home.cli(&["restore", text(&file), "--replace", "--yes"]).refused("in use by another Sequel process");
    assert_eq!(server.http("GET", "/readyz", &[], b"").status, 200);
}

#[test]
fn a_backup_of_a_busy_server_is_one_moment() {
    let home = Home::with("[limits]\nkey_creations_per_minute = 60000");
    let server = home.serve();
    server.org("acme");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let backups: Vec<PathBuf> = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut made = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                server.key("acme", &format!("k{made:05}"));
                made += 1;
            }
            made
        });
        let backups = (0..5).map(|nth| {
            let file = home.path().join(format!("b{nth}"));
            home.json(&["backup", text(&file)]);
            file
        });
        let backups = backups.collect();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(busy.join().unwrap() > 0);
        backups
    });
    for file in backups {
        let other = Home::new();
        other.json(&["restore", text(&file)]);
        // Every key with its name, and its entry: one more for the organization, one for the restore.
        let holds = is_sound(&other);
        let names: Vec<String> = statuses(&other, "acme").into_iter().map(|(name, _)| name).collect();
        let wanted: Vec<String> = (0..names.len()).map(|nth| format!("k{nth:05}")).collect();
        assert_eq!(names, wanted);
        assert_eq!(holds["audit_entries"], json!(names.len() + 2));
    }
}

#[test]
fn the_trail_of_changes_goes_on_after_a_restore() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    for nth in 0..5 {
        home.json(&["key", "create", &format!("k{nth}")]);
    }
    let file = backup(&home);
    let numbers = |home: &Home| -> Vec<u64> {
        let audit = home.json(&["audit", "list"]);
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["number"].as_u64().unwrap()).collect()
    };
    let before = numbers(&home);
    let other = Home::new();
    other.json(&["restore", text(&file)]);
    other.json(&["key", "create", "new"]);
    let after = numbers(&other);
    assert_eq!(after[2..], before, "what was there is neither lost nor written over");
    assert!(after[0] > after[1] && after[1] > before[0], "{after:?}");
}

#[test]
fn a_newer_version_of_a_record_is_neither_restored_nor_copied() {
    let home = Home::on_sqlite("");
    home.json(&["org", "create", "acme"]);
    let store = rusqlite::Connection::open(home.data().join("sequel.db")).unwrap();
    let change = "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), '{\"v\":1', '{\"v\":7') AS BLOB) \
                  WHERE key = CAST('org' AS BLOB)";
    assert_eq!(store.execute(change, []).unwrap(), 1);
    drop(store);
    let file = backup(&home);
    Home::on_sqlite("").cli(&["restore", text(&file)]).refused("version 7");
    let from = format!("sqlite:{}", text(&home.data().join("sequel.db")));
    home.cli(&["storage", "copy", "--from", &from, "--to", "sqlite:copy.db"]).refused("version 7");
    let ran = home.cli(&["storage", "check", "--json"]);
    let checked: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &checked["ok"]), (1, &json!(false)));
    assert!(checked["findings"][0]["message"].as_str().unwrap().contains("version 7"), "{checked}");
}

#[test]
fn a_check_finds_what_no_longer_agrees() {
    let home = Home::on_sqlite("");
    home.json(&["org", "create", "acme"]);
    let key = home.json(&["key", "create", "k"]);
    let holds = is_sound(&home);
    assert_eq!(
        (&holds["organizations"], &holds["keys"], &holds["audit_entries"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let store = rusqlite::Connection::open(home.data().join("sequel.db")).unwrap();
    store.execute("DELETE FROM records WHERE CAST(key AS TEXT) LIKE 'key-name/%'", []).unwrap();
    store.execute("DELETE FROM records WHERE CAST(key AS TEXT) LIKE 'name/%'", []).unwrap();
    drop(store);
    let ran = home.cli(&["storage", "check"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let id = key["id"].as_str().unwrap();
    assert!(ran.out.contains(&format!("The API key {id} is not found by its name.")), "{}", ran.out);
    assert!(ran.out.contains("is not found by its name.\nKeep a copy"), "{}", ran.out);
}

#[test]
fn a_check_of_a_store_that_cannot_be_read_says_that_it_is_damaged_and_a_backup_is_none() {
    let home = Home::on_sqlite("");
    fill(&home, 2_000);
    let path = home.data().join("sequel.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 64 * 1024].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    for args in [&["storage", "check"][..], &["backup", "b"]] {
        let ran = home.cli(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        let wanted = if args[0] == "storage" { "is damaged (" } else { "broke the backup off" };
        assert!(ran.err.contains(wanted) && !ran.err.contains("Look whether the change"), "{ran:?}");
    }
    assert!(!home.path().join("b").exists() && !home.path().join("b.part").exists());
}

#[test]
fn a_backup_that_was_killed_leaves_no_half_file_behind() {
    let home = Home::on_sqlite("");
    fill(&home, 5_000);
    let file = home.path().join("b");
    let (mut part, mut attempts) = (false, 0);
    while !part {
        attempts += 1;
        assert!(attempts < 100, "no kill ever met a backup on its way");
        let mut child =
            crate::server::Running(home.command(&["backup", text(&file), "--force"]).spawn().unwrap());
        let unfinished = home.path().join("b.part");
        while child.0.try_wait().unwrap().is_none()
            && std::fs::metadata(&unfinished).map_or(0, |m| m.len()) == 0
        {
            std::thread::yield_now();
        }
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        part = unfinished.exists();
        // Whole, or not there.
        if file.exists() {
            assert_eq!(Home::on_sqlite("").cli(&["restore", text(&file)]).code, 0);
            std::fs::remove_file(&file).unwrap();
        }
    }
    home.json(&["backup", text(&file)]);
    assert!(!home.path().join("b.part").exists());
}

#[test]
fn a_restore_that_was_killed_is_never_served_and_is_done_by_the_next() {
    let home = Home::on_sqlite("");
    let key = fill(&home, 3_000);
    let file = backup(&home);
    let other = Home::on_sqlite("");
    let restore = ["restore", text(&file)];
    kill_midway(&other, &restore, &other.data().join("sequel.db"));
    for args in [&["serve", "--port", "0"][..], &["org", "list"], &["backup", "b"], &["storage", "check"]] {
        other.cli(args).refused("was not finished, so it is not served");
    }
    assert!(is_unfinished(&other.data().join("sequel.db")));
    let done = other.json(&restore);
    assert_eq!(done["keys_suspended"], 3_001);
    assert_eq!(is_sound(&other)["keys"], 3_001);
    let server = other.serve();
    assert_eq!(server.status(&key), 401);
    server.switch_key("acme", "known", true);
    assert_eq!(server.status(&key), 200);
}

#[test]
fn a_restore_onto_a_store_that_was_killed_forgets_nothing_of_what_was_revoked() {
    let home = Home::on_sqlite("");
    fill(&home, 3_000);
    let mut server = home.serve();
    let (kept, deleted) = (server.key("acme", "kept"), server.key("acme", "deleted"));
    let file = backup(&home);
    server.delete_key("acme", "deleted");
    server.done("POST", "/orgs", json!({ "name": "since" }));
    server.stop();
    let restore = ["restore", text(&file), "--replace", "--yes"];
    kill_midway(&home, &restore, &home.data().join("sequel.db"));
    home.cli(&["serve", "--port", "0"]).refused("--replace");
    home.cli(&["restore", text(&file)]).refused("--replace");
    home.json(&restore);
    is_sound(&home);
    let server = home.serve();
    assert_eq!([server.status(&kept), server.status(&deleted)], [200, 401]);
    assert_eq!(home.json(&["org", "list"])["orgs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_disk_that_is_full_fails_a_backup_and_a_restore_and_room_heals_both() {
    let home = Home::on_sqlite("");
    fill(&home, 2_000);
    let file = home.path().join("b");
    let ran = run(&mut with_files_of(&home, 64, &["backup", text(&file)]));
    ran.refused("cannot be written");
    assert!(!file.exists() && !home.path().join("b.part").exists());
    home.json(&["backup", text(&file)]);
    let other = Home::on_sqlite("");
    let ran = run(&mut with_files_of(&other, 256, &["restore", text(&file)]));
    let last = ran.err.lines().last().unwrap_or_default();
    assert!(ran.code == 1 && last.starts_with("Error: The store did not confirm a change"), "{ran:?}");
    other.cli(&["serve", "--port", "0"]).refused("was not finished");
    other.json(&["restore", text(&file)]);
    assert_eq!(is_sound(&other)["keys"], 2_001);
}
