//! What an administrator changes while a source is in use: what goes on, what is told, and that the source is found again
//! without anybody's help.

mod common;
#[path = "../../../tests/postgres/proxy.rs"]
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use common::cluster::Cluster;
use common::{Database, LIMITS, PATIENCE, all, open, policy, psql, query, told, try_run, until};
use proxy::Proxy;
use sequel_connector::{DataSource, Limits, OpenError, QueryError};
use sequel_connector_postgres::Policy;
use serde_json::{Value, json};

const ENDLESS: &str = "SELECT a.n FROM generate_series(1, 100000) AS a(n), generate_series(1, 100000) AS b(n), \
                       generate_series(1, 100000) AS c(n) WHERE a.n + b.n + c.n < 0";
/// Rows that come for as long as somebody reads.
const STREAM: &str = "SELECT n, repeat('x', 1000) FROM (SELECT generate_series(1, 100000000) AS n) s";

/// A server of its own with a database `shop` and a role that shows a password.
struct Shop(Cluster);

impl Shop {
    fn start() -> Self {
        let access = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        let shop = Self(Cluster::start("password_encryption = 'scram-sha-256'", Some(access)));
        shop.run("CREATE ROLE reader LOGIN PASSWORD 'first'");
        shop.run("CREATE DATABASE shop");
        shop.run("REVOKE CREATE ON DATABASE shop FROM PUBLIC");
        shop.in_shop("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        shop.in_shop("CREATE TABLE t (a int); GRANT SELECT ON t TO reader");
        shop
    }

    fn run(&self, sql: &str) -> String {
        psql(&self.0.socket_url(), sql)
    }

    fn in_shop(&self, sql: &str) -> String {
        psql(&self.0.socket_url().replace("/postgres", "/shop").replace("//shop@", "//postgres@"), sql)
    }

    /// Ends all of the role's connections.
    fn end_all(&self) {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'reader'";
        while self.run(end) != "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn settings(&self, password: &str) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.0.port(), "database": "shop", "user": "reader", "password": password,
            "tls": "disable",
        })
    }
}

