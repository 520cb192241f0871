//! What an operator meets when a store is opened: where it may be, what the database may hold, who holds the lease.

mod cluster;

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use sequel_store::conformance::{key, org, put, state};
use sequel_store::{Holder, OpenError, Revision, Store};
use sequel_store_postgres::{Address, Options, PostgresStore, holder, inspect};

use crate::cluster::own::{Cluster, free_port};
use crate::cluster::{Database, port, psql};

fn open(url: &str) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(Options::new(Address::parse(url, None)?, Holder::command()))
}

/// A refusal, in one sentence or two that end, without the password.
fn refused(url: &str, wanted: &str) {
    let refused = open(url).expect_err(url).to_string();
    assert!(refused.contains(wanted), "{refused}");
    assert!(refused.ends_with('.') && !refused.contains("hunter2"), "{refused}");
}

/// Everything that is in the database, by the catalogue.
fn contents(database: &Database) -> String {
    database.sql(
        "SELECT string_agg(n.nspname || '.' || c.relname, ',' ORDER BY 1, c.oid) FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')",
    )
}

#[tokio::test]
async fn a_store_is_made_where_there_is_none_and_found_again() {
    let database = Database::make();
    let store = database.open().unwrap();
    assert_eq!(store.commit(state(&org("acme"), [put("org", "{}")])).await.unwrap(), Revision(1));
    drop(store);
    let store = database.open().unwrap();
    let record = store.get(&org("acme"), &key("org")).await.unwrap().unwrap();
    assert_eq!((&record.value[..], record.revision), (&b"{}"[..], Revision(1)));
}

#[test]
fn everything_lies_in_one_schema() {
    let database = Database::make();
    drop(database.open().unwrap());
    assert!(
        contents(&database).split(',').all(|name| name.starts_with("sequel.")),
        "{}",
        contents(&database)
    );
}

#[test]
fn a_store_is_inspected_while_it_is_open_and_when_it_is_not() {
    let database = Database::make();
    assert_eq!(inspect(&database.address()).unwrap(), None);
    assert_eq!(holder(&database.address()).unwrap(), None);
    assert_eq!(contents(&database), "", "looking makes nothing");
    let store = database.open().unwrap();
    let found = inspect(&database.address()).unwrap().unwrap();
    assert_eq!((found.version, &found.damage), (found.known, &None));
    drop(store);
    assert_eq!(inspect(&database.address()).unwrap(), Some(found));
}

#[test]
fn of_two_that_start_at_once_on_an_empty_database_exactly_one_opens() {
    let database = Database::make();
    let opened: Vec<_> = thread::scope(|scope| {
        let starters: Vec<_> = (0..4).map(|_| scope.spawn(|| database.open())).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
    for error in opened.iter().filter_map(|opened| opened.as_ref().err()) {
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    }
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let database = Database::make();
    drop(database.open().unwrap());
    database.sql("UPDATE sequel.version SET version = 7");
    for error in [database.open().unwrap_err(), inspect(&database.address()).unwrap_err()] {
        assert!(matches!(error, OpenError::Newer { found: 7, known: 1, .. }), "{error}");
    }
    assert_eq!(database.sql("SELECT holder IS NULL FROM sequel.lease"), "t");
}

#[test]
fn a_store_that_lost_what_names_it_is_refused() {
    for (table, wanted) in [("version", "does not say which version"), ("lease", "INSERT INTO sequel.lease")]
    {
        let database = Database::make();
        drop(database.open().unwrap());
        database.sql(&format!("DELETE FROM sequel.{table}"));
        refused(&database.url(), wanted);
    }
}

#[test]
fn another_program_s_schema_is_refused_and_left_as_it_is() {
    for theirs in [
        "CREATE TABLE sequel.theirs (x int)",
        "CREATE TABLE sequel.version (number text)",
        "CREATE FUNCTION sequel.decoded(x int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE sequel.colour AS ENUM ('red')",
        "CREATE VIEW sequel.orgs AS SELECT 1",
    ] {
        let database = Database::make();
        database.sql(&format!("CREATE SCHEMA sequel; {theirs}"));
        let before = contents(&database);
        refused(&database.url(), "belongs to something else");
        assert!(inspect(&database.address()).is_err());
        assert_eq!(contents(&database), before, "{theirs}");
    }
}

#[test]
fn other_schemas_of_the_database_are_nobody_s_business() {
    let database = Database::make();
    // Also where they come first on the path, with names and operators of ours.
    database.sql(&format!(
        "CREATE TABLE public.records (x int); CREATE TABLE public.lease (x int);
         CREATE FUNCTION public.differs(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT false';
         CREATE OPERATOR public.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = public.differs);
         ALTER DATABASE {} SET search_path = public",
        database.name
    ));
    let store = database.open().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        store.commit(state(&org("a"), [put("k", "v")])).await.unwrap();
        assert!(store.get(&org("a"), &key("k")).await.unwrap().is_some());
    });
}

