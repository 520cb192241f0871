//! What an operator meets when a store is opened: where it may be, what it may hold, who holds it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sequel_store::conformance::{delete, key, org, put, state};
use sequel_store::{Holder, OpenError, Revision, Store};
use sequel_store_sled::{Options, SledStore};
use tempfile::TempDir;

fn open(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(path, Options::new(Holder::command()))
}

/// A place for a store.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.sled");
    (folder, path)
}

/// A closed store with a record in it.
async fn written() -> (TempDir, PathBuf) {
    let (folder, path) = place();
    let store = open(&path).unwrap();
    assert_eq!(store.commit(state(&org("acme"), [put("org", "{}")])).await.unwrap(), Revision(1));
    drop(store);
    (folder, path)
}

/// Every file beneath a folder, and what it holds.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The refusal, after seeing that it left everything beneath the folder as it was.
fn refused_and_left_alone(path: &Path) -> OpenError {
    let around = path.parent().unwrap();
    let before = contents(around);
    let refused = open(path).unwrap_err();
    // Not `assert_eq`: a log is too long to be printed.
    assert!(contents(around) == before, "changed although it was refused: {refused}");
    refused
}

fn damaged(refused: OpenError, why: &str) {
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains(why), "{refused}");
}

#[tokio::test]
async fn a_store_is_made_where_there_is_none_and_found_again() {
    let (_folder, path) = written().await;
    for _ in 0..3 {
        let store = open(&path).unwrap();
        let record = store.get(&org("acme"), &key("org")).await.unwrap().unwrap();
        assert_eq!((&record.value[..], record.revision), (&b"{}"[..], Revision(1)));
    }
}