/// What whoever connects the source reads of a query's failure, which says that it will not pass by itself.
#[track_caller]
fn lasting(outcome: Result<impl Sized, QueryError>) -> String {
    let Err(QueryError::Unavailable(cause)) = outcome else { panic!("{:?}", outcome.map(drop)) };
    match cause.downcast_ref::<OpenError>() {
        Some(OpenError::Settings(said) | OpenError::Policy(said)) => {
            assert!(said.ends_with('.'), "{said}");
            said.clone()
        }
        _ => panic!("{cause:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_under_a_running_pool_is_told_and_what_is_changed_back_works() {
    let shop = Shop::start();
    let source = open(shop.settings("first"), policy()).await.unwrap();
    let works = async || assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]]);
    works().await;
    source.ping().await.unwrap();

    // From here on it is one connection.
    shop.end_all();
    works().await;
    shop.run("ALTER ROLE reader PASSWORD 'second'");
    // Who is in stays in; who comes is told, and so is who asks whether all is well.
    works().await;
    let mut held = source.query(query(STREAM, LIMITS)).await.unwrap();
    assert!(lasting(try_run(&*source, "SELECT 1").await).contains("Check user and password"));
    assert!(held.next_batch().await.unwrap().is_some());
    drop(held);
    assert!(lasting(source.ping().await).contains("Check user and password"));
    shop.end_all();
    assert!(lasting(try_run(&*source, "SELECT 1").await).contains("Check user and password"));
    // Nothing of it is remembered.
    let edited = open(shop.settings("second"), policy()).await.unwrap();
    assert_eq!(told(&*edited, "SELECT 1").await, [["Int(1)"]]);
    drop(edited);
    shop.run("ALTER ROLE reader PASSWORD 'first'");
    works().await;

    for (change, back, wanted) in [
        (
            "REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
            "GRANT CONNECT ON DATABASE shop TO PUBLIC",
            "Grant the role CONNECT",
        ),
        ("ALTER ROLE reader NOLOGIN", "ALTER ROLE reader LOGIN", "not permitted to log in"),
        (
            "ALTER ROLE reader VALID UNTIL '2020-01-01'",
            "ALTER ROLE reader VALID UNTIL 'infinity'",
            "Check user",
        ),
        (
            "ALTER DATABASE shop RENAME TO store",
            "ALTER DATABASE store RENAME TO shop",
            "name of the database",
        ),
        // It also loses its password to a new name; before PostgreSQL keeps them by SCRAM alone.
        ("ALTER ROLE reader RENAME TO writer", "ALTER ROLE writer RENAME TO reader", "Check user"),
        ("ALTER ROLE reader SUPERUSER", "ALTER ROLE reader NOSUPERUSER", "superuser"),
    ] {
        shop.end_all();
        shop.run(change);
        assert!(lasting(try_run(&*source, "SELECT 1").await).contains(wanted), "{change}");
        shop.run(back);
        works().await;
    }
    // What a role may do is judged again whenever somebody asks whether all is well.
    shop.run("GRANT pg_read_server_files TO reader");
    assert!(lasting(source.ping().await).contains("pg_read_server_files"));
    shop.run("REVOKE pg_read_server_files FROM reader");
    source.ping().await.unwrap();
    assert_eq!(source.warnings(), Vec::<String>::new());
    shop.in_shop("GRANT INSERT ON t TO reader");
    source.ping().await.unwrap();
    assert!(source.warnings()[0].contains("change rows"), "{:?}", source.warnings());

    shop.in_shop("REVOKE ALL ON t FROM reader");
    let error = try_run(&*source, "SELECT * FROM t").await.map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Sql(said) if said.contains("permission denied")), "{error:?}");
    // Under the feet of somebody who is in.
    shop.run("DROP ROLE reader");
    let error = try_run(&*source, "SELECT * FROM t").await.map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Sql(_) | QueryError::Unavailable(_)), "{error:?}");
    shop.run("DROP DATABASE shop WITH (FORCE)");
    assert!(lasting(try_run(&*source, "SELECT 1").await).contains("Check user"));
    shop.run("CREATE ROLE reader LOGIN PASSWORD 'first'");
    assert!(lasting(try_run(&*source, "SELECT 1").await).contains("name of the database"));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_the_database_has_for_the_role_hold() {
    let database = Database::make(&[
        "CREATE FUNCTION limit_in_force() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('statement_timeout') $$",
    ]);
    let set = |setting: &str| database.run(&format!("ALTER ROLE {} SET {setting}", database.role));
    let mut limits = vec!["statement_timeout = '200ms'"];
    if database.version() >= 17 {
        limits.push("transaction_timeout = '200ms'");
    }
    for limit in limits {
        set(limit);
        let source = database.open().await;
        let running = tokio::time::timeout(PATIENCE, try_run(&*source, ENDLESS));
        let error = running.await.expect(limit).map(drop).unwrap_err();
        assert!(
            matches!(&error, QueryError::Limit(said) if said.contains("time limit")),
            "{limit}: {error:?}"
        );
        database.run(&format!("ALTER ROLE {} RESET ALL", database.role));
    }
    // A longer one does not lift ours.
    set("statement_timeout = '1h'");
    let source = database.open().await;
    let shown = told(&*source, "SELECT limit_in_force()").await;
    let milliseconds: u32 = shown[0][0].trim_end_matches("ms").parse().expect("milliseconds");
    assert!((1..=60_500).contains(&milliseconds), "{milliseconds}");
    // Connections that idle are ended by the database, and nobody notices.
    drop(source);
    if database.version() >= 14 {
        set("idle_session_timeout = '50ms'");
        let source = database.open().await;
        assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", database.role);
        until("0", || database.run(&count)).await;
        assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_more_connections_is_waited_for() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let source = database.open().await;
    database.run(&format!("ALTER ROLE {} CONNECTION LIMIT 2", database.role));
    let first = source.query(query(STREAM, LIMITS)).await.unwrap();
    let second = source.query(query(STREAM, LIMITS)).await.unwrap();
    // Of the four that the source might have, these are all that there will be.
    let error = try_run(&*source, "SELECT 1").await.map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Limit(said) if said.contains("busy")), "{error:?}");
    let waiting = tokio::spawn({
        let source = Arc::clone(&source);
        async move { try_run(&*source, "SELECT 1").await.map(drop) }
    });
    drop(first);
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("in time")
        .unwrap()
        .expect("it gets the first one's");
    drop(second);
    // With none of its own to wait for, it is told at once.
    database.run(&format!("ALTER ROLE {} CONNECTION LIMIT 0", database.role));
    let refused = open(database.settings(), policy()).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Unavailable(cause) if cause.to_string().contains("53300")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_firewall_forgot_are_given_up_before_the_query_is() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let proxy = Proxy::before(&database.url());
    let mut settings = database.settings();
    settings["port"] = proxy.port.into();
    let source = open(settings, policy()).await.unwrap();
    // Two that idle.
    let held = source.query(query(STREAM, LIMITS)).await.unwrap();
    assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
    drop(held);
    let idle = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND state = 'idle' AND query LIKE 'DISCARD%'",
        database.role
    );
    until("2", || database.run(&idle)).await;
    proxy.forget();
    let running = tokio::time::timeout(PATIENCE, told(&*source, "SELECT 2"));
    assert_eq!(running.await.expect("in less time than the query has"), [["Int(2)"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_is_found_again_and_no_answer_is_half() {
    let shop = Shop::start();
    let source = open(shop.settings("first"), policy()).await.unwrap();
    for how in ["fast", "immediate", "kill"] {
        let mut running = Vec::new();
        running.push(tokio::spawn({
            let source = Arc::clone(&source);
            async move { read_on(&*source).await }
        }));
        // A process that computes does not notice that the one that it came from was killed.
        if how != "kill" {
            running.push(tokio::spawn({
                let source = Arc::clone(&source);
                async move { try_run(&*source, ENDLESS).await.map(drop) }
            }));
        }
        let active = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'";
        until(&running.len().to_string(), || shop.run(active)).await;
        // One more that idles.
        assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
        match how {
            "kill" => {
                let postmaster = shop.0.postmaster();
                rustix::process::kill_process(postmaster, rustix::process::Signal::KILL).unwrap();
            }
            how => shop.0.control(&["stop", "-m", how, "-w"]),
        }
        for running in running {
            let ended = tokio::time::timeout(PATIENCE, running).await.expect(how).expect("no panic");
            assert!(matches!(ended, Err(QueryError::Unavailable(_))), "{how}: {ended:?}");
        }
        let error = try_run(&*source, "SELECT 1").await.map(drop).unwrap_err();
        assert!(matches!(error, QueryError::Unavailable(_)), "{how}: {error:?}");
        shop.0.start_again();
        // At the first try.
        assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]], "{how}");
    }
}

