//! One process writes: who is refused, who takes over, and what one that was paused may still do.

mod cluster;

use sequel_store::conformance::{key, org, put, state};
use sequel_store::{CommitError, OpenError, Revision, Store as _};

use crate::cluster::Database;

/// The id of a process that has ended.
fn ended_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

fn note(pid: u32) -> String {
    format!(r#"{{"pid":{pid},"role":"serve"}}"#)
}

#[test]
fn a_second_process_is_refused_by_the_holder_s_name() {
    let database = Database::make();
    let first = database.open().unwrap();
    let Err(OpenError::Locked { holder, .. }) = database.open() else {
        panic!("two processes hold the lease")
    };
    assert!(holder.contains(&std::process::id().to_string()) && holder.contains("command"), "{holder}");
    drop(first);
    // It was given back: nobody waits for it.
    database.open().unwrap();
}

#[tokio::test]
async fn a_node_that_was_paused_writes_nothing_after_another_took_over() {
    let database = Database::make();
    let store = database.open().unwrap();
    let a = org("a");
    store.commit(state(&a, [put("k", "before")])).await.unwrap();
    assert!(store.fence().holds());
    // What another node does that has waited long enough.
    database.sql(
        "UPDATE sequel.lease SET epoch = epoch + 1, counter = 0, holder = '{\"pid\":1,\"role\":\"serve\"}'",
    );
    let refused = store.commit(state(&a, [put("k", "after")])).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(_)), "{refused:?}");
    assert!(!store.fence().holds(), "what it has read is served no more");
    assert_eq!(store.get(&a, &key("k")).await.unwrap().unwrap().revision, Revision(1));
    // Nor does it take the lease away when it ends.
    drop(store);
    assert_eq!(database.sql("SELECT holder IS NOT NULL FROM sequel.lease"), "t");
}

#[test]
fn a_holder_whose_process_has_ended_here_is_succeeded() {
    let database = Database::make();
    let store = database.open().unwrap();
    let place = database.sql("SELECT place FROM sequel.lease");
    drop(store);
    let sql = format!("UPDATE sequel.lease SET holder = '{}', place = '{place}'", note(ended_pid()));
    database.sql(&sql);
    database.open().unwrap();
}

#[test]
fn a_holder_elsewhere_that_does_not_count_up_any_more_is_succeeded() {
    let database = Database::make();
    drop(database.open().unwrap());
    database
        .sql(&format!("UPDATE sequel.lease SET holder = '{}', host = 'db7', place = 'elsewhere'", note(1)));
    database.open().unwrap();
}

#[test]
fn a_holder_elsewhere_that_counts_up_is_named() {
    let database = Database::make();
    drop(database.open().unwrap());
    database.sql(&format!(
        "UPDATE sequel.lease SET holder = '{}', host = 'db7', place = 'elsewhere'",
        note(4711)
    ));
    let over = std::sync::atomic::AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Bounded: opening gives up after a minute.
            for _ in 0..600 {
                if over.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                database.sql("UPDATE sequel.lease SET counter = counter + 1");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        let outcome = database.open();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        outcome
    });
    let Err(OpenError::Locked { holder, .. }) = outcome else {
        panic!("the lease was taken from a living holder")
    };
    assert!(holder.contains("4711 on db7"), "{holder}");
}

#[test]
fn a_lease_whose_row_is_gone_is_explained() {
    let database = Database::make();
    drop(database.open().unwrap());
    database.sql("DELETE FROM sequel.lease");
    let refused = database.open().unwrap_err().to_string();
    assert!(refused.contains("sequel.lease") && refused.contains("Restore a backup"), "{refused}");
}
