//! pgbouncer between a source and its database, in both of the modes that people use.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::cluster::Pooler;
use common::{Database, LIMITS, PATIENCE, open, policy, query, told, try_run, until};
use sequel_connector::{DataSource, Limits, QueryError, SchemaAsk};
use sequel_connector_postgres::Policy;
use tokio_util::sync::CancellationToken;

/// How many connections a source may have, of which the pooler has three to the server: in session mode no two can share one.
const MODES: [(&str, usize); 2] = [("session", 3), ("transaction", 6)];

async fn behind(
    database: &Database,
    (mode, connections_per_source): (&str, usize),
) -> (Pooler, Arc<dyn DataSource>) {
    let pooler = Pooler::in_mode(database.port(), mode, &database.role);
    let mut settings = database.settings();
    settings["port"] = pooler.port().into();
    let source = open(settings, Policy { connections_per_source, ..policy() }).await.expect(mode);
    (pooler, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_schemas_and_cancels_go_through_a_pooler() {
    let database = Database::make(&["CREATE TABLE t (a int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"]);
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND state <> 'idle'",
        database.role
    );
    for (mode, connections) in MODES {
        let (_pooler, source) = behind(&database, (mode, connections)).await;
        source.ping().await.expect(mode);
        for _ in 0..5 {
            assert_eq!(
                told(&*source, "SELECT a FROM t ORDER BY a").await,
                [["Int(1)"], ["Int(2)"]],
                "{mode}"
            );
        }
        let error = try_run(&*source, "SELECT nope").await.map(drop).unwrap_err();
        assert!(matches!(error, QueryError::Sql(_)), "{mode}: {error:?}");
        let ask = SchemaAsk { tables: 9, bytes: 1 << 20, time: PATIENCE, cancel: CancellationToken::new() };
        assert_eq!(source.schema(ask).await.expect(mode).tables[0].name, "t");
        // Rows that are dropped at once, and a limit on time.
        for _ in 0..3 {
            drop(source.query(query("SELECT generate_series(1, 1000000000)", LIMITS)).await.expect(mode));
        }
        let short = Limits { time: Duration::from_millis(500), ..LIMITS };
        let sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
        let rows = source.query(query(sql, short)).await;
        let error = match rows {
            Ok(rows) => common::all(rows).await.map(drop).unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, QueryError::Limit(_)), "{mode}: {error:?}");
        until("0", || database.run(&active)).await;
        assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(2)"]], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_session_is_left_behind_a_pooler() {
    // What a read-only transaction lets a function do to its session; the lock would outlive it.
    let database = Database::make(&[
        "CREATE FUNCTION dirty() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN \
         PERFORM set_config('search_path', 'nowhere', false); PERFORM set_config('my.note', 'left', false); \
         PERFORM pg_advisory_lock_shared(42); RETURN 'done'; END $$",
        "CREATE FUNCTION look() RETURNS text LANGUAGE sql STABLE AS \
         $$ SELECT concat_ws('|', current_setting('search_path'), nullif(current_setting('my.note', true), '')) $$",
    ]);
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    for (mode, connections) in MODES {
        let (_pooler, source) = behind(&database, (mode, connections)).await;
        let clean = told(&*source, "SELECT look()").await;
        for sql in ["SELECT dirty()", "SELECT dirty(), 1 / (n - 2) FROM generate_series(1, 3) n"] {
            // Several at once, so that what follows a query may come to another session of the pooler's.
            let running: Vec<_> = (0..40).map(|_| tokio::spawn(run(Arc::clone(&source), sql))).collect();
            for running in running {
                let ended = running.await.expect("no panic");
                assert_eq!(ended.is_ok(), !sql.contains('/'), "{mode}: {ended:?}");
            }
            until("0", || database.run(locks)).await;
            for _ in 0..5 {
                assert_eq!(told(&*source, "SELECT look()").await, clean, "{mode}: {sql}");
            }
        }
    }
}

async fn run(source: Arc<dyn DataSource>, sql: &'static str) -> Result<(), QueryError> {
    try_run(&*source, sql).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_keeps_waiting_is_busy_and_no_reason_to_wait_for_ever() {
    let database = Database::make(&[]);
    let (_pooler, source) = behind(&database, ("session", 4)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(source.query(query("SELECT generate_series(1, 1000000000)", LIMITS)).await.unwrap());
    }
    let waiting = tokio::time::timeout(PATIENCE, try_run(&*source, "SELECT 1"));
    let error = waiting.await.expect("in less time than the query has").map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Limit(said) if said.contains("busy")), "{error:?}");
    drop(held);
    assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
}
