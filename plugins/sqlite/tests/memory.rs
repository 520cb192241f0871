//! SQLite's limit on memory, which holds for a whole process: hence a test binary with one test.

use std::time::Duration;

use sequel_connector::{Connector, Limits, Party, Query, QueryError, Settings};
use sequel_connector_sqlite::{Policy, SqliteConnector};

const LIMITS: Limits =
    Limits { rows: 1_000, bytes: 1 << 20, cell_bytes: 1 << 16, columns: 100, time: Duration::from_secs(60) };
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// SQLite's files for what does not fit in memory; they have no name any more, but a descriptor.
fn temporary_files() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    links
        .filter_map(|link| std::fs::read_link(link.path()).ok())
        .filter(|to| to.to_string_lossy().contains("etilqs"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_too_much_memory_ends_with_a_sentence_and_leaves_the_disk_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Each view names the one before twice: the statement is small, what it stands for is not.
    let views: String =
        (1..=24).map(|n| format!("CREATE VIEW v{n} AS SELECT p.a FROM v{0} p, v{0} q;", n - 1)).collect();
    let setup =
        format!("CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE VIEW v0 AS SELECT a FROM t; {views}");
    rusqlite::Connection::open(folder.path().join("a.db")).unwrap().execute_batch(&setup).unwrap();
    let policy =
        Policy { folders: vec![folder.path().into()], memory_max_bytes: MEMORY_BYTES, ..Policy::default() };
    let connector = SqliteConnector::new(policy).unwrap();
    let settings = Settings::from_iter([("path".to_owned(), "a.db".into())]);
    let source = connector.open(&settings.into(), &Party::new("a")).await.unwrap();
    let run = async |sql: &str| {
        let query = Query::new(sql, LIMITS);
        source.query(query).await
    };
    let many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000)";
    let files = tokio::spawn(async {
        let mut most = 0;
        loop {
            most = most.max(temporary_files());
            tokio::time::sleep(Duration::from_millis(5)).await;
            if most > 0 {
                return most;
            }
        }
    });
    for sql in [
        "SELECT a FROM v24".to_owned(),
        format!("{many} SELECT n FROM (SELECT n, printf('%900000s', n) AS t FROM c ORDER BY t DESC)"),
        format!(
            "{many}, m AS MATERIALIZED (SELECT n, printf('%900000s', n) AS t FROM c) SELECT count(*), max(length(t)) \
             FROM m"
        ),
        format!("{many} SELECT count(DISTINCT printf('%900000s', n)) FROM c"),
    ] {
        let error = run(&sql).await.expect_err(&sql);
        let said = matches!(&error, QueryError::Limit(said) if said.contains("needs more memory than"));
        assert!(said, "{sql}: {error:?}");
        // Everything was given back: the next query finds room.
        let small = many.replace("1000", "20");
        let sql =
            format!("{small} SELECT n FROM (SELECT n, printf('%900000s', n) AS t FROM c ORDER BY t DESC)");
        run(&sql).await.unwrap();
    }
    assert!(!files.is_finished(), "SQLite made a temporary file");
    files.abort();
}
