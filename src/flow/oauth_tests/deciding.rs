//! What a decision is bound to, what it asks for, and who may make it.

use super::*;

#[actix::test]
async fn a_decision_is_made_once_by_who_was_asked_about_what_was_asked() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    assert!(scene.decide(&scene.ada, &fields, &chosen).await.is_ok());
    assert!(
        matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::Used)),
        "a second click"
    );

    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:8/cb"),
        ("scope", "schema:read"),
        ("state", "another"),
        ("code_challenge", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("resource", "https://sequel.example"),
        ("client_id", "0123456789ab"),
        ("consent", "0123456789ab.99999999999999.AAAA"),
    ] {
        let asked = changed(&[asked(&scene.client), pairs(&[("scope", "")])].concat(), "none", "");
        let fields = scene.form(&scene.ada, &asked, COOKIE).await;
        let outcome = scene.decide(&scene.ada, &changed(&fields, name, value), &chosen).await;
        assert!(matches!(outcome, Err(DecideError::Used)), "{name}");
    }
    let elsewhere = scene.form(&scene.ada, &asked(&scene.client), "sqk_another-session").await;
    assert!(matches!(scene.decide(&scene.ada, &elsewhere, &chosen).await, Err(DecideError::Used)));
    let late = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    scene.advance(Duration::from_secs(601));
    assert!(matches!(scene.decide(&scene.ada, &late, &chosen).await, Err(DecideError::Used)));
    assert_eq!(scene.member(&scene.ada).await.list_apps().await.unwrap().len(), 1);
}

#[actix::test]
async fn whoever_allows_one_client_at_the_same_moment_is_not_in_each_others_way() {
    let scene = Scene::new().await;
    let mut asked_people = Vec::new();
    for number in 0..8 {
        let person = joins(&scene.oauth, &scene.org, &format!("{number}@example.com"), Role::Member).await;
        let fields = scene.form(&person, &asked(&scene.client), COOKIE).await;
        asked_people.push((person, fields));
    }
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    let decisions = asked_people.iter().map(|(person, fields)| scene.decide(person, fields, &chosen));
    for outcome in futures_util::future::join_all(decisions).await {
        scene.exchange(&code_of(&outcome.unwrap())).await.unwrap();
    }
    // A double click is still one decision.
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let (one, two) =
        tokio::join!(scene.decide(&scene.ada, &fields, &chosen), scene.decide(&scene.ada, &fields, &chosen));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(matches!(one.and(two), Err(DecideError::Used)));
}

#[actix::test]
async fn asking_writes_nothing_however_often_an_app_does() {
    let scene = Scene::new().await;
    scene.house.store.fail_after(0);
    for _ in 0..3 {
        scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    }
}

#[actix::test]
async fn a_no_is_told_to_the_client_and_makes_nothing() {
    let scene = Scene::new().await;
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let url = consent::decide(&scene.oauth, &scene.ada, COOKIE, &fields).await.unwrap().url;
    assert_eq!(query(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&url, "iss").as_deref(), Some("https://sequel.example"));
    let yes = scene.decide(&scene.ada, &fields, &[("org", scene.org.id().as_str()), ("reach", "all")]).await;
    assert!(matches!(yes, Err(DecideError::Used)));
    assert!(scene.member(&scene.ada).await.list_apps().await.unwrap().is_empty());
}

#[actix::test]
async fn what_is_not_chosen_is_asked_for_and_the_form_is_good_for_another_try() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    for chosen in [
        &[("reach", "all")][..],
        &[("org", "nonsense"), ("reach", "all")],
        &[("org", &org)],
        &[("org", &org), ("reach", "some")],
        &[("org", &org), ("reach", "some"), ("source", "0000000000")],
        &[("org", &org), ("reach", "all"), ("days", "2")],
        &[("org", &org), ("reach", "all"), ("days", "-1")],
    ] {
        let outcome = scene.decide(&scene.ada, &fields, chosen).await;
        assert!(matches!(outcome, Err(DecideError::Choose(_))), "{chosen:?}: {outcome:?}");
    }
    let sales = scene.member(&scene.ada).await.find_source("sales").unwrap().id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "some"), ("source", &sales), ("source", "0000000000")];
    let code = code_of(&scene.decide(&scene.ada, &fields, &chosen).await.unwrap());
    let issued = scene.exchange(&code).await.unwrap();
    let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    let reached: Vec<_> = call.sources().map(|source| source.record().name.clone()).collect();
    assert_eq!(reached, ["sales"]);
}

#[actix::test]
async fn only_a_member_whose_role_and_policy_allow_it_authorizes() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    let viewer = joins(&scene.oauth, &scene.org, "viewer@example.com", Role::Viewer).await;
    let other = made(&scene.house, &index(&scene.house), "Other").await;
    let stranger = joins(&scene.oauth, &other, "eve@example.com", Role::Owner).await;
    for person in [&viewer, &stranger] {
        let fields = scene.form(person, &asked(&scene.client), COOKIE).await;
        assert!(matches!(scene.decide(person, &fields, &chosen).await, Err(DecideError::NotHere)));
    }
    let checked = consent::check(&scene.oauth, &asked(&scene.client)).await.unwrap();
    let view = consent::look(&scene.oauth, &checked, &viewer, COOKIE).await.unwrap();
    assert_eq!(view.orgs[0].allowed, Err(NotHere::Role));
    assert_eq!(view.target.host, "127.0.0.1:7");

    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let policy = AppPolicyRecord { loopback: false, ..AppPolicyRecord::default() };
    scene.member(&scene.ada).await.set_app_policy(policy).await.unwrap();
    let view = consent::look(&scene.oauth, &checked, &scene.ada, COOKIE).await.unwrap();
    assert_eq!(view.orgs[0].allowed, Err(NotHere::Policy));
    assert!(matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::NotHere)));
    assert!(scene.org.list_apps(None).await.unwrap().is_empty());
}

#[actix::test]
async fn an_unknown_client_is_told_on_a_page_and_a_bad_request_to_its_client() {
    let scene = Scene::new().await;
    for id in ["0123456789ab", "nonsense", "../../etc"] {
        let Err(Rejected::Show(problem)) =
            consent::check(&scene.oauth, &changed(&asked(&scene.client), "client_id", id)).await
        else {
            panic!("{id}")
        };
        assert!(problem.is_unknown_client());
    }
    let rejected =
        consent::check(&scene.oauth, &changed(&asked(&scene.client), "response_type", "token")).await;
    let Err(Rejected::SendBack(back)) = rejected else { panic!() };
    assert_eq!(query(&back.url, "error").as_deref(), Some("unsupported_response_type"));
    assert_eq!(query(&back.url, "iss").as_deref(), Some("https://sequel.example"));
}

#[actix::test]
async fn whatever_breaks_off_in_a_decision_authorizes_nothing_and_can_be_asked_again() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    for commits in 0..2 {
        let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
        scene.house.store.fail_after(commits);
        assert!(matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::Failed(_))));
        scene.house.store.recover();
        assert!(scene.org.list_apps(None).await.unwrap().is_empty(), "{commits}");
    }
    assert!(scene.accepts(&scene.app(&scene.ada).await).await);
}
