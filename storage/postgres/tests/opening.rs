//! What whoever starts Sequel is told: one sentence that says what to do, and nothing changed.

mod cluster;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use sequel_store::conformance::{org, put, state};
use sequel_store::{Holder, OpenError, Store as _};
use sequel_store_postgres::{Address, Options, PostgresStore, holder, inspect};

use crate::cluster::Database;

fn refused(url: &str) -> String {
    let address = Address::parse(url, None).expect("a URL");
    let error = PostgresStore::open(Options::new(address, Holder::command())).expect_err("a refusal");
    let text = error.to_string();
    assert!(text.ends_with('.'), "{text}");
    text
}

#[test]
fn a_database_that_is_not_there_is_named_with_what_to_do() {
    let url = format!("{}/nowhere", cluster::cluster().trim_end_matches("/postgres"));
    let text = refused(&url);
    assert!(text.contains("nowhere") && text.contains("createdb"), "{text}");
}

#[test]
fn a_user_that_is_not_there_is_refused() {
    let url = cluster::cluster().replace("postgres@", "stranger:hunter2@");
    let text = refused(&url);
    assert!(text.contains("does not accept this user") && !text.contains("hunter2"), "{text}");
}

#[test]
fn where_nobody_listens_the_address_is_said() {
    // A port that is bound and does not listen: nobody else can take it meanwhile.
    let bound = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = bound.local_addr().unwrap().port();
    let text = refused(&format!("postgres://u@127.0.0.1:{port}/d"));
    assert!(text.contains(&port.to_string()) && text.contains("no PostgreSQL answers"), "{text}");
}

#[test]
fn a_server_that_speaks_something_else_is_no_postgresql() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let text = refused(&format!("postgres://u@127.0.0.1:{port}/d"));
    assert!(text.contains("no PostgreSQL answers"), "{text}");
    answering.join().unwrap();
}

#[test]
fn a_schema_of_somebody_else_is_refused_and_left_as_it_is() {
    let database = Database::make();
    database.sql(
        "CREATE SCHEMA sequel; CREATE TABLE sequel.theirs (x int); INSERT INTO sequel.theirs VALUES (7)",
    );
    let text = refused(&database.url());
    assert!(text.contains("belongs to something else"), "{text}");
    assert_eq!(database.sql("SELECT x FROM sequel.theirs"), "7");
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'sequel'"), "1");
}

#[test]
fn a_schema_that_an_administrator_made_for_us_is_used() {
    let database = Database::make();
    database.sql("CREATE SCHEMA sequel");
    database.open().unwrap();
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let database = Database::make();
    drop(database.open().unwrap());
    database.sql("UPDATE sequel.version SET version = 4711");
    let text = refused(&database.url());
    assert!(text.contains("newer version of Sequel") && text.contains("4711"), "{text}");
    assert_eq!(database.sql("SELECT version FROM sequel.version"), "4711");
}

#[test]
fn a_user_who_may_not_make_a_schema_is_told_what_to_grant() {
    let database = Database::make();
    let role = format!("{}_reader", database.name);
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let text = refused(&database.url().replace("postgres@", &format!("{role}@")));
    assert!(text.contains("GRANT CREATE"), "{text}");
    database.sql(&format!("DROP ROLE {role}"));
}

#[test]
fn of_several_that_start_at_once_on_an_empty_database_one_wins() {
    let database = Database::make();
    let outcomes: Vec<Result<PostgresStore, OpenError>> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| database.open())).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut won = 0;
    for outcome in &outcomes {
        match outcome {
            Ok(_) => won += 1,
            Err(OpenError::Locked { holder, .. }) => {
                assert!(holder.contains(&std::process::id().to_string()), "{holder}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
}

#[test]
fn who_only_looks_changes_nothing() {
    let database = Database::make();
    assert_eq!(inspect(&database.address()).unwrap(), None);
    assert_eq!(holder(&database.address()).unwrap(), None);
    assert_eq!(database.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'sequel'"), "0");
    let store = PostgresStore::open(Options::new(database.address(), Holder::serving(None))).unwrap();
    assert_eq!(holder(&database.address()).unwrap(), Some(Holder::serving(None)));
    let found = inspect(&database.address()).unwrap().expect("a store");
    assert_eq!((found.version, found.damage), (found.known, None));
    drop(store);
    assert_eq!(holder(&database.address()).unwrap(), None);
}

#[tokio::test]
async fn an_operator_reads_records_and_a_damaged_one_breaks_no_view() {
    let database = Database::make();
    let store = database.open().unwrap();
    let writes = [
        put("org", r#"{"v":1,"name":"Acme","created_at":"2026-01-01T00:00:00Z"}"#),
        put("key/0000000001", r#"{"v":1,"name":"laptop","enabled":true,"digest":"canary"}"#),
        put("key/0000000002", [0xff, 0x00, b'{']),
        put("source/0000000003", r#"{"v":1,"name":"sales","kind":"sqlite"}"#),
    ];
    store.commit(state(&org("a"), writes)).await.unwrap();
    assert_eq!(database.sql("SELECT name FROM sequel.orgs"), "Acme");
    assert_eq!(
        database.sql("SELECT id, name, enabled FROM sequel.keys ORDER BY id"),
        "0000000001|laptop|true\n0000000002||"
    );
    assert_eq!(database.sql("SELECT name, kind FROM sequel.sources"), "sales|sqlite");
    assert_eq!(database.sql("SELECT count(*) FROM sequel.org_records"), "4");
    for view in ["orgs", "keys", "sources", "usage", "org_records"] {
        assert!(!database.sql(&format!("SELECT * FROM sequel.{view}")).contains("canary"), "{view}");
    }
}
