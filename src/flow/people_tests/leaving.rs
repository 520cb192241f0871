//! Members who leave, and users who are disabled or deleted: nothing of theirs goes on.

use super::*;

#[actix::test]
async fn who_leaves_or_is_put_out_has_no_way_back_in_whatever_breaks_off() {
    for commits in 0..3 {
        let house = House::new();
        let people = people(&house);
        let (org, ada) = of_ada(&people).await;
        let eve = joins(&people, &org, "eve@example.com", Role::Member).await;
        let owner = people.registry.enter(org.id(), &ada).await.unwrap();
        let hers = people.registry.enter(org.id(), &eve).await.unwrap();
        let minted = hers.create_personal_key(key("k")).await.unwrap();
        let credential = Credential::parse(minted.plain.reveal()).unwrap();
        house.store.fail_after(commits);
        let removed = match commits {
            1 => leave(&people, &hers).await,
            _ => remove_member(&people, &owner, eve.user).await,
        };
        assert_eq!(removed.is_ok(), commits > 0);
        house.store.recover();
        let is_in = commits == 0;
        assert_eq!(people.registry.enter(org.id(), &eve).await.is_ok(), is_in);
        assert_eq!(people.orgs_of(eve.user).await.unwrap().len(), usize::from(is_in));
        assert_eq!(house.accepts(&credential).await, is_in);
    }
}

#[actix::test]
async fn no_key_of_somebody_disabled_works_however_it_came_about() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let eve = joins(&people, &org, "eve@example.com", Role::Member).await;
    let owner = people.registry.enter(org.id(), &ada).await.unwrap();
    let hers = people.registry.enter(org.id(), &eve).await.unwrap();
    let minted = create_personal(&people, &hers, key("k")).await.unwrap();
    let credential = Credential::parse(minted.plain.reveal()).unwrap();
    assert!(house.accepts(&credential).await);
    users::switch(&people, &Author::sequel(), eve.user, false).await.unwrap();
    assert!(!house.accepts(&credential).await);
    // A request of hers that had been let in before.
    assert!(create_personal(&people, &hers, key("late")).await.is_err());
    for refused in [
        alter(&people, &hers, minted.id, (None, Some(true))).await,
        alter(&people, &owner, minted.id, (None, Some(true))).await,
        alter_as_operator(&people, &org, minted.id, (None, Some(true))).await,
    ] {
        assert!(refused.unwrap_err().to_string().contains("enable the user first"));
        assert!(!house.accepts(&credential).await);
    }
    assert_eq!(org.list_keys().await.unwrap().len(), 1);
    // Enabled again, she has no key back until somebody means it.
    users::switch(&people, &Author::sequel(), eve.user, true).await.unwrap();
    assert!(!house.accepts(&credential).await);
    alter(&people, &hers, minted.id, (None, Some(true))).await.unwrap();
    assert!(house.accepts(&credential).await);
}

#[actix::test]
async fn who_is_being_deleted_becomes_a_member_of_nothing() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let owner = people.registry.enter(org.id(), &ada).await.unwrap();
    let (id, eve) = user(&people, "eve@example.com").await;
    let found = record(&people, id).await;
    let link = invite::invite(&people, &owner, "eve@example.com", Role::Owner).await.unwrap().link.unwrap();
    assert!(users::delete(&people, &Author::sequel(), id).await.unwrap());
    // Requests that had read the user before.
    assert!(invite::accept(&people, token(&link), &eve).await.is_err());
    assert!(add_member(&people, &org, (id, &found), Role::Owner).await.is_err());
    assert!(create_org_of(&people, &eve, "Hers").await.is_err());
    assert_eq!(org.list_members().await.unwrap().len(), 1);
    assert!(people.memberships.of(id).await.unwrap().is_empty());
    purge_orgs(&people.registry, &people.index, &people.context).await.unwrap();
    assert_eq!(list_orgs(&people.registry, &people.index).await.unwrap().len(), 1);
    org_of(&people, &ada, "Hers").await;
}

#[actix::test]
async fn a_deletion_that_broke_off_anywhere_goes_on_and_lets_nobody_in() {
    for commits in 0.. {
        let house = House::new();
        let people = people(&house);
        let (org, _) = of_ada(&people).await;
        let eve = joins(&people, &org, "eve@example.com", Role::Admin).await;
        let second = self::org(&people, "Globex").await;
        let boss = joins(&people, &second, "boss@example.com", Role::Owner).await;
        let found = record(&people, eve.user).await;
        add_member(&people, &second, (eve.user, &found), Role::Member).await.unwrap();
        let hers = people.registry.enter(second.id(), &eve).await.unwrap();
        let minted = hers.create_personal_key(key("k")).await.unwrap();
        let credential = Credential::parse(minted.plain.reveal()).unwrap();
        let cookie = signed_in(&people, "eve@example.com", PASSWORD).await.unwrap();
        house.store.fail_after(commits);
        let begun = users::delete(&people, &Author::sequel(), eve.user).await;
        house.store.recover();
        assert_eq!(begun.is_ok(), commits > 0);
        assert_eq!(holds(&people, &cookie).await, begun.is_err());
        assert_eq!(signed_in(&people, "eve@example.com", PASSWORD).await.is_ok(), begun.is_err());
        if begun.is_ok() {
            let enabled = users::switch(&people, &Author::sequel(), eve.user, true).await;
            assert!(enabled.is_err(), "{commits}");
            users::finish_all(&people_of(&house, FREELY, None)).await.unwrap();
            assert!(people.users.get(eve.user).await.unwrap().is_none());
            assert!(people.users.all_leaving().await.unwrap().is_empty());
            assert!(people.memberships.of(eve.user).await.unwrap().is_empty());
            assert!(!house.accepts(&credential).await);
            assert_eq!(org.list_members().await.unwrap().len(), 1);
            assert!(people.registry.enter(second.id(), &boss).await.is_ok());
            // The address is free, and whoever takes it is somebody else.
            let (_, anew) = user(&people, "eve@example.com").await;
            assert!(people.orgs_of(anew.user).await.unwrap().is_empty());
        }
        if begun.unwrap_or(false) {
            assert!(commits >= 6, "{commits}");
            return;
        }
    }
}

#[actix::test]
async fn an_only_owner_is_not_deleted_and_a_deleted_org_is_waited_for() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let refused = users::delete(&people, &Author::sequel(), ada.user).await;
    assert!(refused.unwrap_err().to_string().contains("Acme"));
    let eve = joins(&people, &org, "eve@example.com", Role::Owner).await;
    let hers = people.registry.enter(org.id(), &eve).await.unwrap();
    let minted = hers.create_personal_key(key("k")).await.unwrap();
    let credential = Credential::parse(minted.plain.reveal()).unwrap();
    delete_org(&people.index, &people.context, &org, WEEK).await.unwrap();
    // Her key must not come back with the organization.
    assert!(!users::delete(&people, &Author::sequel(), eve.user).await.unwrap());
    users::finish_all(&people).await.unwrap();
    assert!(people.users.get(eve.user).await.unwrap().is_some());
    restore_org(&people.registry, &people.index, &Author::sequel(), "Acme").await.unwrap();
    users::finish_all(&people).await.unwrap();
    assert!(people.users.get(eve.user).await.unwrap().is_none());
    assert!(!house.accepts(&credential).await);
}
