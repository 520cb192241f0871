//! How the calls of one source share its connections: as many at once as the operator says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sequel_connector::{Connector, DataSource, Limits, Party, Query, QueryError, Rows, Settings};
use sequel_connector_sqlite::{CONNECTIONS_MAX, Policy, SqliteConnector};

/// A connector, and a database that it may open.
struct House {
    connector: SqliteConnector,
    _folder: tempfile::TempDir,
}

impl House {
    fn new(connections_per_source: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let policy =
            Policy { folders: vec![folder.path().into()], connections_per_source, ..Policy::default() };
        Self { connector: SqliteConnector::new(policy).unwrap(), _folder: folder }
    }

    async fn source(&self, party: &str) -> Arc<dyn DataSource> {
        let settings = Settings::from_iter([("path".to_owned(), "a.db".into())]);
        self.connector.open(&settings.into(), &Party::new(party)).await.unwrap()
    }
}

async fn ask(source: &dyn DataSource, sql: &str, time: Duration) -> Result<Rows, QueryError> {
    let limits = Limits { rows: 1 << 40, bytes: 1 << 40, cell_bytes: 1_000, columns: 10, time };
    source.query(Query::new(sql, limits)).await
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
        let house = House::new(allowed);
        let source = house.source("a").await;
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

/// Turn by turn as much as all of them together, it is done before them although it needs three times as long as each.
#[tokio::test(flavor = "multi_thread")]
async fn a_party_with_many_long_queries_does_not_push_the_only_one_of_another_behind_them() {
    let counting = |most: u64| {
        format!(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT {most}) SELECT max(n) FROM c"
        )
    };
    let house = House::new(1);
    // More than there are turns, whatever machine this is, and each on a source of its own.
    let many = 4 * std::thread::available_parallelism().unwrap().get();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let mut queries = Vec::new();
    for (party, most) in std::iter::repeat_n(("loud", 300_000), many).chain([("quiet", 900_000)]) {
        let (source, ended) = (house.source(party).await, Arc::clone(&ended));
        queries.push(tokio::spawn(async move {
            ask(&*source, &counting(most), Duration::from_secs(600)).await.unwrap();
            ended.lock().unwrap().push(party);
        }));
    }
    for query in queries {
        query.await.unwrap();
    }
    let ended = ended.lock().unwrap();
    let before = ended.iter().position(|party| *party == "quiet").unwrap();
    assert!(before < many / 2, "{before} of {many} were done before");
}