/// Reads rows until they end, holding each against the one before.
async fn read_on(source: &dyn DataSource) -> Result<(), QueryError> {
    let wide = Limits { rows: u64::MAX, bytes: u64::MAX, ..LIMITS };
    let mut rows = source.query(query(STREAM, wide)).await?;
    let mut before = 0;
    while let Some(batch) = rows.next_batch().await? {
        for mut row in batch.rows() {
            let Some(sequel_connector::Value::Int(n)) = row.next() else { panic!("a number") };
            assert_eq!(n, before + 1);
            before = n;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_holds_nobody_longer_than_the_limit() {
    use rustix::process::{Pid, Signal, kill_process};
    let shop = Shop::start();
    let source =
        open(shop.settings("first"), Policy { connections_per_source: 1, ..policy() }).await.unwrap();
    let short = Limits { time: Duration::from_secs(2), rows: u64::MAX, bytes: u64::MAX, ..LIMITS };
    // A process of the server's in the midst of its rows.
    let mut rows = source.query(query(STREAM, short)).await.unwrap();
    rows.next_batch().await.unwrap();
    let backend = shop.run("SELECT pid FROM pg_stat_activity WHERE usename = 'reader'");
    let backend = Pid::from_raw(backend.parse().unwrap()).unwrap();
    kill_process(backend, Signal::STOP).unwrap();
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            match rows.next_batch().await {
                Ok(Some(_)) => {}
                ended => return ended.map(drop),
            }
        }
    });
    let error = ended.await.expect("the limit holds").unwrap_err();
    assert!(matches!(error, QueryError::Limit(_)), "{error:?}");
    // Its place is free again, although that process still sleeps.
    let patient =
        tokio::time::timeout(PATIENCE, async { while try_run(&*source, "SELECT 1").await.is_err() {} });
    patient.await.expect("the place is free");
    kill_process(backend, Signal::CONT).unwrap();
    // It was cancelled meanwhile, and has nobody to talk to.
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {}", backend.as_raw_nonzero());
    until("0", || shop.run(&gone)).await;

    // The one that lets people in: nobody comes in, who is in goes on, and nothing can be cancelled but by the server's own
    // limit.
    let postmaster = shop.0.postmaster();
    kill_process(postmaster, Signal::STOP).unwrap();
    let opening = tokio::time::timeout(PATIENCE, open(shop.settings("first"), policy()));
    let refused = opening.await.expect("it is given up").map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Unavailable(_)), "{refused:?}");
    assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
    let running = tokio::time::timeout(PATIENCE, source.query(query(ENDLESS, short)));
    let ended = async { all(running.await.expect("the limit holds")?).await.map(drop) }.await;
    assert!(matches!(ended, Err(QueryError::Limit(_))), "{ended:?}");
    kill_process(postmaster, Signal::CONT).unwrap();
    while shop.run("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'")
        != "0"
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told(&*source, "SELECT 2").await, [["Int(2)"]]);
}
