//! What holds when an organization is deleted while its store does not answer, and when a source is edited.

use std::time::Duration;

use super::super::sources::SourceEdit;
use super::*;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[actix::test]
async fn a_deletion_found_out_late_closes_what_was_loaded_meanwhile() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    house.stage.faults.lock().push(Fault::UnknownLost);
    house.stage.commits.close();
    let mut deletion = boxed(org.delete(WEEK));
    house.waits_at_the_gate(&mut deletion).await;
    assert!(house.accepts(&credential(&key)).await);
    house.stage.commits.open();
    deletion.await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_deletion_of_unknown_outcome_is_found_out_and_holds() {
    for fault in [Fault::UnknownApplied, Fault::UnknownLost] {
        let house = House::new();
        let org = house.org("Acme").await;
        let key = credential(&org.create_key(named("k")).await.unwrap());
        house.stage.faults.lock().push(fault);
        org.delete(WEEK).await.unwrap();
        assert!(!house.accepts(&key).await);
        house.stage.faults.lock().push(fault);
        house.registry.restore(org.id(), &audit::Author::sequel()).await.unwrap();
        assert!(house.accepts(&key).await);
    }
}

#[actix::test]
async fn an_edited_source_is_one_source_with_what_still_runs_on_it() {
    let house = House::new();
    let org = house.org("Acme").await;
    let (id, _) = org.add_source(source("sales")).await.unwrap();
    org.add_source(source("people")).await.unwrap();
    let held = org.find_source("sales").unwrap();
    let rename = |name: &str| SourceEdit { name: Some(name.into()), ..Default::default() };
    let taken = org.alter_source(&held, rename("People")).await;
    assert!(matches!(taken, Err(ChangeError::NameTaken { .. })));
    let edit = SourceEdit {
        name: Some("turnover".into()),
        settings: Some(sequel_connector::Settings::from_iter([("n".to_owned(), 1.into())])),
        description: Some("All of it".into()),
    };
    let record = org.alter_source(&held, edit).await.unwrap();
    assert_eq!((record.name.as_str(), record.description.as_deref()), ("turnover", Some("All of it")));
    assert!(org.find_source("sales").is_err() && !held.retired().is_cancelled());
    assert_eq!(org.find_source("turnover").unwrap().id(), id);
    org.add_source(source("sales")).await.unwrap();
    org.remove_source(id).await.unwrap();
    assert!(held.retired().is_cancelled());
}
