//! Who registers, how many may, and how a client proves who it is.

use std::collections::HashSet;

use futures_util::TryStreamExt;

use super::*;
use crate::credential::OrgId;

#[actix::test]
async fn clients_are_bounded_and_one_with_a_grant_never_makes_room() {
    let scene = Scene::new().await;
    let mut issued = scene.app(&scene.ada).await;
    let one = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    while scene.oauth.clients().count().await.unwrap() < SETTINGS.clients_max {
        registered(&scene.oauth, one.clone()).await;
    }
    let refused = try_to_register(&scene.oauth, &one).await;
    assert_eq!(told(refused), Code::TemporarilyUnavailable, "all of them are young");
    // Whoever fills the house registers no more than some: a client has no room to be large.
    let many: Vec<String> =
        (0..31).map(|number| format!("https://a.example/{number}/{}", "x".repeat(500))).collect();
    let large = try_to_register(&scene.oauth, &json!({"redirect_uris": many})).await;
    assert_eq!(told(large), Code::InvalidRedirectUri);
    scene.advance(Duration::from_secs(601));
    registered(&scene.oauth, one.clone()).await;
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 96, "a twentieth made room");
    for _ in 0..90 {
        scene.advance(DAY);
        issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    }
    purge(&scene.oauth).await.unwrap();
    assert!(scene.oauth.clients().get(scene.client.id).await.unwrap().is_some());
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 1);
    // Once its last grant is gone it is a client like any other.
    for app in scene.org.list_apps(None).await.unwrap() {
        scene.org.revoke_app(app.id).await.unwrap();
    }
    scene.advance(91 * DAY);
    purge(&scene.oauth).await.unwrap();
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 0);
}

#[actix::test]
async fn the_oldest_strangers_make_room_wherever_they_stand_in_the_table() {
    let settings = OAuthSettings { clients_max: 500, ..SETTINGS };
    let scene = Scene::with(settings).await;
    scene.app(&scene.ada).await;
    let one = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    let mut strangers = Vec::new();
    while scene.oauth.clients().count().await.unwrap() < settings.clients_max {
        scene.advance(Duration::from_secs(10));
        strangers.push(registered(&scene.oauth, one.clone()).await.id);
    }
    scene.advance(Duration::from_secs(601));
    registered(&scene.oauth, one.clone()).await;
    for (number, id) in strangers.iter().enumerate() {
        let is_there = scene.oauth.clients().get(*id).await.unwrap().is_some();
        assert_eq!(is_there, number >= 25, "stranger {number}");
    }
    assert!(scene.oauth.clients().get(scene.client.id).await.unwrap().is_some());
}

#[actix::test]
async fn where_there_are_no_strangers_whoever_lost_every_grant_makes_room() {
    let settings = OAuthSettings { clients_max: 40, ..SETTINGS };
    let mut scene = Scene::with(settings).await;
    let kept = scene.client.id;
    scene.app(&scene.ada).await;
    let one = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    while scene.oauth.clients().count().await.unwrap() < settings.clients_max {
        scene.client = registered(&scene.oauth, one.clone()).await;
        let ended = grant_of(&scene.app(&scene.ada).await);
        scene.org.revoke_app(ended).await.unwrap();
    }
    scene.advance(Duration::from_secs(601));
    purge(&scene.oauth).await.unwrap();
    assert_eq!(scene.oauth.clients().count().await.unwrap(), settings.clients_max, "they are young yet");
    registered(&scene.oauth, one).await;
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 39, "a twentieth made room");
    assert!(scene.oauth.clients().get(kept).await.unwrap().is_some());
}

#[actix::test]
async fn what_a_living_client_had_is_forgotten_and_what_it_is_about_to_have_is_not() {
    let scene = Scene::new().await;
    let clients = scene.oauth.clients();
    let kept = scene.app(&scene.ada).await;
    for _ in 0..300 {
        let ended = grant_of(&scene.app(&scene.ada).await);
        scene.org.revoke_app(ended).await.unwrap();
    }
    scene.advance(Duration::from_secs(601));
    // A person has said yes, and the organization has not written it yet.
    let (org, rng) = (scene.org.id(), &scene.house.context.rng);
    let expires_at = scene.house.context.clock.now().plus(HOUR);
    let nonce = DecisionNonce { id: Id::mint(rng).unwrap(), expires_at };
    let coming = GrantId::mint(rng).unwrap();
    assert!(clients.approve(nonce, scene.client.id, (org, coming)).await.unwrap());
    purge(&scene.oauth).await.unwrap();
    assert_eq!(hints(clients).await, HashSet::from([(org, grant_of(&kept)), (org, coming)]));
    // It broke off there.
    scene.advance(Duration::from_secs(601));
    purge(&scene.oauth).await.unwrap();
    assert_eq!(hints(clients).await, HashSet::from([(org, grant_of(&kept))]));
}

async fn hints(clients: &Clients) -> HashSet<(OrgId, GrantId)> {
    let hints = clients.grants().try_concat().await.unwrap();
    hints.into_iter().map(|hint| (hint.record.org, hint.record.grant)).collect()
}

#[actix::test]
async fn a_client_with_a_secret_proves_it_as_it_registered() {
    let scene = Scene::new().await;
    let body = json!({
        "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "client_secret_basic",
    });
    let client = registered(&scene.oauth, body).await;
    let secret = client.secret.as_ref().unwrap().reveal().to_owned();
    let id = client.id.to_string();
    let basic = |secret: &str| Header::Basic(id.clone(), secret.to_owned());
    let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", "x")]);
    // Past authentication the token is what is wrong.
    assert_eq!(told(redeem::token(&scene.oauth, &basic(&secret), &params, None).await), Code::InvalidGrant);
    let public = [params.clone(), pairs(&[("client_id", &id)])].concat();
    let posted = [public.clone(), pairs(&[("client_secret", &secret)])].concat();
    let wrong =
        PlainSecret::mint(Purpose::Client, Id::mint(&Rng::system()).unwrap(), client.id, &Rng::system());
    for (header, params) in [
        (basic(wrong.unwrap().reveal()), &params),
        (basic(""), &params),
        (Header::Malformed, &params),
        (Header::Missing, &params),
        (Header::Missing, &public),
        (Header::Missing, &posted),
        (Header::Basic(ClientId::NIL.to_string(), secret.clone()), &params),
    ] {
        assert_eq!(told(redeem::token(&scene.oauth, &header, params, None).await), Code::InvalidClient);
    }
    assert_eq!(told(redeem::token(&scene.oauth, &basic(&secret), &posted, None).await), Code::InvalidRequest);
}
