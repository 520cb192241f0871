//! A statement on its way to SQLite (`THREATS`, "Components" and "Data sources").
//!
//! Two properties, each without the other's help. What the guard's parse tree lets pass, SQLite itself calls a
//! statement that does not write, on a connection without any of our other layers. And whatever passes the whole
//! connector, no byte of the database changes and no file appears beside it.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sequel_connector::{Connector, DataSource, Dialect, Limits, Party, Query, Settings, check};
use sequel_connector_sqlite::{Policy, SqliteConnector};

/// Short, so that the fuzzer sees many statements; that a long one is stopped is held elsewhere.
const LIMITS: Limits =
    Limits { rows: 200, bytes: 64 * 1024, cell_bytes: 1024, columns: 50, time: Duration::from_millis(50) };

const SETUP: &str = "
    CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL, d BLOB);
    INSERT INTO t VALUES (1, 'one', 1.5, x'00'), (2, 'two', NULL, x'ff'), (3, NULL, -1.0, NULL);
    CREATE TABLE u (a INTEGER REFERENCES t (a), e TEXT);
    INSERT INTO u VALUES (1, 'x'), (1, 'y');
    CREATE INDEX u_e ON u (e);
    CREATE VIEW v AS SELECT t.a, u.e FROM t JOIN u ON u.a = t.a;
    CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN DELETE FROM t; END;
    CREATE VIRTUAL TABLE f USING fts5 (x);
    INSERT INTO f VALUES ('some words to find'), ('other words');
";

thread_local! {
    static VICTIM: RefCell<Option<Victim>> = const { RefCell::new(None) };
}

struct Victim {
    folder: tempfile::TempDir,
    before: Vec<u8>,
    // Writable, without an authorizer and without `query_only`.
    bare: Connection,
    source: Arc<dyn DataSource>,
    runtime: tokio::runtime::Runtime,
}

impl Victim {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("victim.db");
        Connection::open(&path).and_then(|connection| connection.execute_batch(SETUP)).expect("a database");
        let bare = Connection::open_in_memory().expect("a database in memory");
        bare.execute_batch(SETUP).expect("the same tables");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let policy = Policy { folders: vec![folder.path().into()], ..Policy::default() };
        let connector = SqliteConnector::new(policy).expect("a connector");
        let settings = Settings::from_iter([("path".to_owned(), "victim.db".into())]);
        let source =
            runtime.block_on(connector.open(&settings.into(), &Party::new("a"))).expect("an open source");
        let before = std::fs::read(&path).expect("the database");
        Self { folder, before, bare, source, runtime }
    }

    fn run(&self, sql: &str) {
        let query = Query::new(sql, LIMITS);
        self.runtime.block_on(async {
            let Ok(mut rows) = self.source.query(query).await else { return };
            while let Ok(Some(batch)) = rows.next_batch().await {
                assert!(batch.rows().all(|row| row.count() == rows.columns().len()), "whole rows");
            }
        });
    }

    fn is_untouched(&self, sql: &str) {
        let folder: &Path = self.folder.path();
        let names: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["victim.db"], "files after {sql:?}");
        assert!(
            std::fs::read(folder.join("victim.db")).expect("the database") == self.before,
            "{sql:?} wrote"
        );
    }
}

/// Panics where it does not hold.
pub fn holds(data: &[u8]) {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    // The other grammars only must not panic here.
    let _ = (check(sql, Dialect::Postgres), check(sql, Dialect::MySql));
    let passes = check(sql, Dialect::Sqlite).is_ok();
    VICTIM.with_borrow_mut(|victim| {
        let victim = victim.get_or_insert_with(Victim::new);
        if passes && let Ok(statement) = victim.bare.prepare(sql) {
            assert!(statement.readonly(), "the guard lets pass what SQLite says writes: {sql:?}");
        }
        // Also what the guard refuses: the connector has to refuse it, too.
        victim.run(sql);
        victim.is_untouched(sql);
    });
}
