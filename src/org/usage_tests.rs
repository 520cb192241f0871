//! What whoever reads the usage relies on.

use std::time::Duration;

use jiff::civil::Date;
use sequel_store::KeyRange;

use super::keys::MintedKey;
use super::record::{self, UsageRecord, decode};
use super::tests::{Fault, House, LIMITS, credential, named, source};
use super::usage::*;
use super::{CallGuard, CallKey, Org, RegistryLimits, Retention};
use crate::context::Timestamp;

const EVER: UsageQuery = UsageQuery { from: Date::MIN, key: None, source: None };

async fn call(house: &House, key: &MintedKey) -> CallGuard {
    let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
    principal.begin(CallKey("1".into())).unwrap()
}

async fn stored(org: &Org) -> Vec<UsageRecord> {
    let records = org.store().records(KeyRange::prefix(record::USAGE)).await.unwrap();
    records.iter().map(|stored| decode(&stored.value).unwrap()).collect()
}

#[actix::test]
async fn a_call_is_counted_once_however_it_ends() {
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let (id, _) = org.add_source(source("s")).await.unwrap();
    let held = org.find_source("s").unwrap();
    // Done, failed, given up, and one that touches no source.
    let done = call(&house, &key).await;
    done.touches(&held, "run_query", "1");
    done.queried();
    done.answered_rows(7);
    done.concluded(100, false);
    drop(done);
    let failed = call(&house, &key).await;
    failed.touches(&held, "run_query", "1");
    failed.concluded(10, true);
    drop(failed);
    drop(call(&house, &key).await);
    let listed = call(&house, &key).await;
    listed.concluded(5, false);
    drop(listed);
    let report = org.usage(EVER).await.unwrap();
    let of = |source| report.lines.iter().find(|line| line.source == source).unwrap().usage;
    assert_eq!(of(Some(id)), UsageRecord { calls: 2, queries: 1, rows: 7, bytes: 110, errors: 1 });
    assert_eq!(of(None), UsageRecord { calls: 2, queries: 0, rows: 0, bytes: 5, errors: 1 });
    assert_eq!(report.total, UsageRecord { calls: 4, queries: 1, rows: 7, bytes: 115, errors: 2 });
    assert!(report.lines.iter().all(|line| line.key == key.id));
    // Telling it twice counts nothing twice.
    assert_eq!(org.usage(EVER).await.unwrap().total, report.total);
    assert_eq!(org.usage(UsageQuery { source: Some(id), ..EVER }).await.unwrap().total.calls, 2);
}

#[actix::test]
async fn sums_go_on_after_an_eviction_and_a_reload() {
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    call(&house, &key).await.concluded(1, false);
    house.registry.collect_uses().await;
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 1);
    call(&house, &key).await.concluded(1, false);
    house.registry.collect_uses().await;
    assert_eq!(stored(&org).await.iter().map(|usage| usage.calls).sum::<u64>(), 2);
}

#[actix::test]
async fn what_an_org_counted_before_it_left_memory_is_written_down_all_the_same() {
    let house = House::with(RegistryLimits { active_max: 1, ..LIMITS });
    let (a, b) = (house.org("a").await, house.org("b").await);
    let (key_a, key_b) = (a.create_key(named("k")).await.unwrap(), b.create_key(named("k")).await.unwrap());
    // Each call pushes the other organization out: the first time it is loaded again before the timer comes.
    for key in [&key_a, &key_b, &key_a, &key_b] {
        call(&house, key).await.concluded(1, false);
    }
    house.registry.collect_uses().await;
    for org in [a, b] {
        assert_eq!(stored(&org).await.iter().map(|usage| usage.calls).collect::<Vec<_>>(), [2]);
    }
}

#[actix::test]
async fn usage_that_could_not_be_written_is_written_in_the_next_round_and_counted_once() {
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    for fault in [Fault::Full, Fault::Unavailable, Fault::UnknownApplied, Fault::UnknownLost] {
        call(&house, &key).await.concluded(1, false);
        house.stage.fail(fault);
        house.registry.collect_uses().await;
        call(&house, &key).await.concluded(1, false);
        house.registry.collect_uses().await;
    }
    assert_eq!(stored(&org).await.iter().map(|usage| usage.calls).collect::<Vec<_>>(), [8]);
}

#[actix::test]
async fn each_day_has_a_line_and_the_newest_comes_first() {
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    for _ in 0..3 {
        call(&house, &key).await.concluded(1, false);
        house.context.clock.advance(Duration::from_secs(86_400));
    }
    let lines = org.usage(EVER).await.unwrap().lines;
    assert!(lines.len() == 3 && lines[0].day > lines[1].day && lines[1].day > lines[2].day, "{lines:?}");
    let from = lines[1].day;
    assert_eq!(org.usage(UsageQuery { from, ..EVER }).await.unwrap().lines, lines[..2]);
}

#[actix::test]
async fn a_day_goes_when_its_time_is_over_and_not_before() {
    let house = House::with(RegistryLimits { idle: Duration::from_secs(3_600), ..LIMITS });
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let retention =
        Retention { audit_days: 3_650, audit_entries_max: 1_000, usage_days: 2, query_days: 3_650 };
    for _ in 0..4 {
        call(&house, &key).await.concluded(1, false);
        house.registry.collect_uses().await;
        house.context.clock.advance(Duration::from_secs(86_400));
    }
    // Also where the organization is not in memory.
    assert_eq!(house.registry.evict_idle(), 1);
    assert_eq!(house.registry.prune_org(org.id(), retention).await.unwrap(), 2);
    assert_eq!(stored(&org).await.len(), 2);
    assert_eq!(house.registry.prune_org(org.id(), retention).await.unwrap(), 0);
}

#[test]
fn a_day_is_one_of_utc() {
    assert_eq!(day_of(Timestamp(0)).to_string(), "1970-01-01");
    assert_eq!(day_of(Timestamp(86_399_999)).to_string(), "1970-01-01");
    assert_eq!(day_of(Timestamp(86_400_000)).to_string(), "1970-01-02");
}
