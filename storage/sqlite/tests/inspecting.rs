//! A store that is looked at from outside.

use sequel_store::Holder;
use sequel_store_sqlite::{Options, SqliteStore, inspect};

#[test]
fn a_store_is_inspected_while_it_is_open_and_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    assert_eq!(inspect(&path).unwrap(), None);
    let store = SqliteStore::open(&path, Options::new(Holder::command())).unwrap();
    let found = inspect(&path).unwrap().unwrap();
    assert_eq!((found.version, &found.damage), (found.known, &None));
    drop(store);
    assert_eq!(inspect(&path).unwrap(), Some(found));
}

#[test]
fn damage_and_foreign_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    drop(SqliteStore::open(&path, Options::new(Holder::command())).unwrap());
    // The middle of the file: pages of tables, not the header.
    let mut bytes = std::fs::read(&path).unwrap();
    let (from, to) = (4_096, bytes.len());
    bytes[from..to].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    assert!(inspect(&path).is_err() || inspect(&path).unwrap().unwrap().damage.is_some());
    std::fs::write(
        &path,
        "no database at all, but long enough for a header of one hundred bytes, which is what it reads first",
    )
    .unwrap();
    assert!(inspect(&path).is_err());
}
