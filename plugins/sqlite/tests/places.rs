//! Which files may be opened at all (`THREATS` 21).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{
    Configuration, Connector, DataSource, Limits, OpenError, Party, Query, QueryError, Settings,
};
use sequel_connector_sqlite::{Policy, SqliteConnector};

struct House {
    root: tempfile::TempDir,
    connector: SqliteConnector,
}

impl House {
    /// `data` is allowed, `private` is not, and the server's store lies in `data` by mistake.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["data/inner", "private", "data2"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in
            ["data/good.db", "data/inner/deep.db", "private/secret.db", "data/store.db", "data2/other.db"]
        {
            database(&root.path().join(file));
        }
        let policy = Policy {
            folders: vec![root.path().join("data")],
            refused: vec![root.path().join("data/store.db")],
            ..Policy::default()
        };
        Self { connector: SqliteConnector::new(policy).unwrap(), root }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    async fn open(&self, path: impl AsRef<Path>) -> Result<Arc<dyn DataSource>, OpenError> {
        let settings = settings(path.as_ref().to_str().unwrap());
        let checked = self.connector.check(&settings).await;
        let opened = self.connector.open(&settings, &Party::new("a")).await;
        // What is wrong with the path is found before anything is opened, and again when it is.
        if let (Err(checked), Err(opened)) = (&checked, &opened) {
            assert_eq!(checked.to_string(), opened.to_string());
        }
        checked.and(opened)
    }

    async fn refused(&self, path: impl AsRef<Path>) -> String {
        match self.open(&path).await {
            Err(error @ (OpenError::Policy(_) | OpenError::Settings(_))) => error.to_string(),
            Err(error) => panic!("{}: {error:?}", path.as_ref().display()),
            Ok(_) => panic!("{} was opened", path.as_ref().display()),
        }
    }
}

fn settings(path: &str) -> Configuration {
    Settings::from_iter([("path".to_owned(), path.into())]).into()
}

fn database(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);").unwrap();
}

async fn count(source: &dyn DataSource) -> Result<usize, QueryError> {
    let limits =
        Limits { rows: 100, bytes: 10_000, cell_bytes: 1_000, columns: 10, time: Duration::from_secs(20) };
    let query = Query::new("SELECT * FROM t", limits);
    let mut rows = source.query(query).await?;
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await? {
        count += batch.len();
    }
    Ok(count)
}

#[tokio::test]
async fn files_beneath_an_allowed_folder_open_by_absolute_and_relative_path() {
    let house = House::new();
    for path in [
        house.path("data/good.db"),
        house.path("data/inner/deep.db"),
        "good.db".into(),
        "inner/deep.db".into(),
    ] {
        let source = house.open(&path).await.unwrap();
        assert_eq!(count(&*source).await.unwrap(), 1);
    }
    let canonical = house.connector.check(&settings("inner/deep.db")).await.unwrap();
    let expected = house.path("data/inner/deep.db").canonicalize().unwrap();
    assert_eq!(canonical, settings(expected.to_str().unwrap()));
    assert_eq!(house.connector.check(&canonical).await.unwrap(), canonical);
}

#[tokio::test]
async fn files_outside_are_refused_alike_whether_or_not_they_exist() {
    let house = House::new();
    let there = house.refused(house.path("private/secret.db")).await;
    for path in ["private/missing.db", "data2/other.db", "data", "data/../private/secret.db"] {
        let message = house.refused(house.path(path)).await;
        assert!(path.contains("..") || message == there, "{path}: {message}");
    }
    for path in ["/etc/passwd", "/proc/self/mem", "/", "../private/secret.db", "/dev/null"] {
        house.refused(path).await;
    }
}

