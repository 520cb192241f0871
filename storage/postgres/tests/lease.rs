//! One process writes: who is refused, who takes over and when, and what the one before may still do.

mod cluster;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use sequel_store::conformance::{key, org, put, state};
use sequel_store::{CommitError, Holder, OpenError, Revision, Role, Standing, Store};
use sequel_store_postgres::{Address, Options, PostgresStore, holder};

use crate::cluster::Database;

const CHILD: &str = "SEQUEL_TEST_LEASE_CHILD";

#[test]
fn a_store_in_use_is_refused_by_the_holder_s_name_and_free_once_it_is_closed() {
    let database = Database::make();
    let serving = Holder::serving(Some("/run/sequel/admin.sock".into()));
    let first = PostgresStore::open(Options::new(database.address(), serving.clone())).unwrap();
    let error = database.open().unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    let text = error.to_string();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for wanted in [format!("(pid {} on {host}, serving, since 20", std::process::id()), database.name.clone()]
    {
        assert!(text.contains(&wanted), "{wanted}: {text}");
    }
    assert_eq!(holder(&database.address()).unwrap(), Some(serving));
    drop(first);
    assert_eq!(holder(&database.address()).unwrap(), None);
    database.open().unwrap();
}

#[test]
fn a_process_of_this_machine_that_was_killed_holds_nothing() {
    if let Ok(url) = std::env::var(CHILD) {
        let address = Address::parse(&url, None).unwrap();
        let _store = PostgresStore::open(Options::new(address, Holder::serving(None))).unwrap();
        println!("held");
        std::io::stdout().flush().unwrap();
        loop {
            thread::park();
        }
    }
    let database = Database::make();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_this_machine_that_was_killed_holds_nothing", "--nocapture"])
        .env(CHILD, database.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("held")), "the child did not open it");
    let held = holder(&database.address()).unwrap().expect("the child holds it");
    assert_eq!((held.pid, held.role), (child.id(), Role::Serve));
    assert!(matches!(database.open().unwrap_err(), OpenError::Locked { .. }));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(holder(&database.address()).unwrap(), None);
    database.open().unwrap();
}

#[test]
fn a_holder_elsewhere_is_refused_while_it_counts_up_and_succeeded_once_it_does_not() {
    let database = Database::make();
    drop(database.open().unwrap());
    // What another machine's process leaves behind when it ends without a word.
    database.sql(
        r#"UPDATE sequel.lease SET epoch = 41, counter = 7, holder = '{"pid":1,"role":"serve"}', host = 'db1', place = 'x y',
           since = '2026-01-01 00:00:00+00'"#,
    );
    let refused = thread::scope(|scope| {
        let opening = scope.spawn(|| (database.open(), holder(&database.address())));
        while !opening.is_finished() {
            database.sql("UPDATE sequel.lease SET counter = counter + 1");
        }
        opening.join().unwrap()
    });
    for error in [refused.0.unwrap_err(), refused.1.unwrap_err()] {
        assert!(
            matches!(&error, OpenError::Locked { holder, .. } if holder.contains("pid 1 on db1, serving")),
            "{error}"
        );
    }
    assert_eq!(holder(&database.address()).unwrap(), None);
    database.open().unwrap();
    assert_eq!(database.sql("SELECT epoch FROM sequel.lease"), "42");
}

#[tokio::test]
async fn a_holder_that_was_succeeded_serves_and_takes_nothing_any_more() {
    let database = Database::make();
    let store = database.open().unwrap();
    store.commit(state(&org("a"), [put("k", "before")])).await.unwrap();
    assert!(store.fence().holds());
    // What another node does that has waited long enough.
    database.sql(
        r#"UPDATE sequel.lease SET epoch = epoch + 1, counter = 0, holder = '{"pid":1,"role":"serve"}'"#,
    );
    let refused = store.commit(state(&org("a"), [put("k", "after")])).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(_)), "{refused:?}");
    assert_eq!(store.fence().standing(), Standing::Lost, "what it has read is served no more");
    assert_eq!(store.get(&org("a"), &key("k")).await.unwrap().unwrap().revision, Revision(1));
    // Nor does it take the lease away when it ends.
    drop(store);
    assert_eq!(database.sql("SELECT holder IS NOT NULL FROM sequel.lease"), "t");
}