#[tokio::test]
async fn an_empty_folder_becomes_a_store() {
    let (_folder, path) = place();
    fs::create_dir(&path).unwrap();
    assert_eq!(open(&path).unwrap().commit(state(&org("a"), [put("k", "v")])).await.unwrap(), Revision(1));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    fn modes(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
        let metadata = fs::metadata(path).unwrap();
        found.push((path.to_owned(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| modes(&entry.unwrap().path(), found));
        }
    }
    let (folder, path) = written().await;
    for opened_up in [&path, &path.join("sled"), &path.join("sled/db")] {
        fs::set_permissions(opened_up, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let store = open(&path).unwrap();
    store.commit(state(&org("acme"), [put("k", "v")])).await.unwrap();
    let mut found = Vec::new();
    modes(&path, &mut found);
    modes(&folder.path().join("sequel.sled.lock"), &mut found);
    assert!(found.len() > 6, "{found:?}");
    for (file, mode) in found {
        assert_eq!(mode, if file.is_dir() { 0o700 } else { 0o600 }, "{}", file.display());
    }
}

#[test]
fn a_store_in_use_is_refused_by_the_holder_s_name() {
    let (_folder, path) = place();
    let first = SledStore::open(&path, Options::new(Holder::serving(None))).unwrap();
    let refused = open(&path).unwrap_err();
    let expected = format!("is in use by another Sequel process (pid {}, serving).", std::process::id());
    assert!(refused.to_string().contains(&expected), "{refused}");
    drop(first);
    open(&path).unwrap();
}

#[tokio::test]
async fn a_log_that_another_program_has_open_is_refused() {
    let (_folder, path) = written().await;
    let log = File::open(path.join("sled/db")).unwrap();
    log.try_lock().unwrap();
    let refused = open(&path).unwrap_err();
    assert!(refused.to_string().contains("another program has its log open"), "{refused}");
    drop(log);
    open(&path).unwrap();
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_as_it_is() {
    let (_folder, path) = written().await;
    // Of whatever form: the version is all that this build may rely on.
    fs::write(path.join("sequel.json"), r#"{"store":"sequel-sled","version":7,"shards":["a"]}"#).unwrap();
    let refused = refused_and_left_alone(&path);
    assert!(matches!(refused, OpenError::Newer { found: 7, known: 1, .. }), "{refused}");
}

#[test]
fn another_program_s_database_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    let theirs = sled::open(&path).unwrap();
    theirs.insert("theirs", "x").unwrap();
    theirs.flush().unwrap();
    drop(theirs);
    damaged(refused_and_left_alone(&path), "a sled database of another program");
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_as_it_is() {
    let (folder, path) = place();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("notes.txt"), "Buy milk.").unwrap();
    damaged(refused_and_left_alone(&path), "a folder of something else");
    fs::write(path.join("sequel.json"), r#"{"store":"of something else","version":1}"#).unwrap();
    damaged(refused_and_left_alone(&path), "of something else");
    assert!(!folder.path().join("sequel.sled.lock").exists(), "no lock beside what is not ours");
}

#[test]
fn a_missing_folder_is_named_with_what_to_do() {
    let (folder, _) = place();
    let refused = open(&folder.path().join("missing/sequel.sled")).unwrap_err();
    assert!(matches!(refused, OpenError::Path { .. }), "{refused}");
    assert!(refused.to_string().contains("Create the folder"), "{refused}");
}

#[test]
fn a_file_in_place_of_the_folder_or_around_it_is_refused() {
    let (folder, path) = place();
    fs::write(&path, "").unwrap();
    let refused = refused_and_left_alone(&path);
    assert!(refused.to_string().contains("it is a file. Name a folder"), "{refused}");
    let refused = open(&folder.path().join("sequel.sled/beneath")).unwrap_err();
    assert!(matches!(refused, OpenError::Path { .. }), "{refused}");
}

#[tokio::test]
async fn a_log_that_is_missing_or_empty_is_refused_and_left_as_it_is() {
    let (_folder, path) = written().await;
    File::options().write(true).open(path.join("sled/db")).unwrap().set_len(0).unwrap();
    damaged(refused_and_left_alone(&path), "is missing or empty");
    fs::remove_file(path.join("sled/db")).unwrap();
    damaged(refused_and_left_alone(&path), "is missing or empty");
}

#[tokio::test]
async fn a_log_that_was_cut_short_is_refused_and_stays_refused() {
    for cut in [1, 2, 40] {
        let (_folder, path) = written().await;
        let log = File::options().write(true).open(path.join("sled/db")).unwrap();
        log.set_len(log.metadata().unwrap().len() / cut - 1).unwrap();
        for _ in 0..2 {
            damaged(open(&path).unwrap_err(), "its log has lost its");
        }
    }
}

#[tokio::test]
async fn a_log_that_holds_something_else_is_refused() {
    for garbage in [0, 0x55, 0xFF] {
        let (_folder, path) = written().await;
        let mut log = fs::read(path.join("sled/db")).unwrap();
        log.fill(garbage);
        fs::write(path.join("sled/db"), log).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{garbage:x}: {refused}");
        // And it is not taken for a fresh one the next time.
        assert!(open(&path).is_err());
    }
}

#[tokio::test]
async fn a_note_that_is_not_readable_is_refused_and_left_as_it_is() {
    let (_folder, path) = written().await;
    fs::write(path.join("sequel.json"), "").unwrap();
    damaged(refused_and_left_alone(&path), "sequel.json is not readable");
}

#[tokio::test]
async fn a_log_of_another_version_of_sled_is_refused() {
    let (_folder, path) = written().await;
    let conf = fs::read(path.join("sled/conf")).unwrap();
    let text = String::from_utf8_lossy(&conf[..conf.len() - 4]).replace("version: 0.34", "version: 0.33");
    assert!(text.contains("0.33"));
    fs::write(path.join("sled/conf"), [text.as_bytes(), &[0; 4]].concat()).unwrap();
    damaged(open(&path).unwrap_err(), "Open it with the version of Sequel that wrote it");
}

#[tokio::test]
async fn a_making_that_was_cut_short_starts_over() {
    let (_folder, path) = place();
    // What a crash at the beginning leaves: a folder, and half a note beside where it goes.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("sequel.json.new"), r#"{"store"#).unwrap();
    drop(open(&path).unwrap());
    // What a crash before the last step leaves: all but the note's last word.
    let note = fs::read_to_string(path.join("sequel.json")).unwrap();
    let unfinished = r#"{"store":"sequel-sled","version":1,"complete":false}"#;
    assert!(note.contains(r#""complete":true"#), "{note}");
    fs::write(path.join("sequel.json"), unfinished).unwrap();
    drop(open(&path).unwrap());
    fs::remove_dir_all(path.join("sled")).unwrap();
    fs::write(path.join("sequel.json"), unfinished).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.commit(state(&org("a"), [put("k", "v")])).await.unwrap(), Revision(1));
}

#[tokio::test]
async fn no_value_makes_sled_write_a_file_that_it_does_not_sync() {
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    let long = |n: usize| [vec![b'k'; 252], format!("{n:04}").into_bytes()].concat();
    // The longest keys and the largest values, written, replaced, cut down and deleted, fifteen in a batch.
    for (round, bytes) in [65_536, 65_536, 4_097, 4_096, 60_000].into_iter().enumerate() {
        for batch in 0..6 {
            let writes: Vec<_> =
                (0..15).map(|n| put(long(batch * 15 + n), vec![round as u8; bytes])).collect();
            store.commit(state(&org(&"o".repeat(64)), writes)).await.unwrap();
        }
        let record = store.get(&org(&"o".repeat(64)), &key(long(7))).await.unwrap().unwrap();
        assert_eq!(record.value, vec![round as u8; bytes]);
    }
    store
        .commit(state(&org(&"o".repeat(64)), (0..90).map(|n| delete(long(n))).collect::<Vec<_>>()))
        .await
        .unwrap();
    let blobs: Vec<_> = fs::read_dir(path.join("sled/blobs")).unwrap().collect();
    assert!(blobs.is_empty(), "{blobs:?}");
}
