//! How access ends: given back, with a membership, a role, a user or an organization, by a policy.

use super::*;

#[actix::test]
async fn a_client_gives_an_access_token_back_alone_and_with_a_refresh_token_everything() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    let principal = scene.house.registry.authenticate(&credential(&first), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    scene.revoke(first.access.reveal()).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    assert!(!scene.accepts(&first).await && scene.accepts(&second).await);
    scene.revoke(first.access.reveal()).await.unwrap();
    // A token that was used already is as good.
    scene.revoke(first.refresh.reveal()).await.unwrap();
    assert!(!scene.accepts(&second).await);
    assert!(scene.member(&scene.ada).await.list_apps().await.unwrap().is_empty());
    scene.revoke(second.refresh.reveal()).await.unwrap();
    scene.revoke("nonsense").await.unwrap();
}

#[actix::test]
async fn giving_tokens_back_buys_no_other_rate() {
    let scene = Scene::new().await;
    let limited = limited(&scene.house, 5);
    let oauth = oauth_over(&limited, people_of(&limited, FREELY, None));
    let mut issued = scene.app(&scene.ada).await;
    let client = ("client_id", scene.client.id.as_str());
    for round in 0.. {
        assert!(round < 10, "as often as it likes");
        let back = pairs(&[("token", issued.access.reveal()), client]);
        match give_back::revoke(&oauth, &Header::Missing, &back, None).await {
            Err(OAuthError::TooFast(_)) => break,
            outcome => outcome.unwrap(),
        }
        let token = issued.refresh.reveal().to_owned();
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", &token), client]);
        match redeem::token(&oauth, &Header::Missing, &params, None).await {
            Err(OAuthError::TooFast(_)) => break,
            outcome => issued = outcome.unwrap(),
        }
    }
}

#[actix::test]
async fn what_ends_with_a_membership_a_role_or_a_user_ends_at_once_and_for_good() {
    let scene = Scene::new().await;
    let people = scene.people();
    let owner = scene.member(&scene.ada).await;
    type Ends<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    for (number, email) in
        ["a@example.com", "b@example.com", "c@example.com", "d@example.com"].iter().enumerate()
    {
        let person = joins(&scene.oauth, &scene.org, email, Role::Member).await;
        let issued = scene.app(&person).await;
        let waiting = scene.code(&person).await;
        let mine = scene.app(&scene.ada).await;
        let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
        let call = principal.begin(CallKey("1".into())).unwrap();
        let end: Ends<'_> = match number {
            0 => Box::pin(async { drop(remove_member(people, &owner, person.user).await.unwrap()) }),
            1 => Box::pin(async { drop(leave(people, &scene.member(&person).await).await.unwrap()) }),
            2 => Box::pin(async { drop(owner.set_role(person.user, Role::Viewer).await.unwrap()) }),
            _ => Box::pin(async {
                drop(users::switch(people, &Author::sequel(), person.user, false).await.unwrap());
            }),
        };
        end.await;
        assert_eq!(call.stopped(), Some(Stopped::Revoked), "{email}");
        assert!(!scene.accepts(&issued).await, "{email}");
        assert!(scene.accepts(&mine).await, "{email}: nobody else's ends");
        match number {
            0 | 1 => {
                let record = people.users.get(person.user).await.unwrap().unwrap();
                add_member(people, &scene.org, (person.user, &record), Role::Member).await.unwrap();
            }
            2 => drop(owner.set_role(person.user, Role::Member).await.unwrap()),
            _ => drop(users::switch(people, &Author::sequel(), person.user, true).await.unwrap()),
        }
        assert!(!scene.accepts(&issued).await && !scene.accepts_anew(&issued).await, "{email}: revived");
        assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant, "{email}");
        assert_eq!(told(scene.exchange(&waiting).await), Code::InvalidGrant, "{email}");
        assert!(scene.member(&person).await.list_apps().await.unwrap().is_empty(), "{email}");
        assert!(scene.accepts(&scene.app(&person).await).await, "{email}: they may authorize anew");
    }
    scene.house.registry.prune_org(scene.org.id(), retention()).await.unwrap();
    assert_eq!(scene.org.list_apps(None).await.unwrap().len(), 8);
}

#[actix::test]
async fn deleting_a_user_or_an_org_ends_their_apps() {
    let scene = Scene::new().await;
    let person = joins(&scene.oauth, &scene.org, "a@example.com", Role::Member).await;
    let (theirs, mine) = (scene.app(&person).await, scene.app(&scene.ada).await);
    assert!(users::delete(scene.people(), &Author::sequel(), person.user).await.unwrap());
    assert!(!scene.accepts(&theirs).await && scene.accepts(&mine).await);
    let index = index(&scene.house);
    delete_org(&index, &scene.house.context, &scene.org, 7 * DAY).await.unwrap();
    assert!(!scene.accepts(&mine).await);
    assert_eq!(told(scene.refresh(mine.refresh.reveal()).await), Code::InvalidGrant);
    // As keys do, what was not revoked comes back with a restore.
    restore_org(&scene.house.registry, &index, &Author::sequel(), "Acme").await.unwrap();
    assert!(scene.accepts(&mine).await && !scene.accepts(&theirs).await);
}

