//! A revoke or a deletion that was acknowledged holds, whatever the store did while it was made.

use std::time::Duration;

use super::*;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl House {
    /// Makes a change wait in the store, with its outcome unknown and so with the view closed.
    async fn hold<T>(&self, change: Pin<&mut (dyn Future<Output = T> + '_)>) {
        self.stage.fail(Fault::UnknownLost);
        self.stage.commits.close();
        self.waits_at_the_gate(change).await;
    }

    /// Lets a change come to where it waits for the other nodes, and the actor go to sleep over it.
    async fn settles<T>(&self, mut change: Pin<&mut (dyn Future<Output = T> + '_)>) {
        tokio::select! {
            _ = &mut change => panic!("answered before every node has settled"),
            () = self.stage.settles.somebody_waits() => {}
        }
        let (done, is_done) = tokio::sync::oneshot::channel();
        assert!(self.arbiter.spawn_fn(move || done.send(()).unwrap_or_default()));
        is_done.await.unwrap();
    }

    /// Somebody asks with this credential while the organization cannot be loaded.
    async fn fails_to_load(&self, credential: &Credential) {
        self.stage.scans_fail.store(true, Ordering::SeqCst);
        let refused = self.registry.authenticate(credential, None).await;
        assert!(matches!(refused, Err(AuthError::Unavailable(_))));
        self.stage.scans_fail.store(false, Ordering::SeqCst);
    }
}

impl CallGuard {
    /// A call whose key is deleted by now, for the tests of what is sent of its answer.
    pub(crate) async fn revoked() -> Self {
        let house = House::new();
        let org = house.org("Acme").await;
        let key = org.create_key(named("k")).await.unwrap();
        let principal = house.registry.authenticate(&credential(&key), None).await.unwrap();
        let call = principal.begin(CallKey("1".into())).unwrap();
        org.delete_key(key.id).await.unwrap();
        assert_eq!(call.stopped(), Some(Stopped::Revoked));
        call
    }
}

#[actix::test]
async fn a_revoke_that_was_found_out_late_holds_although_a_load_failed_meanwhile() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let mut deletion = boxed(org.delete_key(key.id));
    house.hold(deletion.as_mut()).await;
    house.fails_to_load(&key).await;
    assert!(house.accepts(&key).await, "the store still says that it holds");
    house.stage.commits.open();
    deletion.await.unwrap();
    assert!(!house.accepts(&key).await);
    // What was kept for the sake of the change is let go of like any other.
    house.context.clock.advance(LIMITS.idle);
    assert_eq!((house.registry.evict_idle(), house.registry.active()), (1, 0));
}

#[actix::test]
async fn a_deletion_that_was_found_out_late_holds_although_a_load_failed_meanwhile() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let mut deletion = boxed(org.delete(WEEK));
    house.hold(deletion.as_mut()).await;
    house.fails_to_load(&key).await;
    assert!(house.accepts(&key).await, "the store still says that it lives");
    house.stage.commits.open();
    deletion.await.unwrap();
    assert!(!house.accepts(&key).await);
    assert_eq!(house.registry.active(), 0);
}

#[actix::test]
async fn a_revoke_ends_a_call_that_runs_since_before_a_load_that_failed() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let principal = house.registry.authenticate(&key, None).await.unwrap();
    let running = principal.begin(CallKey("1".into())).unwrap();
    assert!(matches!(org.ask(|| Panic).await, Err(ChangeError::Unknown)));
    house.fails_to_load(&key).await;
    house.registry.resolve(org.id()).await.unwrap().delete_key(key.id).await.unwrap();
    assert_eq!(running.stopped(), Some(Stopped::Revoked));
}

#[actix::test]
async fn an_org_that_cannot_be_loaded_is_not_kept() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    assert!(matches!(org.ask(|| Panic).await, Err(ChangeError::Unknown)));
    house.fails_to_load(&key).await;
    assert_eq!(house.registry.active(), 0);
    assert!(house.accepts(&key).await);
}

#[actix::test]
async fn a_deletion_waits_for_the_other_nodes_and_then_says_that_it_is_made() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    house.stage.settles.close();
    let mut deletion = boxed(org.delete(WEEK));
    house.settles(deletion.as_mut()).await;
    assert!(!house.accepts(&key).await, "about to be answered, and still accepted");
    house.stage.settles.open();
    deletion.await.unwrap();
    assert_eq!(house.registry.active(), 0);
}

#[actix::test]
async fn a_revoke_found_out_late_waits_for_the_other_nodes_as_well() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let mut deletion = boxed(org.delete_key(key.id));
    house.hold(deletion.as_mut()).await;
    // Supersedes the actor that is still finding out.
    assert!(house.accepts(&key).await);
    house.stage.settles.close();
    house.stage.commits.open();
    house.settles(deletion.as_mut()).await;
    house.stage.settles.open();
    deletion.await.unwrap();
    assert!(!house.accepts(&key).await);
}
