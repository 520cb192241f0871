//! What this node has read may be served while the store's fence holds, and the fence speaks of the view of
//! *now*: whoever took a view before asking may hold one from before a lapse
//! (`a_view_taken_before_the_deadline_is_checked` of the model in `storage/model`).

use super::*;

impl House {
    /// The view of an organization is taken back at the very moment when the fence is asked, which holds again.
    fn catches_up_when_asked(&self, org: &Org) {
        let entry = self.registry.active_entry(&org.id()).unwrap();
        *self.stage.when_asked.lock() = Some(Box::new(move || entry.cell.close()));
    }
}

#[actix::test]
async fn a_credential_is_held_against_the_view_that_the_fence_spoke_of() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    assert!(house.accepts(&credential(&key)).await);
    let other = House::over(Arc::clone(&house.stage), LIMITS);
    other.registry.resolve(org.id()).await.unwrap().delete_key(key.id).await.unwrap();
    house.catches_up_when_asked(&org);
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn calls_and_streams_go_by_the_view_that_the_fence_spoke_of() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let principal = async || house.registry.authenticate(&key, None).await.unwrap();

    let asking = principal().await;
    house.catches_up_when_asked(&org);
    assert_eq!(asking.begin(CallKey("1".into())).err(), Some(BeginError::Closed));

    let asking = principal().await;
    house.catches_up_when_asked(&org);
    assert_eq!(asking.listen(CallKey("1".into())).err(), Some(BeginError::Closed));

    let mut listening = principal().await.listen(CallKey("1".into())).unwrap();
    house.catches_up_when_asked(&org);
    assert_eq!(listening.verify(), Err(Over::Unloaded));

    principal().await;
    house.catches_up_when_asked(&org);
    assert_eq!(listening.changed().await, Err(Over::Unloaded));
}

#[actix::test]
async fn a_node_that_may_not_serve_what_it_has_read_is_not_ready() {
    let house = House::new();
    assert!(house.registry.store_answers().await);
    house.stage.lapsed.store(true, Ordering::SeqCst);
    assert!(!house.registry.store_answers().await);
    house.stage.lapsed.store(false, Ordering::SeqCst);
    assert!(house.registry.store_answers().await);
}
