//! How the calls of one source share its connections: as many at once as the operator says.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{Connector, DataSource, Limits, Query, QueryError, Rows, Settings};
use sequel_connector_sqlite::{CONNECTIONS_MAX, Policy, SqliteConnector};
use tokio_util::sync::CancellationToken;

async fn source(connections_per_source: usize) -> (tempfile::TempDir, Arc<dyn DataSource>) {
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    let policy = Policy { folders: vec![folder.path().into()], connections_per_source, ..Policy::default() };
    let connector = SqliteConnector::new(policy).unwrap();
    let settings = Settings::from_iter([("path".to_owned(), "a.db".into())]);
    let source = connector.open(&settings).await.unwrap();
    (folder, source)
}

async fn ask(source: &dyn DataSource, sql: &str, time: Duration) -> Result<Rows, QueryError> {
    let limits = Limits { rows: 1 << 40, bytes: 1 << 40, cell_bytes: 1_000, columns: 10, time };
    source.query(Query { sql: sql.into(), limits, cancel: CancellationToken::new() }).await
}

/// Rows without end that nobody reads: as long as they are held, their query has its connection.
async fn hold(source: &dyn DataSource) -> Rows {
    let sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c";
    ask(source, sql, Duration::from_secs(600)).await.unwrap()
}

async fn is_full(source: &dyn DataSource) -> bool {
    match ask(source, "SELECT 1", Duration::from_millis(50)).await {
        Err(QueryError::Limit(said)) => {
            assert!(said.contains("kept all connections"), "{said}");
            true
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_queries_run_at_once_as_a_source_may_have_connections() {
    for (allowed, most) in [(0, 1), (1, 1), (3, 3), (1_000, CONNECTIONS_MAX)] {
        let (_folder, source) = source(allowed).await;
        let mut held = Vec::new();
        for _ in 0..most {
            held.push(hold(&*source).await);
        }
        assert!(is_full(&*source).await, "{most} connections are all there are");
        // A query that ends makes room, and only it does.
        held.pop();
        ask(&*source, "SELECT 1", Duration::from_secs(60)).await.unwrap();
    }
}
