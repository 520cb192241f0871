//! Authorized apps as people see, change and revoke them.

use super::*;

#[actix::test]
async fn an_app_is_authorized_works_refreshes_and_is_revoked_at_once() {
    let scene = Scene::new().await;
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let org = scene.org.id();
    let url =
        scene.decide(&scene.ada, &fields, &[("org", org.as_str()), ("reach", "all"), ("days", "30")]).await;
    let url = url.unwrap();
    assert!(url.starts_with("http://127.0.0.1:7/cb?code=sqc_"), "{url}");
    assert_eq!(query(&url, "state").as_deref(), Some("a state"));
    assert_eq!(query(&url, "iss").as_deref(), Some("https://sequel.example"));

    let first = scene.exchange(&code_of(&url)).await.unwrap();
    assert!(scene.accepts(&first).await);
    scene.advance(HOUR);
    assert!(!scene.accepts(&first).await, "an access token lives for an hour");
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&second).await);

    let listed = scene.member(&scene.ada).await.list_apps().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record.status(scene.house.context.clock.now()), AppStatus::Active);
    assert!(listed[0].last_used_at.is_some());
    let principal = scene.house.registry.authenticate(&credential(&second), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    scene.member(&scene.ada).await.revoke_app(listed[0].id).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    assert!(!scene.accepts(&second).await);
    assert_eq!(told(scene.refresh(second.refresh.reveal()).await), Code::InvalidGrant);
    assert_eq!(scene.actions().await, ["app.revoke", "app.connect", "app.authorize"]);
}

#[actix::test]
async fn an_app_that_is_limited_reaches_less_at_once() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let owner = scene.member(&scene.ada).await;
    let id = grant_of(&issued);
    let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    let edit = AppEdit { sources: Some(Some(vec!["stock".into()])), ..AppEdit::default() };
    owner.edit_app(id, edit).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    let narrowed = principal.begin(CallKey("2".into())).unwrap();
    assert_eq!(narrowed.sources().count(), 1);
    let soon = scene.house.context.clock.now().plus(Duration::from_secs(600));
    owner.edit_app(id, AppEdit { expires_at: Some(Some(soon)), ..AppEdit::default() }).await.unwrap();
    let shorter = scene.refresh(issued.refresh.reveal()).await.unwrap();
    assert_eq!(shorter.access_expires_at, soon, "no token outlives its grant");
    scene.advance(Duration::from_secs(600));
    assert!(!scene.accepts(&shorter).await);
    assert_eq!(told(scene.refresh(shorter.refresh.reveal()).await), Code::InvalidGrant);
    let past = AppEdit { expires_at: Some(Some(Timestamp(0))), ..AppEdit::default() };
    assert!(matches!(owner.edit_app(id, past).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn no_member_but_its_person_lets_an_app_do_more() {
    let scene = Scene::new().await;
    let person = joins(&scene.oauth, &scene.org, "member@example.com", Role::Member).await;
    let (owner, member) = (scene.member(&scene.ada).await, scene.member(&person).await);
    let id = grant_of(&scene.app(&person).await);
    let now = scene.house.context.clock.now();
    let sources = |names: &[&str]| Some(Some(names.iter().map(|name| (*name).to_owned()).collect()));
    let until = |days: u32| Some(Some(now.plus(days * DAY)));
    // Narrower: whoever sees it may.
    let narrowed = AppEdit { sources: sources(&["sales"]), expires_at: until(30) };
    owner.edit_app(id, narrowed.clone()).await.unwrap();
    let before = scene.org.app(id).await.unwrap().record;
    for wider in [
        AppEdit { sources: Some(None), ..AppEdit::default() },
        AppEdit { sources: sources(&["stock"]), ..AppEdit::default() },
        AppEdit { sources: sources(&["sales", "stock"]), ..AppEdit::default() },
        AppEdit { expires_at: Some(None), ..AppEdit::default() },
        AppEdit { expires_at: until(31), ..AppEdit::default() },
        // More of one is not made good by less of the other.
        AppEdit { sources: Some(None), expires_at: until(1) },
    ] {
        let refused = owner.edit_app(id, wider.clone()).await;
        assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{wider:?}: {refused:?}");
    }
    let after = scene.org.app(id).await.unwrap().record;
    assert_eq!((after.sources, after.expires_at), (before.sources, before.expires_at));
    owner.edit_app(id, narrowed).await.unwrap();
    member.edit_app(id, AppEdit { sources: Some(None), expires_at: Some(None) }).await.unwrap();
    owner.revoke_app(id).await.unwrap();
}

#[actix::test]
async fn somebody_elses_app_is_none_and_an_admins_all() {
    let scene = Scene::new().await;
    let member = joins(&scene.oauth, &scene.org, "member@example.com", Role::Member).await;
    let (mine, theirs) = (scene.app(&scene.ada).await, scene.app(&member).await);
    let (ada, member) = (scene.member(&scene.ada).await, scene.member(&member).await);
    assert_eq!(ada.list_apps().await.unwrap().len(), 2);
    assert_eq!(member.list_apps().await.unwrap().len(), 1);
    for id in [grant_of(&mine), GrantId::mint(&Rng::system()).unwrap()] {
        assert!(matches!(member.app(id).await, Err(ChangeError::NotFound("authorized app"))));
        assert!(matches!(member.revoke_app(id).await, Err(ChangeError::NotFound("authorized app"))));
        let edited = member.edit_app(id, AppEdit::default()).await;
        assert!(matches!(edited, Err(ChangeError::NotFound("authorized app"))));
    }
    ada.revoke_app(grant_of(&theirs)).await.unwrap();
    assert!(!scene.accepts(&theirs).await && scene.accepts(&mine).await);
}
