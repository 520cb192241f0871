//! What whoever reads the trail relies on.

use std::time::Duration;

use serde_json::Value;

use super::audit::*;
use super::tests::{Fault, House, LIMITS, named, source};
use super::{ChangeError, Org, RegistryLimits};
use crate::context::Timestamp;

const ALL: AuditQuery = AuditQuery { before: None, since: None, limit: 1_000 };

async fn actions(org: &Org) -> Vec<String> {
    org.audit(ALL).await.unwrap().entries.into_iter().map(|(_, entry)| entry.action).collect()
}

fn ada() -> Author {
    let who = Who::Operator { uid: 1000, user: Some("ada".into()) };
    Author { who, via: Via::AdminSocket, address: None }
}

#[actix::test]
async fn every_change_leaves_one_entry_and_a_refused_one_leaves_none() {
    let house = House::with(RegistryLimits { keys_max: 1, ..LIMITS });
    let org = house.org("acme").await.by(ada());
    let key = org.create_key(named("k")).await.unwrap();
    assert!(matches!(org.create_key(named("second")).await, Err(ChangeError::Limit(_))));
    org.alter_key(key.id, Some("new".into()), None).await.unwrap();
    org.alter_key(key.id, None, Some(false)).await.unwrap();
    org.alter_key(key.id, None, Some(true)).await.unwrap();
    org.rotate_key(key.id, Duration::from_secs(60)).await.unwrap();
    org.delete_key(key.id).await.unwrap();
    assert!(matches!(org.delete_key(key.id).await, Err(ChangeError::NotFound(_))));
    let (id, _) = org.add_source(source("s")).await.unwrap();
    org.remove_source(id).await.unwrap();
    house.stage.fail(Fault::Full);
    assert!(matches!(org.create_key(named("k")).await, Err(ChangeError::StoreFull)));
    let entries = org.audit(ALL).await.unwrap().entries;
    let told: Vec<_> = entries.iter().rev().map(|(_, entry)| entry.action.as_str()).collect();
    let expected = [
        "org.create",
        "key.create",
        "key.rename",
        "key.disable",
        "key.enable",
        "key.rotate",
        "key.delete",
        "source.add",
        "source.remove",
    ];
    assert_eq!(told, expected);
    let renamed = &entries[6].1;
    assert_eq!((renamed.target.name.as_str(), &renamed.details["renamed_from"]), ("new", &Value::from("k")));
    assert!(entries[..8].iter().all(|(_, entry)| entry.who == ada().who && entry.via == Via::AdminSocket));
    assert_eq!(entries[8].1.who, Who::Sequel);
    let text = serde_json::to_string(&entries).unwrap();
    let secret = key.plain.reveal();
    assert!(!text.contains(secret) && !text.contains(&secret[20..]), "{text}");
}

#[actix::test]
async fn a_change_of_unknown_outcome_that_happened_has_its_entry_once() {
    let house = House::new();
    let org = house.org("acme").await;
    house.stage.fail(Fault::UnknownApplied);
    org.create_key(named("k")).await.unwrap();
    house.stage.fail(Fault::UnknownLost);
    org.create_key(named("l")).await.unwrap();
    assert_eq!(actions(&org).await, ["key.create", "key.create", "org.create"]);
}

#[actix::test]
async fn pages_go_back_from_the_newest_entry_to_the_oldest_without_a_gap() {
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k0")).await.unwrap();
    for n in 1..=5 {
        org.alter_key(key.id, Some(format!("k{n}")), None).await.unwrap();
    }
    let whole: Vec<u64> = org.audit(ALL).await.unwrap().entries.iter().map(|(at, _)| *at).collect();
    assert_eq!(whole, [7, 6, 5, 4, 3, 2, 1]);
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = org.audit(AuditQuery { before, limit: 3, ..ALL }).await.unwrap();
        assert!(page.entries.len() <= 3);
        paged.extend(page.entries.iter().map(|(at, _)| *at));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
}

#[actix::test]
async fn only_entries_since_a_time_are_told_when_one_is_named() {
    let house = House::new();
    let org = house.org("acme").await;
    org.create_key(named("old")).await.unwrap();
    house.context.clock.advance(Duration::from_secs(3_600));
    let since = Some(house.context.clock.now());
    org.create_key(named("new")).await.unwrap();
    let page = org.audit(AuditQuery { since, ..ALL }).await.unwrap();
    let names: Vec<_> = page.entries.iter().map(|(_, entry)| entry.target.name.as_str()).collect();
    assert_eq!(names, ["new"]);
}

#[actix::test]
async fn as_many_entries_as_allowed_are_kept_and_the_oldest_beyond_them_go() {
    let house = House::new();
    let org = house.org("acme").await;
    for n in 0..4 {
        org.create_key(named(&format!("k{n}"))).await.unwrap();
    }
    let retention = |entries_max| AuditRetention { keep_from: Timestamp(0), entries_max };
    // At the limit nothing goes, and one past it the oldest does; pruning itself is no entry.
    assert_eq!(org.prune_audit(retention(5)).await.unwrap(), 0);
    assert_eq!(org.prune_audit(retention(4)).await.unwrap(), 1);
    assert_eq!(actions(&org).await, ["key.create"; 4]);
    // What pruning does to the revision prunes nothing further.
    for _ in 0..3 {
        assert_eq!(org.prune_audit(retention(4)).await.unwrap(), 0);
    }
    org.create_key(named("k4")).await.unwrap();
    assert_eq!(org.prune_audit(retention(4)).await.unwrap(), 1);
    assert_eq!(org.audit(ALL).await.unwrap().entries.len(), 4);
}

#[actix::test]
async fn an_entry_goes_when_its_time_is_over_and_not_before() {
    let house = House::new();
    let org = house.org("acme").await;
    house.context.clock.advance(Duration::from_secs(10));
    org.create_key(named("k")).await.unwrap();
    let at = org.audit(ALL).await.unwrap().entries[0].1.at;
    let keep = |from| AuditRetention { keep_from: from, entries_max: 100 };
    assert_eq!(org.prune_audit(keep(at)).await.unwrap(), 1, "the organization's own creation");
    assert_eq!(actions(&org).await, ["key.create"]);
    assert_eq!(org.prune_audit(keep(Timestamp(at.0 + 1))).await.unwrap(), 1);
    assert!(actions(&org).await.is_empty());
}

#[actix::test]
async fn many_entries_are_pruned_in_one_go() {
    // More than two batches hold.
    const CHANGES: usize = 600;
    let house = House::new();
    let org = house.org("acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    for n in 0..CHANGES {
        org.alter_key(key.id, None, Some(n % 2 == 0)).await.unwrap();
    }
    let retention = AuditRetention { keep_from: Timestamp(i64::MAX), entries_max: 100 };
    assert_eq!(org.prune_audit(retention).await.unwrap(), CHANGES + 2);
    assert!(actions(&org).await.is_empty());
    // Keys are as they were.
    assert_eq!(org.list_keys().await.unwrap().len(), 1);
}