#[test]
fn a_user_without_rights_is_told_which_it_needs() {
    let database = Database::make();
    let user = format!("user_{}", database.name);
    database.sql(&format!("CREATE ROLE {user} LOGIN"));
    let url = database.url().replace("postgres@", &format!("{user}@"));
    refused(&url, "GRANT CREATE ON DATABASE");
    // An administrator makes the schema for it, and that is enough.
    database.sql(&format!("CREATE SCHEMA sequel AUTHORIZATION {user}"));
    drop(open(&url).unwrap());
    database.sql(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database.name));
    refused(&url, "user");
    database.sql(&format!("DROP SCHEMA sequel CASCADE; DROP ROLE {user}"));
}

#[test]
fn what_cannot_be_a_store_s_database_is_named_with_what_to_do() {
    let database = Database::make();
    refused(&format!("postgres://postgres:hunter2@127.0.0.1:{}/not_there", port()), "createdb");
    refused(&format!("postgres://nobody_at_all:hunter2@127.0.0.1:{}/postgres", port()), "this user");
    refused(
        &format!("postgres://postgres:hunter2@127.0.0.1:{}/postgres", free_port()),
        "Check the host, the port",
    );
    refused(&format!("{}?sslmode=verify-full", database.url()), "TLS");
    for (setting, wanted) in [
        ("default_transaction_read_only = on", "read-only"),
        ("default_transaction_isolation = 'serializable'", "isolation"),
    ] {
        database.sql(&format!("ALTER DATABASE {} SET {setting}", database.name));
        refused(&database.url(), wanted);
        psql(&cluster::cluster(), &format!("ALTER DATABASE {} RESET ALL", database.name));
    }
    assert_eq!(contents(&database), "");
}

#[test]
fn what_does_not_speak_postgres_is_refused() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port_of = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (web_port, silent_port) = (port_of(&web), port_of(&silent));
    thread::spawn(move || {
        for stream in web.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    refused(&format!("postgres://u:hunter2@127.0.0.1:{web_port}/d"), "no PostgreSQL answers there");
    // The kernel takes the connection, and nobody ever answers on it.
    refused(
        &format!("postgres://u:hunter2@127.0.0.1:{silent_port}/d"),
        "no PostgreSQL answers there in time",
    );
}

#[test]
fn a_standby_is_refused_and_a_wrong_password_too() {
    let access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let cluster = Cluster::start("password_encryption = 'scram-sha-256'", Some(access));
    psql(&cluster.socket_url(), "ALTER ROLE postgres PASSWORD 'correct horse'");
    let url =
        |password: &str| format!("postgres://postgres:{password}@127.0.0.1:{}/postgres", cluster.port());
    refused(&url("hunter2"), "does not accept this user with this password");
    refused(&cluster.url(), "wants a password");
    let from_file = Address::parse(&cluster.url(), Some("correct horse")).unwrap();
    drop(PostgresStore::open(Options::new(from_file, Holder::command())).unwrap());
    cluster.control(&["stop", "-m", "fast", "-w"]);
    cluster.put("data/standby.signal", "");
    cluster.start_again();
    refused(&url("correct%20horse"), "standby");
}
