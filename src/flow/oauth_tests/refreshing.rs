//! What refresh tokens and their old copies come to.

use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[actix::test]
async fn fifty_processes_that_refresh_at_once_come_to_one_family() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let token = first.refresh.reveal();
    let issued = futures_util::future::join_all((0..50).map(|_| scene.refresh(token))).await;
    let issued: Vec<Issued> = issued.into_iter().map(Result::unwrap).collect();
    assert!(issued.iter().all(|other| other.refresh.reveal() == issued[0].refresh.reveal()));
    assert!(issued.iter().all(|other| other.access.reveal() == issued[0].access.reveal()));
    assert!(scene.accepts(&issued[0]).await && scene.accepts(&first).await);
    scene.refresh(issued[0].refresh.reveal()).await.unwrap();
    assert!(!scene.actions().await.contains(&"app.token_replayed".to_owned()), "they came at once");
}

#[actix::test]
async fn an_old_copy_leads_to_the_live_token_for_a_day_and_then_ends_the_family() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let mut live = scene.refresh(first.refresh.reveal()).await.unwrap();
    for _ in 0..5 {
        scene.advance(HOUR);
        live = scene.refresh(live.refresh.reveal()).await.unwrap();
    }
    let replayed = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert_eq!(replayed.refresh.reveal(), live.refresh.reveal());
    assert_eq!(replayed.access.reveal(), live.access.reveal());
    scene.refresh(first.refresh.reveal()).await.unwrap();
    let told_of =
        |actions: &[String]| actions.iter().filter(|action| *action == "app.token_replayed").count();
    assert_eq!(told_of(&scene.actions().await), 1, "the trail says so once");

    // With an access token that has expired, an old copy comes to a fresh one.
    scene.advance(HOUR);
    let fresh = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(fresh.refresh.reveal() != live.refresh.reveal() && scene.accepts(&fresh).await);
    scene.advance(DAY);
    let kept = scene.refresh(fresh.refresh.reveal()).await.unwrap();
    // Also for a server that was just started, which has nothing but what is stored.
    let started = again(&scene.house);
    let oauth = oauth_over(&started, people_of(&started, FREELY, None));
    let client = ("client_id", scene.client.id.as_str());
    let old = pairs(&[("grant_type", "refresh_token"), ("refresh_token", first.refresh.reveal()), client]);
    assert_eq!(told(redeem::token(&oauth, &Header::Missing, &old, None).await), Code::InvalidGrant);
    assert!(!started.accepts(&credential(&kept)).await, "the family has ended");
    let org = started.registry.resolve(scene.org.id()).await.unwrap();
    assert!(actions_of(&org).await.contains(&"app.token_reused".to_owned()));
}

#[actix::test]
async fn a_refresh_is_one_look_at_the_store_and_one_commit() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    let before = scene.house.store.reads.load(Ordering::Relaxed);
    scene.refresh(second.refresh.reveal()).await.unwrap();
    assert_eq!(scene.house.store.reads.load(Ordering::Relaxed) - before, 1, "the grant, and nothing else");
}

#[actix::test]
async fn strictly_an_old_copy_is_answered_for_half_a_minute() {
    let scene = Scene::with(OAuthSettings { replay: Duration::from_secs(30), ..SETTINGS }).await;
    let first = scene.app(&scene.ada).await;
    let live = scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.advance(Duration::from_secs(29));
    assert!(scene.refresh(first.refresh.reveal()).await.is_ok());
    scene.advance(Duration::from_secs(2));
    assert_eq!(told(scene.refresh(first.refresh.reveal()).await), Code::InvalidGrant);
    assert!(!scene.accepts(&live).await);
}

#[actix::test]
async fn an_old_copy_that_comes_after_all_tokens_expired_is_told_too() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.advance(2 * HOUR);
    let fresh = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&fresh).await);
    let actions = scene.actions().await;
    assert_eq!(actions.iter().filter(|action| *action == "app.token_replayed").count(), 1, "{actions:?}");
}

#[actix::test]
async fn an_old_copy_never_leads_to_an_access_token_that_was_given_back() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.revoke(second.access.reveal()).await.unwrap();
    let again = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&again).await && !scene.accepts(&second).await);
}

#[actix::test]
async fn ninety_days_of_refreshing_keep_an_app_and_ninety_of_silence_end_it() {
    let scene = Scene::new().await;
    let mut issued = scene.app(&scene.ada).await;
    let grant = grant_of(&issued);
    for _ in 0..90 * 24 {
        scene.advance(HOUR);
        issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    }
    assert!(scene.accepts(&issued).await);
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant).await.unwrap().unwrap();
    let bytes = serde_json::to_vec(&record).unwrap().len();
    assert!(bytes < 16 * 1024, "{bytes}");
    scene.advance(89 * DAY);
    let issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    scene.advance(90 * DAY);
    assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant);
    assert_eq!(scene.house.registry.prune_org(scene.org.id(), retention()).await.unwrap(), 1);
    assert!(scene.house.registry.grant(scene.org.id(), grant).await.unwrap().is_none());
    assert!(scene.org.list_apps(None).await.unwrap().is_empty());
}

