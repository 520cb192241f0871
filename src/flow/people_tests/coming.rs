//! Set-up and sign-in: one answer for every wrong try, nobody kept out by others, a first user once.

use super::*;

#[actix::test]
async fn an_unknown_user_a_wrong_password_and_a_disabled_user_are_one_answer() {
    let house = House::new();
    let people = people(&house);
    let (id, _) = user(&people, "ada@example.com").await;
    let cookie = signed_in(&people, " ADA@Example.com ", PASSWORD).await.unwrap();
    assert!(holds(&people, &cookie).await);
    assert!(record(&people, id).await.last_signed_in_at.is_some());
    let (_, never, _) = users::create(&people, &Author::sequel(), "new@example.com", "New").await.unwrap();
    assert!(never.password.is_none());
    users::switch(&people, &Author::sequel(), id, false).await.unwrap();
    assert!(!holds(&people, &cookie).await);
    for (email, password) in [
        ("ada@example.com", PASSWORD),
        ("ada@example.com", OTHER),
        ("eve@example.com", PASSWORD),
        ("new@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("ada@example.com", &"x".repeat(1 << 20)),
    ] {
        let refused = signed_in(&people, email, password).await.unwrap_err();
        assert!(matches!(refused, SignInError::Refused), "{email:?}: {refused}");
    }
    users::switch(&people, &Author::sequel(), id, true).await.unwrap();
    assert!(!holds(&people, &cookie).await, "a session that ended stays so");
    signed_in(&people, "ada@example.com", PASSWORD).await.unwrap();
}

#[actix::test]
async fn a_cookie_that_came_along_ends_with_the_sign_in_and_is_never_taken_over() {
    let house = House::new();
    let people = people(&house);
    user(&people, "ada@example.com").await;
    let former = signed_in(&people, "ada@example.com", PASSWORD).await.unwrap();
    let proof = ByPassword::new("ada@example.com", PASSWORD);
    let began = sign_in(&people, &proof, &somewhere(), Some(former.reveal())).await.unwrap();
    assert_ne!(began.cookie.reveal(), former.reveal());
    assert!(!holds(&people, &former).await && holds(&people, &began.cookie).await);
    sign_out(&people, began.cookie.reveal()).await.unwrap();
    assert!(!holds(&people, &began.cookie).await);
}

#[actix::test]
async fn an_account_and_a_source_may_be_tried_so_often_in_a_minute_and_no_more() {
    let house = House::new();
    let limits = SignInLimits { per_account: 3, per_source: 5 };
    let people = people_of(&house, limits, None);
    for account in ["ada@example.com", "nobody@example.com"] {
        for nth in 0..4u8 {
            let visitor = from(&format!("198.51.{}.{nth}", account.len()));
            let tried = sign_in(&people, &ByPassword::new(account, "wrong"), &visitor, None).await;
            assert_eq!(matches!(tried, Err(SignInError::Throttled(_))), nth == 3, "{account} {nth}");
        }
    }
    for nth in 0..6 {
        let proof = ByPassword::new(&format!("u{nth}@example.com"), "wrong");
        let tried = sign_in(&people, &proof, &from("203.0.113.9"), None).await;
        assert_eq!(matches!(tried, Err(SignInError::Throttled(_))), nth == 5, "{nth}");
    }
}

#[actix::test]
async fn a_flood_of_guesses_from_elsewhere_keeps_nobody_out_where_they_are_known() {
    let house = House::new();
    let people = people_of(&house, SignInLimits { per_account: 3, per_source: 1_000 }, None);
    user(&people, "ada@example.com").await;
    signed_in(&people, "ada@example.com", PASSWORD).await.unwrap();
    let mut throttled = 0;
    for nth in 0..20 {
        let proof = ByPassword::new("ada@example.com", "a guess of many");
        let tried = sign_in(&people, &proof, &from(&format!("203.0.{nth}.1")), None).await;
        throttled += usize::from(matches!(tried, Err(SignInError::Throttled(_))));
    }
    assert!(throttled >= 16, "{throttled}");
    signed_in(&people, "ada@example.com", PASSWORD).await.unwrap();
}

#[actix::test]
async fn the_first_user_is_made_by_the_link_of_the_console_once() {
    let house = House::new();
    let people = people(&house);
    let free = org(&people, "Acme").await;
    let old = set_up::open(&people).await.unwrap().unwrap();
    let link = set_up::open(&people).await.unwrap().unwrap();
    assert!(link.starts_with("https://sequel.example/set-up/sqf_"));
    assert!(set_up::look(&people, token(&old)).await.is_err(), "a later link replaces it");
    assert_eq!(set_up::look(&people, token(&link)).await.unwrap()[0].0, free.id());
    let weak = FirstUser { password: "short".into(), ..first("ada@example.com", Owned::Existing(free.id())) };
    let refused = set_up::complete(&people, token(&link), weak, &somewhere()).await;
    assert!(matches!(refused, Err(ChangeError::Invalid(_))));
    let attempts = [
        first("ada@example.com", Owned::Existing(free.id())),
        first("eve@example.com", Owned::New("Eve".into())),
    ];
    let [ada, eve] = attempts.map(|first| Box::pin(set_up::complete(&people, token(&link), first, &FROM)));
    let (ada, eve) = tokio::join!(ada, eve);
    assert!(ada.is_ok() != eve.is_ok());
    let began = ada.or(eve).unwrap();
    assert!(holds(&people, &began.cookie).await);
    assert_eq!(people.orgs_of(began.user).await.unwrap()[0].role, Role::Owner);
    assert!(record(&people, began.user).await.last_signed_in_at.is_some(), "they are signed in");
    assert!(set_up::open(&people).await.unwrap().is_none());
    let late =
        set_up::complete(&people, token(&link), first("x@example.com", Owned::New("X".into())), &FROM).await;
    assert!(matches!(late, Err(ChangeError::NotFound(_))));
}

#[actix::test]
async fn a_set_up_that_broke_off_is_done_again_with_the_same_words() {
    for commits in 0.. {
        let house = House::new();
        let started = people(&house);
        let link = set_up::open(&started).await.unwrap().unwrap();
        house.store.fail_after(commits);
        let new = || first("ada@example.com", Owned::New("Acme".into()));
        let broken = set_up::complete(&started, token(&link), new(), &FROM).await;
        house.store.recover();
        let done = broken.is_ok();
        // Another process, as after a crash.
        let again = people(&house);
        // Otherwise it had come so far that there is an owner, who signs in.
        if let Some(link) = set_up::open(&again).await.unwrap() {
            assert!(!done);
            set_up::complete(&again, token(&link), new(), &FROM).await.unwrap();
        }
        signed_in(&again, "ada@example.com", PASSWORD).await.unwrap();
        let all = again.users.all().await.unwrap();
        let orgs = again.orgs_of(all[0].0).await.unwrap();
        assert_eq!((all.len(), orgs.len(), orgs[0].role), (1, 1, Role::Owner), "after {commits} commits");
        if done {
            assert!(commits >= 5);
            return;
        }
    }
}
