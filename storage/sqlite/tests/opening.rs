//! What an operator meets when a store is opened: where it may be, what it may hold, who holds it.

use std::path::Path;

use bytes::Bytes;
use sequel_store::{Batch, CommitId, Holder, Key, Lane, OpenError, Revision, Scope, Store, Write};
use sequel_store_sqlite::{Options, SqliteStore};

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Options::new(Holder::command()))
}

fn put(scope: &Scope, key: &'static str, value: &'static str) -> Batch {
    let writes = vec![Write::Put(Key::new(key).expect("short"), Bytes::from(value))];
    // The key names the commit: each test writes a key once.
    let mut id = [0; 16];
    id[..key.len().min(16)].copy_from_slice(&key.as_bytes()[..key.len().min(16)]);
    Batch {
        scope: scope.clone(),
        lane: Lane::State { at: None, narrows: false },
        id: CommitId(id),
        expects: vec![],
        writes,
    }
}

#[tokio::test]
async fn a_store_is_made_where_there_is_none_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let scope = Scope::org("acme").unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.commit(put(&scope, "org", "{}")).await.unwrap(), Revision(1));
    drop(store);
    let store = open(&path).unwrap();
    let record = store.get(&scope, &Key::new("org").unwrap()).await.unwrap().unwrap();
    assert_eq!((&record.value[..], record.revision), (&b"{}"[..], Revision(1)));
}

#[tokio::test]
async fn closing_leaves_nothing_in_the_wal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let store = open(&path).unwrap();
    store.commit(put(&Scope::org("acme").unwrap(), "org", "{}")).await.unwrap();
    drop(store);
    let wal = std::fs::metadata(folder.path().join("sequel.db-wal")).map_or(0, |file| file.len());
    assert_eq!(wal, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = open(&path).unwrap();
    store.commit(put(&Scope::org("acme").unwrap(), "org", "{}")).await.unwrap();
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        seen += 1;
    }
    assert_eq!(seen, 4, "the database, its WAL, its shared memory and the lock");
}

#[test]
fn a_store_in_use_is_refused_by_the_holder_s_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let first = SqliteStore::open(&path, Options::new(Holder::serving(None))).unwrap();
    let refused = open(&path).unwrap_err();
    let expected = format!("is in use by another Sequel process (pid {}, serving).", std::process::id());
    assert!(refused.to_string().contains(&expected), "{refused}");
    drop(first);
    open(&path).unwrap();
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    drop(open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    connection.close().unwrap();
    assert!(matches!(open(&path).unwrap_err(), OpenError::Newer { found: 7, known: 1, .. }));
}

#[test]
fn another_program_s_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
    connection.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let before = "Buy milk. ".repeat(1000);
    std::fs::write(&path, &before).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn a_missing_folder_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = open(&folder.path().join("missing/sequel.db")).unwrap_err();
    assert!(matches!(refused, OpenError::Path { .. }), "{refused}");
    assert!(refused.to_string().contains("Create the folder"), "{refused}");
}

#[test]
fn a_path_beneath_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = open(&folder.path().join("file/sequel.db")).unwrap_err();
    assert!(matches!(refused, OpenError::Path { .. }), "{refused}");
}

#[test]
fn a_store_cut_in_half_is_refused_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    drop(open(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..1000]).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn a_folder_in_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()).unwrap_err(), OpenError::Path { .. }));
}

#[test]
fn a_migration_that_was_cut_short_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    // What a crash before the first COMMIT leaves: an empty file.
    std::fs::write(&path, "").unwrap();
    open(&path).unwrap();
}