#[actix::test]
async fn a_client_that_refreshes_without_end_loses_none_of_its_copies() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let mut live = scene.refresh(first.refresh.reveal()).await.unwrap();
    for _ in 0..100 {
        live = scene.refresh(live.refresh.reveal()).await.unwrap();
    }
    let again = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert_eq!(again.refresh.reveal(), live.refresh.reveal());
    assert!(scene.accepts(&again).await);
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant_of(&first)).await.unwrap().unwrap();
    let Stage::Exchanged(grant) = &record.stage else { panic!() };
    assert_eq!(grant.spent.len(), crate::oauth::grant::SPENT_MAX);
}

#[actix::test]
async fn an_app_refreshes_no_more_often_than_it_may_ask() {
    let scene = Scene::new().await;
    let limited = limited(&scene.house, 5);
    let oauth = oauth_over(&limited, people_of(&limited, FREELY, None));
    let mut token = scene.app(&scene.ada).await.refresh.reveal().to_owned();
    let mut refreshed = 0;
    let wait = loop {
        let client = ("client_id", scene.client.id.as_str());
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", &token), client]);
        match redeem::token(&oauth, &Header::Missing, &params, None).await {
            Ok(issued) => token = issued.refresh.reveal().to_owned(),
            Err(OAuthError::TooFast(wait)) => break wait,
            Err(error) => panic!("{error}"),
        }
        refreshed += 1;
    };
    assert!((4..=7).contains(&refreshed) && wait > Duration::ZERO, "{refreshed} {wait:?}");
}

/// What may happen to an app's tokens.
#[derive(Debug, Clone)]
enum Happens {
    /// One of the refresh tokens that were ever handed out is used.
    Used(Index),
    /// One of the access tokens is given back.
    GivenBack(Index),
    /// A token is used that was never handed out.
    Forged,
    /// Time passes: minutes.
    Later(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => any::<Index>().prop_map(Happens::Used),
        1 => any::<Index>().prop_map(Happens::GivenBack),
        1 => Just(Happens::Forged),
        3 => (1_u64..600).prop_map(Happens::Later),
    ]
}

/// What has been handed out of one grant, and what holds of it.
struct Family {
    scene: Scene,
    // Each with when it was used first.
    refresh: Vec<(String, Option<Timestamp>)>,
    access: Vec<Issued>,
    has_ended: bool,
}

impl Family {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let first = scene.app(&scene.ada).await;
        let refresh = vec![(first.refresh.reveal().to_owned(), None)];
        Self { scene, refresh, access: vec![first], has_ended: false }
    }

    async fn goes_on(&mut self, what: Happens) {
        match what {
            Happens::Used(index) => self.uses(index.index(self.refresh.len())).await,
            Happens::GivenBack(index) => {
                self.scene.revoke(index.get(&self.access).access.reveal()).await.unwrap();
            }
            Happens::Forged => {
                let rng = &self.scene.house.context.rng;
                let real = RefreshToken::parse(&self.refresh[0].0).unwrap();
                let forged = RefreshToken::mint(real.grant, real.org, rng).unwrap();
                assert_eq!(told(self.scene.refresh(forged.reveal()).await), Code::InvalidGrant);
            }
            Happens::Later(minutes) => self.scene.advance(Duration::from_secs(60 * minutes)),
        }
        let unused = self.refresh.iter().filter(|(_, used)| used.is_none()).count();
        assert_eq!(unused, 1, "one is live, and no more");
        if self.has_ended {
            for issued in &self.access {
                assert!(!self.scene.accepts(issued).await, "it has ended");
            }
        }
    }

    async fn uses(&mut self, which: usize) {
        let now = self.scene.house.context.clock.now();
        let (token, used) = self.refresh[which].clone();
        let outcome = self.scene.refresh(&token).await;
        let is_late = used.is_some_and(|at| at <= now.minus(DAY));
        if self.has_ended || is_late {
            assert_eq!(told(outcome), Code::InvalidGrant);
            self.has_ended = true;
            return;
        }
        let issued = outcome.unwrap();
        assert!(self.scene.accepts(&issued).await);
        let next = issued.refresh.reveal().to_owned();
        match self.refresh.iter().position(|(known, _)| *known == next) {
            // An old copy came to the one that is live.
            Some(known) => assert!(used.is_some() && self.refresh[known].1.is_none()),
            None => {
                let live = self.refresh.iter_mut().find(|(_, used)| used.is_none()).unwrap();
                live.1 = Some(self.scene.house.context.clock.now());
                self.refresh.push((next, None));
            }
        }
        if self.access.iter().all(|known| known.access.reveal() != issued.access.reveal()) {
            self.access.push(issued);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn in_whatever_order_tokens_are_used_one_family_lives_or_none(story in prop::collection::vec(happens(), 1..50)) {
        actix_rt::System::new().block_on(async move {
            let mut family = Family::new().await;
            for what in story {
                family.goes_on(what).await;
            }
        });
    }
}
