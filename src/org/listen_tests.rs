//! Streams of change notices, without HTTP: what is seen, by whom, and when it ends.

use futures_util::FutureExt;

use super::*;

async fn listen(house: &House, key: &MintedKey) -> Listening {
    let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
    principal.listen(CallKey("1".into())).unwrap()
}

/// What has changed by now, if anything has.
fn now(listening: &mut Listening) -> Option<Result<Vec<String>, Over>> {
    listening.changed().now_or_never()
}

#[actix::test]
async fn a_stream_sees_what_its_own_key_reaches_and_nothing_else() {
    let house = House::new();
    let org = house.org("Acme").await;
    let (first, _) = org.add_source(source("first")).await.unwrap();
    let all = org.create_key(named("all")).await.unwrap();
    let one = NewKey { sources: Some(vec!["first".to_owned()]), ..named("one") };
    let one = org.create_key(one).await.unwrap();
    let (mut all, mut one) = (listen(&house, &all).await, listen(&house, &one).await);
    assert_eq!((now(&mut all), now(&mut one)), (None, None), "nothing has changed since it began");
    let (second, _) = org.add_source(source("second")).await.unwrap();
    assert_eq!(now(&mut all), Some(Ok(vec!["second".to_owned()])));
    assert_eq!(now(&mut one), None);
    // Several changes that nobody has read yet are one.
    org.remove_source(second).await.unwrap();
    org.remove_source(first).await.unwrap();
    assert_eq!(now(&mut all), Some(Ok(vec!["first".to_owned(), "second".to_owned()])));
    assert_eq!(now(&mut one), Some(Ok(vec!["first".to_owned()])));
    assert_eq!((now(&mut all), now(&mut one)), (None, None));
}

#[actix::test]
async fn a_change_wakes_a_stream_that_waits() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let mut listening = listen(&house, &key).await;
    let (changed, added) = futures_util::future::join(listening.changed(), org.add_source(source("s"))).await;
    assert_eq!(changed, Ok(vec!["s".to_owned()]));
    added.unwrap();
}

#[actix::test]
async fn a_stream_that_races_a_revoke_is_ended_or_refused() {
    let house = House::new();
    let org = house.org("Acme").await;
    for round in 0..100 {
        let key = org.create_key(named(&format!("k{round}"))).await.unwrap();
        let principal = Arc::new(house.registry.authenticate(&credential(&key), None).await.unwrap());
        let started = Arc::new(std::sync::Barrier::new(2));
        let caller = {
            let (principal, started) = (Arc::clone(&principal), Arc::clone(&started));
            std::thread::spawn(move || {
                started.wait();
                (0..50)
                    .map_while(|n| principal.listen(CallKey(format!("{n}").into())).ok())
                    .collect::<Vec<_>>()
            })
        };
        started.wait();
        org.delete_key(key.id).await.unwrap();
        let mut begun = caller.join().unwrap();
        assert!(begun.iter().all(|open| open.token().is_cancelled()), "a stream outlived its revoke");
        assert!(
            begun
                .iter_mut()
                .all(|open| open.verify() == Err(Over::Refused) && now(open) == Some(Err(Over::Refused)))
        );
        assert_eq!(principal.listen(CallKey("late".into())).err(), Some(BeginError::Revoked));
    }
}

#[actix::test]
async fn a_stream_pins_its_org_and_ends_with_its_view() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let mut listening = listen(&house, &key).await;
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 0, "an open stream pins its org");
    assert_eq!(listening.verify(), Ok(()));
    let _ = org.ask(|| Panic).await;
    assert_eq!(listening.changed().await, Err(Over::Unloaded), "a dead actor closes its view");
    drop(listening);
    assert_eq!(house.registry.evict_idle(), 1);
}

#[actix::test]
async fn a_stream_does_not_outlive_its_key_by_time() {
    let house = House::new();
    let org = house.org("Acme").await;
    let expires_at = Some(house.context.clock.now().plus(Duration::from_secs(60)));
    let brief = org.create_key(NewKey { expires_at, ..named("brief") }).await.unwrap();
    let rotated = org.create_key(named("rotated")).await.unwrap();
    let (brief, mut old) = (listen(&house, &brief).await, listen(&house, &rotated).await);
    assert!(
        brief.expires_in() <= Duration::from_secs(60) && old.expires_in() > Duration::from_secs(1_000_000)
    );
    org.rotate_key(rotated.id, Duration::from_secs(30)).await.unwrap();
    assert_eq!(now(&mut old), None, "the old secret is still valid");
    assert!(old.expires_in() <= Duration::from_secs(30));
    house.context.clock.advance(Duration::from_secs(31));
    assert_eq!((brief.verify(), old.verify()), (Ok(()), Err(Over::Refused)));
    house.context.clock.advance(Duration::from_secs(30));
    assert_eq!((brief.verify(), brief.expires_in()), (Err(Over::Refused), Duration::ZERO));
}

#[actix::test]
async fn streams_are_counted_apart_from_calls_and_a_shutdown_ends_them_at_once() {
    let house = House::with(RegistryLimits { streams_per_org: 2, streams_per_key: 1, ..LIMITS });
    let org = house.org("Acme").await;
    let (a, b) = (org.create_key(named("a")).await.unwrap(), org.create_key(named("b")).await.unwrap());
    let c = org.create_key(named("c")).await.unwrap();
    let open = [listen(&house, &a).await, listen(&house, &b).await];
    let refused = async |key: &MintedKey| {
        let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
        principal.listen(CallKey("2".into())).err()
    };
    assert_eq!(refused(&a).await, Some(BeginError::OrgBusy { limit: 2 }));
    assert_eq!(refused(&c).await, Some(BeginError::OrgBusy { limit: 2 }));
    assert_eq!(house.registry.running_calls(), 0, "a shutdown does not wait for them");
    let [first, second] = open;
    drop(second);
    assert_eq!(refused(&a).await, Some(BeginError::KeyBusy { limit: 1 }));
    house.registry.begin_draining();
    assert!(first.token().is_cancelled() && first.stopped() == Some(Stopped::Shutdown));
    assert_eq!(refused(&b).await, Some(BeginError::Draining));
}
