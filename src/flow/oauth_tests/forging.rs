//! What is forged, foreign or another organization's ends nothing and opens nothing.

use super::*;

#[actix::test]
async fn forged_and_foreign_tokens_end_nothing() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let rng = Rng::system();
    let (grant, org) = (grant_of(&issued), scene.org.id());
    let forged = RefreshToken::mint(grant, org, &rng).unwrap();
    let nowhere = RefreshToken::mint(grant, Id::mint(&rng).unwrap(), &rng).unwrap();
    let mistyped = issued.refresh.reveal().replace("sqr_", "sqc_");
    for token in [forged.reveal(), nowhere.reveal(), &mistyped, "", "x", issued.access.reveal()] {
        let code = told(scene.refresh(token).await);
        assert!(matches!(code, Code::InvalidGrant | Code::InvalidRequest), "{token}");
        scene.revoke(token).await.err();
    }
    let other = registered(&scene.oauth, json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
    let params = pairs(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", issued.refresh.reveal()),
        ("client_id", other.id.as_str()),
    ]);
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &params, None).await), Code::InvalidGrant);
    for token in [issued.refresh.reveal(), issued.access.reveal()] {
        let params = pairs(&[("token", token), ("client_id", other.id.as_str())]);
        let refused = give_back::revoke(&scene.oauth, &Header::Missing, &params, None).await;
        let refused = refused.map_err(|error| {
            OAuthError::Refused(match error {
                OAuthError::Refused(refusal) => refusal,
                error => panic!("{error}"),
            })
        });
        // The access token was given back by its own client above.
        assert!(refused.is_ok() || told(refused) == Code::InvalidGrant);
    }
    assert!(scene.refresh(issued.refresh.reveal()).await.is_ok());
}

#[actix::test]
async fn a_flood_of_forgeries_from_one_address_leaves_its_known_clients_alone() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let from = Some("192.0.2.7".parse().unwrap());
    let forged = RefreshToken::mint(grant_of(&issued), scene.org.id(), &Rng::system()).unwrap();
    let client = ("client_id", scene.client.id.as_str());
    for _ in 0..200 {
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", forged.reveal()), client]);
        redeem::token(&scene.oauth, &Header::Missing, &params, from).await.unwrap_err();
    }
    let params =
        pairs(&[("grant_type", "refresh_token"), ("refresh_token", issued.refresh.reveal()), client]);
    redeem::token(&scene.oauth, &Header::Missing, &params, from).await.unwrap();
}

#[actix::test]
async fn a_token_of_one_org_opens_no_other_and_one_for_another_server_nothing() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let other = made(&scene.house, &index(&scene.house), "Other").await;
    let moved = issued.access.reveal().replace(scene.org.id().as_str(), other.id().as_str());
    assert!(Credential::parse(&moved).is_err(), "the checksum covers the organization");
    let rng = Rng::system();
    let forged = PlainSecret::mint(Purpose::Access, grant_of(&issued), other.id(), &rng).unwrap();
    assert!(!scene.house.accepts(&Credential::parse(forged.reveal()).unwrap()).await);
    // The same store under another public URL.
    let elsewhere = again(&scene.house);
    elsewhere.registry.protects("https://other.example/mcp".into());
    let refused = elsewhere.registry.authenticate(&credential(&issued), None).await;
    assert!(matches!(refused, Err(AuthError::Invalid(_))));
}

#[actix::test]
async fn nothing_of_what_is_stored_is_a_secret() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let first = scene.exchange(&code).await.unwrap();
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant_of(&first)).await.unwrap().unwrap();
    let stored = format!("{} {record:?}", serde_json::to_string(&record).unwrap());
    for secret in [
        &code,
        first.access.reveal(),
        first.refresh.reveal(),
        second.access.reveal(),
        second.refresh.reveal(),
    ] {
        assert!(!stored.contains(&secret[26..47]) && !stored.contains(&secret[48..69]));
    }
    assert!(!format!("{second:?}").contains(&second.refresh.reveal()[26..]));
}
