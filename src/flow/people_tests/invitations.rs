//! Invitations: accepted once, by whom they are for, whatever breaks off.

use super::*;

#[actix::test]
async fn whoever_is_invited_comes_in_as_a_new_user_or_as_the_one_they_are() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let member = people.registry.enter(org.id(), &ada).await.unwrap();
    let invited = invite::invite(&people, &member, " New@Example.com", Role::Member).await.unwrap();
    let link = invited.link.unwrap();
    let offer = invite::look(&people, token(&link)).await.unwrap();
    assert_eq!((offer.open.org_name.as_str(), offer.has_user), ("Acme", false));
    let weak = invite::accept_as_new(&people, token(&link), ("New", "new@example.com"), &FROM).await;
    assert!(matches!(weak, Err(SignInError::Failed(ChangeError::Invalid(_)))));
    let (id, began) = invite::accept_as_new(&people, token(&link), ("New", OTHER), &FROM).await.unwrap();
    assert_eq!(id, org.id());
    assert!(holds(&people, &began.cookie).await);
    assert!(record(&people, began.user).await.last_signed_in_at.is_some());
    assert!(invite::look(&people, token(&link)).await.is_err());
    let names: Vec<_> =
        list_as(&people, &member).await.unwrap().into_iter().map(|person| person.name).collect();
    assert_eq!(names, ["Somebody", "New"]);

    let (_, eve) = user(&people, "eve@example.com").await;
    let invited = invite::invite(&people, &member, "eve@example.com", Role::Viewer).await.unwrap();
    let link = invited.link.unwrap();
    assert!(invite::look(&people, token(&link)).await.unwrap().has_user);
    let as_new = invite::accept_as_new(&people, token(&link), ("Eve", OTHER), &FROM).await;
    assert!(as_new.unwrap_err().to_string().contains("sign in to accept"));
    assert!(invite::accept(&people, token(&link), &ada).await.is_err(), "it is not hers");
    invite::accept(&people, token(&link), &eve).await.unwrap();
    assert_eq!(people.orgs_of(eve.user).await.unwrap()[0].role, Role::Viewer);
}

#[actix::test]
async fn of_two_who_redeem_one_invitation_one_gets_in() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let member = people.registry.enter(org.id(), &ada).await.unwrap();
    let (_, eve) = user(&people, "eve@example.com").await;
    for (email, is_new) in [("eve@example.com", false), ("new@example.com", true)] {
        let link = invite::invite(&people, &member, email, Role::Member).await.unwrap().link.unwrap();
        let accept = async || match is_new {
            true => invite::accept_as_new(&people, token(&link), ("New", OTHER), &FROM).await.is_ok(),
            false => invite::accept(&people, token(&link), &eve).await.is_ok(),
        };
        let (one, two) = tokio::join!(accept(), accept());
        assert!(one != two, "{email}: {one} {two}");
    }
    assert_eq!(org.list_members().await.unwrap().len(), 3);
}

#[actix::test]
async fn an_acceptance_that_broke_off_anywhere_is_completed_by_the_same_link() {
    for commits in 0.. {
        let house = House::new();
        let people = people(&house);
        let (org, ada) = of_ada(&people).await;
        let member = people.registry.enter(org.id(), &ada).await.unwrap();
        let link =
            invite::invite(&people, &member, "new@example.com", Role::Member).await.unwrap().link.unwrap();
        house.store.fail_after(commits);
        let broken = invite::accept_as_new(&people, token(&link), ("New", OTHER), &FROM).await;
        house.store.recover();
        let done = broken.is_ok();
        match invite::look(&people, token(&link)).await {
            Ok(offer) if offer.has_user => {
                let cookie = signed_in(&people, "new@example.com", OTHER).await.unwrap();
                let who = people.signed_in(cookie.reveal()).await.unwrap().unwrap();
                assert!(
                    people.orgs_of(who.user).await.unwrap().is_empty(),
                    "the index alone counts for nothing"
                );
                let person = Person { user: who.user, email: who.record.email.to_string(), address: None };
                invite::accept(&people, token(&link), &person).await.unwrap();
            }
            Ok(_) => drop(invite::accept_as_new(&people, token(&link), ("New", OTHER), &FROM).await.unwrap()),
            // The member is written; what broke off is the session.
            Err(_) => {}
        }
        signed_in(&people, "new@example.com", OTHER).await.unwrap();
        assert_eq!(org.list_members().await.unwrap().len(), 2, "after {commits} commits");
        if done {
            assert!(commits >= 4);
            return;
        }
    }
}
