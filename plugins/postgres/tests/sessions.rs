//! What one query leaves behind is nothing to the next, whatever becomes of the connection.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Database, LIMITS, PATIENCE, all, open, policy, query, told, try_run};
use sequel_connector::{Limits, Origin, Query, QueryError};
use sequel_connector_postgres::Policy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Which connection a query has.
const OWN_PID: &str =
    "CREATE FUNCTION own_pid() RETURNS int LANGUAGE sql STABLE AS 'SELECT pg_backend_pid()'";

/// Four connections become one, so that queries follow each other on it.
fn one_connection() -> Policy {
    Policy { connections_per_source: 1, ..policy() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_session_is_left_to_the_next_query() {
    // Declared STABLE, and so past the guard: it does all that a read-only transaction lets it do to its session.
    let database = Database::make(&[
        "CREATE FUNCTION dirty() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN \
         PERFORM set_config('search_path', 'nowhere', false); PERFORM set_config('statement_timeout', '1', false); \
         PERFORM set_config('standard_conforming_strings', 'off', false); PERFORM pg_advisory_lock(42); \
         PERFORM set_config('my.note', 'left', false); RETURN 'done'; END $$",
        "CREATE FUNCTION look() RETURNS text LANGUAGE sql STABLE AS \
         $$ SELECT concat_ws('|', current_setting('search_path'), current_setting('standard_conforming_strings'), \
            nullif(current_setting('my.note', true), ''), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
            current_setting('application_name')) $$",
        "CREATE TABLE t (a int)",
        OWN_PID,
    ]);
    let source = open(database.settings(), one_connection()).await.unwrap();
    let pid = "SELECT own_pid()";
    let before = told(&*source, pid).await;
    let clean = told(&*source, "SELECT look()").await;
    assert_eq!(clean, [["\"$user\", public|on|0|sequel"]]);
    assert_eq!(told(&*source, "SELECT dirty()").await, [["done"]]);
    assert_eq!(told(&*source, "SELECT look()").await, clean);
    assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]]);
    // It was one connection all the time.
    assert_eq!(told(&*source, pid).await, before);
    // After an error, and after a cut, as well.
    assert!(try_run(&*source, "SELECT dirty(), 1 / 0 FROM generate_series(1, 9)").await.is_err());
    assert_eq!(told(&*source, "SELECT look()").await, clean);
    let cut = Limits { rows: 5, ..LIMITS };
    let sql = "SELECT n, dirty() FROM generate_series(1, 3000000) n";
    all(source.query(query(sql, cut)).await.unwrap()).await.unwrap();
    assert_eq!(told(&*source, "SELECT look()").await, clean);
}

/// Passes bytes on to a server, and counts how often something is sent there.
async fn counting(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let near = listener.local_addr().expect("an address").port();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut part = [0; 8192];
                while let Ok(bytes @ 1..) = from_client.read(&mut part).await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    if to_server.write_all(&part[..bytes]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (near, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_two_round_trips() {
    let database = Database::make(&[
        "CREATE TABLE t AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 2000) n",
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'",
    ]);
    let mut settings = database.settings();
    let port = settings["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let (near, sent) = counting(port).await;
    settings["port"] = near.into();
    let source = open(settings, one_connection()).await.unwrap();
    for sql in ["SELECT 1", "SELECT id, name FROM t", "SELECT twice(21)"] {
        // Opens the connection; functions and types are looked up once.
        told(&*source, sql).await;
        let before = sent.load(Ordering::SeqCst);
        for _ in 0..5 {
            told(&*source, sql).await;
        }
        assert_eq!(sent.load(Ordering::SeqCst) - before, 10, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_at_once_is_cancelled_like_everybody() {
    let database = Database::make(&[OWN_PID]);
    let source = open(database.settings(), one_connection()).await.unwrap();
    let pid = "SELECT own_pid()";
    let before = told(&*source, pid).await;
    for wait in 0..20 {
        let sql = "SELECT repeat('x', 1000) FROM (SELECT generate_series(1, 100000000)) s";
        let rows = source.query(query(sql, LIMITS)).await.unwrap();
        tokio::time::sleep(Duration::from_micros(100 * wait)).await;
        drop(rows);
        // The server gave up in time, or else the connection would have been.
        assert_eq!(told(&*source, pid).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_told_on_whose_behalf_it_works() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let source = database.open().await;
    let origin =
        Origin { organization: "org1".into(), principal: "sql_ab'c*/ DROP".into(), request: "r-7".into() };
    let endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let asked = Query { origin, ..query(endless, LIMITS) };
    let cancel = asked.cancel.clone();
    let running = tokio::spawn({
        let source = source.clone();
        async move { all(source.query(asked).await?).await.map(drop) }
    });
    let look = format!(
        "SELECT application_name || '#' || query FROM pg_stat_activity WHERE usename = '{}' AND state = 'active'",
        database.role
    );
    let shown = loop {
        let shown = database.run(&look);
        if shown.contains("generate_series") {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let who = "org=org1 principal=sql_ab_c___DROP request=r-7";
    assert!(shown.starts_with(&format!("sequel {who}#/* sequel {who} */ SELECT")), "{shown}");
    cancel.cancel();
    let ended = tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it does not panic");
    assert!(matches!(ended, Err(QueryError::Cancelled)), "{ended:?}");
    // The cancel reached the server, long before its own time limit.
    let gone = async {
        while database.run(&look).contains("generate_series") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it ends on the server");
    // A wrong place is told as its author wrote it, whatever stands before it.
    let asked = Query {
        origin: Origin { request: "r".into(), ..Origin::default() },
        ..query("SELECT 1,\n nope", LIMITS)
    };
    let error = source.query(asked).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("(line 2, column 2)"), "{error}");
}