#[actix::test]
async fn what_ends_while_its_organization_is_deleted_stays_ended() {
    let scene = Scene::new().await;
    let (people, index) = (scene.people(), index(&scene.house));
    let [off, leaves] = ["off@example.com", "leaves@example.com"].map(|email| {
        let (oauth, org) = (&scene.oauth, &scene.org);
        async move { joins(oauth, org, email, Role::Member).await }
    });
    let (off, leaves) = (off.await, leaves.await);
    let key = scene.member(&off).await.create_personal_key(key("k")).await.unwrap();
    let key = Credential::parse(key.plain.reveal()).unwrap();
    let code = scene.code(&scene.ada).await;
    let replayed = scene.exchange(&code).await.unwrap();
    let (given_back, access_back) = (scene.app(&scene.ada).await, scene.app(&scene.ada).await);
    let (of_off, of_leaving, kept) =
        (scene.app(&off).await, scene.app(&leaves).await, scene.app(&scene.ada).await);
    assert!(scene.house.accepts(&key).await);

    delete_org(&index, &scene.house.context, &scene.org, 7 * DAY).await.unwrap();
    scene.revoke(given_back.refresh.reveal()).await.unwrap();
    scene.revoke(access_back.access.reveal()).await.unwrap();
    assert_eq!(told(scene.exchange(&code).await), Code::InvalidGrant);
    users::switch(people, &Author::sequel(), off.user, false).await.unwrap();
    assert!(
        !users::delete(people, &Author::sequel(), leaves.user).await.unwrap(),
        "it waits for the organization"
    );

    restore_org(&scene.house.registry, &index, &Author::sequel(), "Acme").await.unwrap();
    for (what, ended) in [
        ("a refresh token given back", &given_back),
        ("an access token given back", &access_back),
        ("a code used twice", &replayed),
        ("a person kept out", &of_off),
        ("a person who leaves", &of_leaving),
    ] {
        assert!(!scene.accepts(ended).await && !scene.accepts_anew(ended).await, "{what}");
        assert_eq!(told(scene.refresh(ended.refresh.reveal()).await), Code::InvalidGrant, "{what}");
    }
    assert!(!scene.house.accepts(&key).await, "the key of a person kept out");
    assert!(scene.accepts(&kept).await, "what nobody ended is back");
    scene.revoke(given_back.refresh.reveal()).await.unwrap();
}

#[actix::test]
async fn a_narrower_policy_ends_what_it_forbids_and_a_wider_one_revives_nothing() {
    let scene = Scene::new().await;
    let loopback = scene.app(&scene.ada).await;
    let owner = scene.member(&scene.ada).await;
    let web = registered(&scene.oauth, json!({"redirect_uris": ["https://client.example.com/cb"]})).await;
    let asked = changed(&asked(&web), "redirect_uri", "https://client.example.com/cb");
    let fields = scene.form(&scene.ada, &asked, COOKIE).await;
    scene.decide(&scene.ada, &fields, &[("org", scene.org.id().as_str()), ("reach", "all")]).await.unwrap();
    let hosts = AppPolicyRecord {
        loopback: false,
        private_schemes: true,
        https: HttpsPolicy::Hosts(vec![" Client.example.com ".into()]),
    };
    assert_eq!(owner.set_app_policy(hosts).await.unwrap(), 1);
    assert!(!scene.accepts(&loopback).await);
    assert_eq!(owner.list_apps().await.unwrap().len(), 1);
    owner.set_app_policy(AppPolicyRecord::default()).await.unwrap();
    assert!(!scene.accepts(&loopback).await && !scene.accepts_anew(&loopback).await);
    let nonsense =
        AppPolicyRecord { https: HttpsPolicy::Hosts(vec!["a b".into()]), ..AppPolicyRecord::default() };
    assert!(matches!(owner.set_app_policy(nonsense).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn a_policy_ends_more_apps_than_one_batch_takes_and_each_of_them_at_once() {
    let scene = Scene::new().await;
    let owner = scene.member(&scene.ada).await;
    let mut apps = vec![scene.app(&scene.ada).await];
    for number in 0..2 {
        let person = joins(&scene.oauth, &scene.org, &format!("{number}@example.com"), Role::Member).await;
        for _ in 0..60 {
            apps.push(scene.app(&person).await);
        }
    }
    let none = AppPolicyRecord { loopback: false, ..AppPolicyRecord::default() };
    assert_eq!(owner.set_app_policy(none).await.unwrap(), 121);
    owner.set_app_policy(AppPolicyRecord::default()).await.unwrap();
    assert!(owner.list_apps().await.unwrap().is_empty());
    for app in &apps {
        assert!(!scene.accepts(app).await);
        assert_eq!(told(scene.refresh(app.refresh.reveal()).await), Code::InvalidGrant);
    }
}
