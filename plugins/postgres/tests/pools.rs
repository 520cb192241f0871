//! Connections: shared, capped, given back, and found again after a server was away.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Database, ENDLESS, LIMITS, PATIENCE, all, configuration, open, policy, query, told, try_run};
use sequel_connector::{Connector, Egress, OpenError, Party, QueryError};
use sequel_connector_postgres::{Policy, PostgresConnector};

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closed_are_replaced_unseen() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let source = database.open().await;
    for _ in 0..3 {
        assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]]);
        // As a restart does, and whoever administers the server.
        database.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            database.role
        ));
    }
    let running = tokio::spawn({
        let source = source.clone();
        async move { try_run(&*source, ENDLESS).await.map(drop) }
    });
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{}' AND state = 'active'",
        database.role
    );
    while database.run(&kill) == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it does not panic");
    assert!(matches!(ended, Err(QueryError::Unavailable(_))), "{ended:?}");
    assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_connections_are_all_held_says_that_it_is_busy() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let source = open(database.settings(), Policy { connections_per_source: 1, ..policy() }).await.unwrap();
    let rows = source.query(query(ENDLESS, LIMITS)).await.expect("it starts");
    let error = try_run(&*source, "SELECT 1").await.map(drop).unwrap_err();
    assert!(matches!(&error, QueryError::Limit(text) if text.contains("busy")), "{error:?}");
    drop(rows);
    assert_eq!(told(&*source, "SELECT 1").await, [["Int(1)"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_party_leaves_connections_to_others() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let connector = Arc::new(
        PostgresConnector::new(Policy { connections_per_source: 8, connections_max: 4, ..policy() }).unwrap(),
    );
    let given = configuration(database.settings());
    let greedy = connector.open(&given, &Party::new("greedy")).await.unwrap();
    let mut cancels = Vec::new();
    for _ in 0..8 {
        let endless = query(ENDLESS, LIMITS);
        cancels.push(endless.cancel.clone().drop_guard());
        let greedy = greedy.clone();
        tokio::spawn(async move { all(greedy.query(endless).await?).await.map(drop) });
    }
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", database.role);
    while database.run(&count) != "3" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let modest = connector.open(&given, &Party::new("modest")).await.expect("a quarter is left");
    assert_eq!(told(&*modest, "SELECT 1").await, [["Int(1)"]]);
    assert_eq!(database.run(&count), "4");
    drop(cancels);
    // What idles gives way: a third party gets its place although all are open.
    drop(modest);
    let third = tokio::time::timeout(PATIENCE, connector.open(&given, &Party::new("third"))).await;
    third.expect("in time").expect("somebody gives way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_source_leaves_no_connection() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let source = database.open().await;
    told(&*source, "SELECT 1").await;
    drop(source);
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", database.role);
    while database.run(&count) != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_could_do_far_more_than_read_are_refused_unless_the_operator_insists() {
    let database = Database::make(&["CREATE TABLE t (a int)"]);
    let insisting = || Policy { privileged_roles: true, ..policy() };
    assert_eq!(database.open().await.warnings(), Vec::<String>::new());
    for (give, take, word) in [
        ("ALTER ROLE {} SUPERUSER", "ALTER ROLE {} NOSUPERUSER", "superuser"),
        ("ALTER ROLE {} CREATEROLE", "ALTER ROLE {} NOCREATEROLE", "CREATEROLE"),
        ("ALTER ROLE {} REPLICATION", "ALTER ROLE {} NOREPLICATION", "REPLICATION"),
        ("GRANT pg_read_server_files TO {}", "REVOKE pg_read_server_files FROM {}", "pg_read_server_files"),
        ("GRANT pg_monitor TO {}", "REVOKE pg_monitor FROM {}", "pg_monitor"),
    ] {
        database.run(&give.replace("{}", &database.role));
        let refused = open(database.settings(), policy()).await.map(drop).expect_err(word);
        assert!(matches!(&refused, OpenError::Policy(text) if text.contains(word)), "{refused:?}");
        let taken = open(database.settings(), insisting()).await.expect(word);
        assert!(taken.warnings()[0].contains(word), "{:?}", taken.warnings());
        drop(taken);
        database.run(&take.replace("{}", &database.role));
    }
    // What somebody may become by SET ROLE, they are.
    database.run(&format!("CREATE ROLE {0}_boss SUPERUSER; GRANT {0}_boss TO {0}", database.role));
    let refused = open(database.settings(), policy()).await.map(drop).expect_err("a superuser's");
    assert!(matches!(&refused, OpenError::Policy(text) if text.contains("_boss")), "{refused:?}");
    database.run(&format!("DROP ROLE {}_boss", database.role));
    // The one of them that only reads.
    if database.version() >= 14 {
        database.run(&format!("GRANT pg_read_all_data TO {}", database.role));
        assert_eq!(database.open().await.warnings(), Vec::<String>::new());
    }
    database.run(&format!("GRANT INSERT ON t TO {}", database.role));
    assert!(database.open().await.warnings()[0].contains("change rows"));
    // A superuser may not even write as one.
    let mut settings = database.settings();
    settings["user"] = "postgres".into();
    let source = open(settings, insisting()).await.unwrap();
    for sql in [
        "SELECT pg_read_file('/etc/passwd')",
        "COPY t TO PROGRAM 'id'",
        "INSERT INTO t VALUES (1)",
        "SELECT * FROM pg_authid",
    ] {
        let error = try_run(&*source, sql).await.map(drop).unwrap_err();
        assert!(matches!(error, QueryError::Refused(_)), "{sql}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_judged_at_every_connect_and_our_own_store_is_refused() {
    let database = Database::make(&["CREATE SCHEMA sequel", "CREATE TABLE sequel.records (a int)"]);
    let closed = || Policy { egress: Egress::default(), ..policy() };
    for host in ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"] {
        let mut settings = database.settings();
        settings["host"] = host.into();
        let error = open(settings, closed()).await.map(drop).expect_err(host);
        assert!(matches!(&error, OpenError::Policy(_)), "{host}: {error:?}");
    }
    let error = PostgresConnector::new(closed()).unwrap().check(&configuration(database.settings())).await;
    assert!(
        matches!(&error, Err(OpenError::Policy(text)) if text.contains("sources.network.allow")),
        "{error:?}"
    );
    let open_to_it = Policy {
        egress: Egress { private: false, allow: vec!["127.0.0.0/8".parse().unwrap()], deny: vec![] },
        ..policy()
    };
    assert_eq!(told(&*open(database.settings(), open_to_it).await.unwrap(), "SELECT 1").await, [["Int(1)"]]);
    let own = Policy { refused_relations: vec!["sequel.records".into()], ..policy() };
    let error = open(database.settings(), own).await.map(drop).expect_err("its own store");
    assert!(matches!(&error, OpenError::Policy(text) if text.contains("own records")), "{error:?}");
    // It was another database when the source was opened.
    let other = Database::make(&["CREATE TABLE t (a int)"]);
    let own = Policy { refused_relations: vec!["sequel.records".into(), "sequel.scopes".into()], ..policy() };
    let source = open(other.settings(), own).await.unwrap();
    assert_eq!(told(&*source, "SELECT count(*) FROM t").await, [["Int(0)"]]);
    other.run("CREATE SCHEMA sequel CREATE TABLE records (a int) CREATE TABLE scopes (a int)");
    let connections = format!("FROM pg_stat_activity WHERE usename = '{}'", other.role);
    other.run(&format!("SELECT pg_terminate_backend(pid) {connections}"));
    while other.run(&format!("SELECT count(*) {connections}")) != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = try_run(&*source, "SELECT count(*) FROM t").await.map(drop).unwrap_err();
    assert!(
        matches!(&error, QueryError::Unavailable(why) if why.to_string().contains("own records")),
        "{error:?}"
    );
}
