//! Backups as files: who may read them, what they are written over, and what is no backup.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::backup::{backup, text};
use crate::server::{Home, Ran, run};

#[test]
fn a_backup_is_private_replaces_nothing_unasked_and_is_the_same_without_a_server() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    let key = home.json(&["key", "create", "k"])["key"].as_str().unwrap().to_owned();
    let file = home.path().join("b");
    let made = home.json(&["backup", text(&file)]);
    assert_eq!((&made["file"], &made["encrypted"]), (&json!(text(&file)), &json!(false)));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let secret = &key.as_bytes()[key.len() - 49..];
    assert!(!before.windows(20).any(|window| window == &secret[..20]), "digests, no secrets");
    home.cli(&["backup", text(&file)]).refused("--force");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let server = home.serve();
    let served = home.json(&["backup", text(&file), "--force"]);
    assert_eq!(made["records"], served["records"]);
    drop(server);
    home.cli(&["backup", "/nowhere/at/all"]).refused("/nowhere/at/all");
    home.cli(&["backup", text(home.path()), "--force"]).refused("is no regular file");
    assert!(!home.path().join("b.part").exists());
}

#[test]
fn a_file_that_is_not_wholly_a_backup_is_refused_and_nothing_is_changed() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    home.json(&["key", "create", "k"]);
    let whole = std::fs::read(backup(&home)).unwrap();
    let other = Home::new();
    let restore = |bytes: &[u8]| -> Ran {
        let file = other.path().join("b");
        std::fs::write(&file, bytes).unwrap();
        other.cli(&["restore", text(&file)])
    };
    restore(&whole[..whole.len() / 2]).refused("not whole");
    restore(&whole[..whole.len() - 1]).refused("not whole");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    restore(&flipped).refused("damaged");
    restore(&[&b"SEQUEL BACKUP 9\n"[..], &whole[16..]].concat()).refused("format 9");
    restore(b"SQLite format 3\0").refused("no backup that Sequel made");
    restore(b"").refused("not whole");
    other.cli(&["restore", "/nowhere"]).refused("/nowhere");
    other.cli(&["restore", text(&other.data())]).refused("is no regular file");
    assert_eq!(other.json(&["org", "list"])["orgs"], json!([]));
    restore(&whole);
    assert_eq!(other.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn what_cannot_be_read_twice_is_refused_before_anything_is_changed() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    let whole = std::fs::read(backup(&home)).unwrap();
    let other = Home::new();
    other.json(&["org", "create", "live"]);
    let mut command = other.command(&["restore", "/dev/stdin", "--replace", "--yes"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // It may have refused it before it took anything.
    let _ = child.stdin.take().unwrap().write_all(&whole);
    let ran = child.wait_with_output().unwrap();
    assert!(String::from_utf8(ran.stderr).unwrap().contains("is no regular file"));
    // One that nobody writes to is not waited for.
    let fifo = other.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    other.cli(&["restore", text(&fifo), "--replace", "--yes"]).refused("is no regular file");
    assert_eq!(other.json(&["org", "list"])["orgs"][0]["name"], "live");
    // A file is one, however it is named.
    let file = std::fs::File::open(backup(&home)).unwrap();
    let third = Home::new();
    let ran = run(third.command(&["restore", "/dev/stdin"]).stdin(file));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(third.json(&["org", "list"])["orgs"][0]["name"], "acme");
}

#[test]
fn a_backup_is_not_written_where_somebody_else_could_read_it_nor_over_what_is_no_file() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    let (file, part) = (home.path().join("b"), home.path().join("b.part"));
    // Prepared by somebody: a second name of another file, a link, a pipe.
    let other = home.path().join("other");
    std::fs::write(&other, "mine").unwrap();
    std::fs::hard_link(&other, &part).unwrap();
    home.cli(&["backup", text(&file)]).refused("b.part");
    std::fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&other, &part).unwrap();
    home.cli(&["backup", text(&file)]).refused("b.part");
    std::fs::remove_file(&part).unwrap();
    assert!(Command::new("mkfifo").arg(&part).status().unwrap().success());
    home.cli(&["backup", text(&file)]).refused("b.part");
    std::fs::remove_file(&part).unwrap();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
    // What is no file is not replaced by one, whatever is asked.
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    home.cli(&["backup", text(&file), "--force"]).refused("is no regular file");
    std::fs::remove_file(&file).unwrap();
    // What a crash left behind is.
    std::fs::write(&part, "half").unwrap();
    home.json(&["backup", text(&file)]);
    assert!(file.exists() && !part.exists());
}

#[test]
fn an_encrypted_backup_opens_with_its_passphrase_alone_and_shows_nothing() {
    let home = Home::new();
    home.json(&["org", "create", "a-telling-name"]);
    let (file, right, wrong) = (home.path().join("b"), home.path().join("right"), home.path().join("wrong"));
    std::fs::write(&right, "correct horse battery staple\n").unwrap();
    std::fs::write(&wrong, "tr0ub4dor").unwrap();
    let made = home.json(&["backup", text(&file), "--passphrase-file", text(&right)]);
    assert_eq!(made["encrypted"], true);
    let sealed = std::fs::read(&file).unwrap();
    let shows = |bytes: &[u8]| bytes.windows(14).any(|window| window == b"a-telling-name");
    assert!(!shows(&sealed));
    assert!(shows(&std::fs::read(backup(&home)).unwrap()), "what is looked for is what a plain one shows");
    let other = Home::new();
    let restore =
        |passphrase: &Path| other.cli(&["restore", text(&file), "--passphrase-file", text(passphrase)]);
    other.cli(&["restore", text(&file)]).refused("--passphrase-file");
    restore(&wrong).refused("passphrase is not the one");
    let empty = home.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    restore(&empty).refused("holds no passphrase");
    std::fs::write(&file, &sealed[..sealed.len() - 20]).unwrap();
    restore(&right).refused("damaged");
    std::fs::write(&file, &sealed).unwrap();
    assert_eq!(restore(&right).code, 0);
    assert_eq!(other.json(&["org", "list"])["orgs"][0]["name"], "a-telling-name");
    // One that is not encrypted may be somebody else's, put in its place.
    let plain = backup(&home);
    other.cli(&["restore", text(&plain), "--passphrase-file", text(&right)]).refused("is not encrypted");
}
