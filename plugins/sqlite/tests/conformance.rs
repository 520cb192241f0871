//! The SQLite connector under the suite that every connector runs.

use std::sync::Arc;

use async_trait::async_trait;
use sequel_connector::conformance::{Fixture, SETUP};
use sequel_connector::{Connector, DataSource, Party, Settings, conformance_tests};
use sequel_connector_sqlite::{Policy, SqliteConnector};

struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(folder.path().join("suite.db")).unwrap();
        for statement in SETUP {
            connection.execute_batch(statement).unwrap();
        }
        Self { folder }
    }
}

#[async_trait]
impl Fixture for Sqlite {
    async fn open(&self) -> Arc<dyn DataSource> {
        let policy = Policy { folders: vec![self.folder.path().to_owned()], ..Policy::default() };
        let connector = SqliteConnector::new(policy).unwrap();
        connector
            .open(&Settings::from_iter([("path".to_owned(), "suite.db".into())]).into(), &Party::new("a"))
            .await
            .unwrap()
    }

    fn endless(&self) -> String {
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n < 0".into()
    }

    fn counting(&self, rows: u64) -> String {
        format!(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT n FROM c"
        )
    }

    fn bytes(&self) -> String {
        "SELECT x'0001feff' AS b".into()
    }

    fn long_text(&self, times: u64) -> String {
        format!("SELECT replace(printf('%{times}s', ''), ' ', 'é') AS t")
    }

    fn book_types(&self) -> [&'static str; 4] {
        ["INTEGER", "INTEGER", "VARCHAR(80)", "DOUBLE PRECISION"]
    }

    fn has_comments(&self) -> bool {
        // Those in the text that made a table.
        true
    }

    fn writes(&self) -> Vec<String> {
        [
            "ATTACH DATABASE 'x.db' AS x",
            "VACUUM",
            "VACUUM INTO 'x.db'",
            "PRAGMA query_only = 0",
            "SELECT load_extension('x')",
            "CREATE TEMP TABLE x (a)",
            "REINDEX",
        ]
        .map(String::from)
        .to_vec()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.folder.path().display().to_string(), "suite.db".into()]
    }
}

conformance_tests!(Sqlite::new());