#[tokio::test]
async fn symbolic_links_do_not_lead_out_and_are_no_databases() {
    let house = House::new();
    symlink(house.path("private/secret.db"), house.path("data/out.db")).unwrap();
    symlink(house.path("data/good.db"), house.path("data/in.db")).unwrap();
    symlink(house.path("private"), house.path("data/folder-out")).unwrap();
    symlink(house.path("data/inner"), house.path("data/folder-in")).unwrap();
    symlink(house.path("data/nothing"), house.path("data/dangling.db")).unwrap();
    for path in ["out.db", "in.db", "folder-out/secret.db", "dangling.db"] {
        house.refused(path).await;
        house.refused(house.path("data").join(path)).await;
    }
    // A folder's link that stays inside names a file that may be opened anyway.
    assert_eq!(count(&*house.open("folder-in/deep.db").await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn uris_memory_and_odd_paths_are_refused() {
    let house = House::new();
    let good = house.path("data/good.db");
    for path in [
        format!("file:{}", good.display()),
        format!("file://{}?mode=rw", good.display()),
        format!("FILE:{}", good.display()),
        ":memory:".into(),
        "".into(),
        "  ".into(),
        "good.db\0.txt".into(),
        "inner".into(),
        ".".into(),
        "missing.db".into(),
    ] {
        house.refused(&path).await;
    }
    // With SQLite's own URI reading at work this name would open another file, writable.
    let odd = house.path("data/good.db?mode=rwc");
    database(&house.path("data2/plain.db"));
    fs::copy(house.path("data2/plain.db"), &odd).unwrap();
    assert_eq!(count(&*house.open(&odd).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn the_servers_own_store_is_refused_under_every_name() {
    let house = House::new();
    for suffix in ["-wal", "-shm", "-journal", ".lock"] {
        fs::write(house.path(&format!("data/store.db{suffix}")), "x").unwrap();
        house.refused(format!("store.db{suffix}")).await;
    }
    fs::hard_link(house.path("data/store.db"), house.path("data/innocent.db")).unwrap();
    fs::hard_link(house.path("data/store.db-wal"), house.path("data/innocent-wal.db")).unwrap();
    for path in ["store.db", "innocent.db", "innocent-wal.db"] {
        let message = house.refused(path).await;
        assert!(message.contains("belongs to the server"), "{path}: {message}");
    }
    let policy = Policy {
        folders: vec![house.path("data")],
        refused: vec![house.path("data/inner")],
        ..Policy::default()
    };
    let connector = SqliteConnector::new(policy).unwrap();
    assert!(matches!(connector.check(&settings("inner/deep.db")).await, Err(OpenError::Policy(_))));
}

#[tokio::test]
async fn what_is_no_database_is_said_clearly() {
    let house = House::new();
    fs::write(
        house.path("data/notes.txt"),
        "just some words, but more than a header of one hundred bytes. ".repeat(9),
    )
    .unwrap();
    let Err(OpenError::Settings(message)) = house.open("notes.txt").await else {
        panic!("it is no database")
    };
    assert!(message.contains("not an SQLite database"), "{message}");
    fs::write(house.path("data/short.txt"), "x").unwrap();
    assert!(matches!(house.open("short.txt").await, Err(OpenError::Settings(_))));
}

#[tokio::test]
async fn wrong_settings_are_answered_with_the_right_ones() {
    let house = House::new();
    let unknown = Settings::from_iter([("path".into(), "good.db".into()), ("mode".into(), "rw".into())]);
    for wrong in [Settings::new(), unknown, Settings::from_iter([("path".into(), 3.into())])] {
        let Err(OpenError::Settings(message)) = house.connector.check(&wrong.clone().into()).await else {
            panic!("{wrong:?}")
        };
        assert!(message.contains("path"), "{message}");
    }
    let nothing = SqliteConnector::new(Policy::default()).unwrap();
    assert!(matches!(nothing.check(&settings("/x.db")).await, Err(OpenError::Policy(_))));
}

#[tokio::test]
async fn a_file_that_became_a_link_or_the_store_after_the_check_is_not_read() {
    let house = House::new();
    let source = house.open("good.db").await.unwrap();
    assert_eq!(count(&*source).await.unwrap(), 1);
    for swap in [house.path("private/secret.db"), house.path("data/store.db")] {
        fs::remove_file(house.path("data/good.db")).unwrap();
        symlink(swap, house.path("data/good.db")).unwrap();
        assert!(matches!(count(&*source).await, Err(QueryError::Unavailable(_))));
    }
    fs::remove_file(house.path("data/good.db")).unwrap();
    fs::hard_link(house.path("data/store.db"), house.path("data/good.db")).unwrap();
    assert!(matches!(count(&*source).await, Err(QueryError::Unavailable(_))));
}

#[tokio::test]
async fn a_file_that_was_replaced_is_read_anew() {
    let house = House::new();
    let source = house.open("good.db").await.unwrap();
    assert_eq!(count(&*source).await.unwrap(), 1);
    let new = house.path("data/new.db");
    database(&new);
    rusqlite::Connection::open(&new).unwrap().execute_batch("INSERT INTO t VALUES (2), (3)").unwrap();
    fs::rename(new, house.path("data/good.db")).unwrap();
    assert_eq!(count(&*source).await.unwrap(), 3);
}

#[tokio::test]
async fn a_copy_of_the_servers_own_store_is_refused_by_what_it_says_of_itself() {
    let house = House::new();
    let id = 0x5365_716c;
    let copy = rusqlite::Connection::open(house.path("data/copy.db")).unwrap();
    copy.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA application_id = {id}; CREATE TABLE t (a);"
    ))
    .unwrap();
    let policy =
        Policy { folders: vec![house.path("data")], refused_application_ids: vec![id], ..Policy::default() };
    let connector = SqliteConnector::new(policy).unwrap();
    let refused = connector.open(&settings("copy.db"), &Party::new("a")).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Policy(said) if said.contains("belongs to the server")),
        "{refused:?}"
    );
    let source = connector.open(&settings("good.db"), &Party::new("a")).await.unwrap();
    assert_eq!(count(&*source).await.unwrap(), 1);
    // Also where it takes the place of a file that was fine.
    std::fs::rename(house.path("data/good.db"), house.path("data/old.db")).unwrap();
    copy.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    drop(copy);
    std::fs::rename(house.path("data/copy.db"), house.path("data/good.db")).unwrap();
    assert!(count(&*source).await.is_err());
}
