//! Passwords that are set, changed and forgotten.

use super::*;

#[actix::test]
async fn a_link_sets_a_password_once_and_for_an_hour() {
    let house = House::new();
    let people = people(&house);
    let (id, _) = user(&people, "ada@example.com").await;
    let author = Author::sequel();
    let old = passwords::link(&people, &author, id).await.unwrap();
    let link = passwords::link(&people, &author, id).await.unwrap();
    assert!(passwords::look(&people, token(&old)).await.is_err(), "a later link replaces it");
    let redeem = || passwords::redeem(&people, token(&link), OTHER, &FROM);
    let (one, two) = tokio::join!(redeem(), redeem());
    assert!(one.is_ok() != two.is_ok());
    assert!(signed_in(&people, "ada@example.com", PASSWORD).await.is_err());
    signed_in(&people, "ada@example.com", OTHER).await.unwrap();
    let late = passwords::link(&people, &author, id).await.unwrap();
    house.context.clock.advance(passwords::RESET_LIFE);
    assert!(passwords::redeem(&people, token(&late), PASSWORD, &FROM).await.is_err());
    // Who is disabled gets none, and one that there is does not let them in.
    let link = passwords::link(&people, &author, id).await.unwrap();
    users::switch(&people, &author, id, false).await.unwrap();
    assert!(passwords::redeem(&people, token(&link), PASSWORD, &FROM).await.is_err());
    assert!(matches!(passwords::link(&people, &author, id).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn a_new_password_ends_every_session_at_once() {
    let house = House::new();
    let people = people(&house);
    let (id, _) = user(&people, "ada@example.com").await;
    let (here, elsewhere) = (
        signed_in(&people, "ada@example.com", PASSWORD).await.unwrap(),
        signed_in(&people, "ada@example.com", PASSWORD).await.unwrap(),
    );
    let who = people.signed_in(here.reveal()).await.unwrap().unwrap();
    let change = |current: &'static str, new: &'static str| {
        passwords::change(&people, (&who, here.reveal()), (current, new), &FROM)
    };
    assert!(matches!(change(OTHER, OTHER).await, Err(SignInError::Refused)));
    assert!(matches!(
        change(PASSWORD, "password1234").await,
        Err(SignInError::Failed(ChangeError::Invalid(_)))
    ));
    let began = change(PASSWORD, OTHER).await.unwrap();
    assert!(!holds(&people, &here).await && !holds(&people, &elsewhere).await);
    assert!(holds(&people, &began.cookie).await);
    // By a link, all of them: whoever follows it signs in anew.
    let link = passwords::link(&people, &Author::sequel(), id).await.unwrap();
    passwords::redeem(&people, token(&link), PASSWORD, &FROM).await.unwrap();
    assert!(!holds(&people, &began.cookie).await);
    let listed = people.sessions.list(id, &record(&people, id).await).await.unwrap();
    assert!(listed.is_empty());
}

#[actix::test]
async fn a_link_by_mail_is_asked_for_with_one_answer_whoever_there_is() {
    let house = House::new();
    let drawer = Arc::new(Drawer::default());
    let people = people_of(&house, FREELY, Some(Arc::clone(&drawer) as Arc<dyn Post>));
    let (org, ada) = of_ada(&people).await;
    for email in ["nobody@example.com", "ada@example.com"] {
        passwords::ask_by_mail(&people, email, &FROM).await.unwrap();
    }
    // An invitation goes the same way, and its link is nowhere else.
    let member = people.registry.enter(org.id(), &ada).await.unwrap();
    let invited = invite::invite(&people, &member, "new@example.com", Role::Member).await.unwrap();
    assert!(invited.link.is_none());
    while drawer.0.lock().len() < 2 {
        tokio::task::yield_now().await;
    }
    let letters = drawer.0.lock().clone();
    let to: std::collections::BTreeSet<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["ada@example.com", "new@example.com"].into());
    let reset = letters.iter().find(|letter| letter.to.starts_with("ada")).unwrap();
    let link = reset.text.lines().find(|line| line.starts_with("https://sequel.example/reset/")).unwrap();
    // Whoever asks again in her name fills no mailbox and ends no link.
    passwords::ask_by_mail(&people, "ada@example.com", &FROM).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(drawer.0.lock().len(), 2);
    passwords::redeem(&people, token(link), OTHER, &FROM).await.unwrap();
    passwords::ask_by_mail(&people, "ada@example.com", &FROM).await.unwrap();
    while drawer.0.lock().len() < 3 {
        tokio::task::yield_now().await;
    }
    house.context.clock.advance(passwords::RESET_LEFT_ALONE);
    passwords::ask_by_mail(&people, "ada@example.com", &FROM).await.unwrap();
    while drawer.0.lock().len() < 4 {
        tokio::task::yield_now().await;
    }
    // An operator who is asked for one makes one.
    assert!(passwords::link(&people, &Author::sequel(), ada.user).await.is_ok());
    // Letters to addresses that somebody made up are as few as tries to sign in.
    let slowly = people_of(
        &house,
        SignInLimits { per_account: 3, per_source: 1_000 },
        Some(Arc::clone(&drawer) as Arc<dyn Post>),
    );
    for number in 0..3 {
        invite::invite(&slowly, &member, &format!("u{number}@example.com"), Role::Viewer).await.unwrap();
    }
    let flood = invite::invite(&slowly, &member, "u3@example.com", Role::Viewer).await;
    assert!(matches!(flood, Err(ChangeError::TooFast { .. })));
    let without = people_of(&house, FREELY, None);
    assert!(passwords::ask_by_mail(&without, "ada@example.com", &FROM).await.is_err());
}
