//! A store that is looked at from outside.

use std::fs;
use std::path::Path;

use futures_util::StreamExt;
use sequel_store::conformance::{delete, org, put, state};
use sequel_store::{Exported, Holder, OpenError, Store};
use sequel_store_sled::{Inspection, Options, SledStore, inspect};

fn open(path: &Path) -> SledStore {
    SledStore::open(path, Options::new(Holder::command())).unwrap()
}

/// A closed store of some segments: many records in many scopes, large values, tombstones, forgotten commits.
async fn filled(path: &Path) {
    let store = open(path);
    for n in 0..40 {
        let writes: Vec<_> = (0..50).map(|k| put(format!("key/{k:03}"), vec![n; 300])).collect();
        store.commit(state(&org(&format!("org{n}")), writes)).await.unwrap();
    }
    store.commit(state(&org("large"), [put("large", vec![7; 60_000]), put("other", "v")])).await.unwrap();
    for n in 0..300 {
        let writes = [put(format!("{n}"), "v"), delete(format!("{}", n - 1))];
        store.commit(state(&org("long"), writes)).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_is_inspected_while_it_is_open_and_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.sled");
    assert_eq!(inspect(&path).unwrap(), None);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
    filled(&path).await;
    let store = open(&path);
    let found = inspect(&path).unwrap().unwrap();
    assert_eq!((found.version, &found.damage), (found.known, &None));
    drop(store);
    let snapshots =
        || fs::read_dir(path.join("sled")).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    let before =
        (snapshots(), fs::read(path.join("sled/db")).unwrap(), fs::read(path.join("sequel.json")).unwrap());
    assert_eq!(inspect(&path).unwrap(), Some(found));
    let after =
        (snapshots(), fs::read(path.join("sled/db")).unwrap(), fs::read(path.join("sequel.json")).unwrap());
    assert!(before == after, "an inspection changes nothing");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the store and its lock, and no copy: {names:?}");
}

async fn everything(path: &Path) -> Vec<Exported> {
    let store = open(path);
    let cut = store.export().await.unwrap();
    cut.map(|record| record.unwrap()).collect().await
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn damage_that_costs_a_closed_store_anything_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.sled");
    filled(&path).await;
    // As written in one go; and as opened again, with sled's snapshot of what was there.
    for opened_again in [false, true] {
        if opened_again {
            open(&path).commit(state(&org("more"), [put("k", "v")])).await.unwrap();
        }
        let (whole, damaged) = (folder.path().join("whole"), folder.path().join("damaged"));
        copy(&path, &whole);
        let records = everything(&whole).await;
        let log = fs::read(path.join("sled/db")).unwrap();
        assert!(log.len() > 1_000_000, "{} bytes", log.len());
        // Each part of the log in turn, a sixteenth of it wide.
        let step = log.len() / 16;
        let mut told = 0;
        for part in 0..16 {
            copy(&path, &damaged);
            let mut log = log.clone();
            log[part * step..(part + 1) * step].fill(0x55);
            fs::write(damaged.join("sled/db"), log).unwrap();
            match inspect(&damaged) {
                Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
                Ok(Some(Inspection { damage: Some(_), .. })) => {}
                Ok(_) => {
                    // What was replaced since lay there.
                    assert!(everything(&damaged).await == records, "part {part}");
                    fs::remove_dir_all(&damaged).unwrap();
                    continue;
                }
            }
            told += 1;
            fs::remove_dir_all(&damaged).unwrap();
        }
        assert!(told > 3, "{told}");
        fs::remove_dir_all(whole).unwrap();
    }
}

#[test]
fn what_is_not_a_store_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(inspect(&folder.path().join("missing/sequel.sled")), Err(OpenError::Path { .. })));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(inspect(&folder.path().join("file")), Err(OpenError::Path { .. })));
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("folder/x"), "").unwrap();
    assert!(matches!(inspect(&folder.path().join("folder")), Err(OpenError::Damaged { .. })));
}
