//! A server that goes away, hangs, or is cut off: nobody waits longer than the limit, nobody gets half an answer, and it is
//! found again.

mod common;
#[path = "../../../tests/postgres/proxy.rs"]
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use common::shop::Shop;
use common::{Database, ENDLESS, LIMITS, PATIENCE, STREAM, all, open, policy, query, told, try_run, until};
use proxy::Proxy;
use sequel_connector::{DataSource, Limits, OpenError, QueryError};
use sequel_connector_postgres::Policy;

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
        open(shop.settings("first"), Policy { connections_per_source: 2, ..policy() }).await.unwrap();
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
    // It keeps its place, since nobody can tell it from one that works on; the other one answers.
    let patient =
        tokio::time::timeout(PATIENCE, async { while try_run(&*source, "SELECT 1").await.is_err() {} });
    patient.await.expect("the other place answers");
    kill_process(backend, Signal::CONT).unwrap();
    // It was cancelled meanwhile.
    let pid = backend.as_raw_nonzero();
    let works = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
    until("0", || shop.run(&works)).await;

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
