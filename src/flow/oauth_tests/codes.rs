//! What a code is good for: once, for a minute, in its client's hands.

use super::*;

#[actix::test]
async fn a_code_is_redeemed_once_and_a_replay_ends_what_came_of_it() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let base = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let with = |more: &[(&'static str, &'static str)]| [base.to_vec(), more.to_vec()].concat();
    // Nothing of this burns the code.
    let other_verifier = "a".repeat(43);
    for params in [
        with(&[("code_verifier", VERIFIER)]),
        with(&[("code_verifier", VERIFIER), ("redirect_uri", "http://127.0.0.1:8/cb")]),
        [with(&[("redirect_uri", REDIRECT)]), vec![("code_verifier", other_verifier.as_str())]].concat(),
    ] {
        assert_eq!(told(scene.token(&params).await), Code::InvalidGrant);
    }
    let other = registered(&scene.oauth, json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
    let mut foreign = pairs(&with(&[("code_verifier", VERIFIER), ("redirect_uri", REDIRECT)]));
    foreign.extend(pairs(&[("client_id", other.id.as_str())]));
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &foreign, None).await), Code::InvalidGrant);

    let issued = scene.exchange(&code).await.unwrap();
    assert!(scene.accepts(&issued).await);
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &foreign, None).await), Code::InvalidGrant);
    assert!(scene.accepts(&issued).await, "another client's replay ends nothing");
    assert_eq!(told(scene.exchange(&code).await), Code::InvalidGrant);
    assert!(!scene.accepts(&issued).await);
    assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant);
    assert!(scene.actions().await.contains(&"app.code_reused".to_owned()));
}

#[actix::test]
async fn a_code_waits_a_minute() {
    let scene = Scene::new().await;
    let (in_time, late) = (scene.code(&scene.ada).await, scene.code(&scene.ada).await);
    scene.advance(Duration::from_secs(59));
    assert!(scene.exchange(&in_time).await.is_ok());
    scene.advance(Duration::from_secs(1));
    assert_eq!(told(scene.exchange(&late).await), Code::InvalidGrant);
}

#[actix::test]
async fn of_two_who_redeem_one_code_at_once_one_is_first() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let (one, two) = tokio::join!(scene.exchange(&code), scene.exchange(&code));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    // And the second was a replay.
    let won = one.or(two).unwrap();
    assert!(!scene.accepts(&won).await);
}

#[actix::test]
async fn who_held_a_code_learns_nothing_of_what_became_of_it() {
    let scene = Scene::new().await;
    let said = |outcome: Result<Issued, OAuthError>| match outcome {
        Err(OAuthError::Refused(refusal)) => (refusal.code, refusal.description.to_string()),
        other => panic!("{other:?}"),
    };
    let (lives, ended) = (scene.app(&scene.ada).await, scene.app(&scene.ada).await);
    scene.revoke(ended.refresh.reveal()).await.unwrap();
    let forged = |issued: &Issued| {
        let rng = &scene.house.context.rng;
        PlainSecret::mint(Purpose::Code, grant_of(issued), scene.org.id(), rng).unwrap().reveal().to_owned()
    };
    assert_eq!(said(scene.exchange(&forged(&lives)).await), said(scene.exchange(&forged(&ended)).await));
}
