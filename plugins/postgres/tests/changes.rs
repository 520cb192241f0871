//! What an administrator changes while a source is in use: what goes on, what is told, and that the source is found again
//! without anybody's help.

mod common;

use std::sync::Arc;

use common::shop::Shop;
use common::{Database, ENDLESS, LIMITS, PATIENCE, STREAM, all, open, policy, query, told, try_run, until};
use sequel_connector::{OpenError, QueryError};

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
    // A connection is back a moment after its last row.
    let in_time = async |sql: &'static str| {
        let asking = async {
            loop {
                if let Ok(rows) = source.query(query(sql, LIMITS)).await {
                    return rows;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("it works")
    };
    let works =
        async || assert_eq!(all(in_time("SELECT count(*) FROM t").await).await.unwrap().0[0].len(), 1);
    works().await;
    source.ping().await.unwrap();

    // From here on it is one connection.
    shop.end_all();
    works().await;
    shop.run("ALTER ROLE reader PASSWORD 'second'");
    // Who is in stays in; who comes is told, and so is who asks whether all is well.
    works().await;
    let mut held = in_time(STREAM).await;
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
