//! Organizations that people make, rename and delete.

use super::*;

#[actix::test]
async fn an_organization_is_renamed_and_deleted_by_who_may() {
    let house = House::new();
    let people = people(&house);
    let (org, ada) = of_ada(&people).await;
    let eve = joins(&people, &org, "eve@example.com", Role::Admin).await;
    let (owner, admin) = (
        people.registry.enter(org.id(), &ada).await.unwrap(),
        people.registry.enter(org.id(), &eve).await.unwrap(),
    );
    assert_eq!(rename_org_as(&people, &admin, "Globex").await.unwrap().name, "Globex");
    assert!(matches!(delete_org_as(&people, &admin, WEEK).await, Err(ChangeError::Forbidden)));
    assert!(people.index.deletions().await.unwrap().is_empty());
    delete_org_as(&people, &owner, WEEK).await.unwrap();
    assert!(people.orgs_of(ada.user).await.unwrap().is_empty());
    assert!(matches!(
        people.registry.enter(org.id(), &ada).await,
        Err(ChangeError::NotFound("organization"))
    ));
    restore_org(&people.registry, &people.index, &Author::sequel(), "Globex").await.unwrap();
    assert_eq!(people.orgs_of(ada.user).await.unwrap()[0].role, Role::Owner);
}

#[actix::test]
async fn an_organization_that_somebody_makes_is_theirs_or_is_not_there() {
    for commits in 0.. {
        let house = House::new();
        let people = people(&house);
        let (_, ada) = user(&people, "ada@example.com").await;
        house.store.fail_after(commits);
        let broken = create_org_of(&people, &ada, "Acme").await;
        house.store.recover();
        let mine = people.orgs_of(ada.user).await.unwrap();
        assert_eq!(mine.len(), usize::from(broken.is_ok()), "after {commits} commits");
        assert_eq!(list_orgs(&people.registry, &people.index).await.unwrap().len(), mine.len());
        if let Ok((id, _)) = broken {
            assert!(commits >= 3, "{commits}");
            assert_eq!((mine[0].id, mine[0].role), (id, Role::Owner));
            let member = people.registry.enter(id, &ada).await.unwrap();
            let trail = member.audit(AuditQuery { before: None, since: None, limit: 10 }).await.unwrap();
            assert_eq!(trail.entries[0].1.details["owner"], "ada@example.com");
            return;
        }
        // Whoever asks next gets the name, be it somebody else.
        let (_, eve) = user(&people, "eve@example.com").await;
        org_of(&people, &eve, "Acme").await;
        assert!(people.orgs_of(ada.user).await.unwrap().is_empty());
        assert!(matches!(create_org_of(&people, &ada, "ACME").await, Err(ChangeError::NameTaken { .. })));
    }
}

#[actix::test]
async fn a_name_that_is_taken_leaves_the_list_of_who_asked_as_it_was() {
    let house = House::new();
    let people = people(&house);
    let (_, ada) = user(&people, "ada@example.com").await;
    let (_, eve) = user(&people, "eve@example.com").await;
    let acme = org_of(&people, &ada, "Acme").await;
    for person in [&ada, &eve] {
        let taken = create_org_of(&people, person, "acme").await;
        assert!(matches!(taken, Err(ChangeError::NameTaken { .. })));
    }
    assert_eq!(people.memberships.of(ada.user).await.unwrap(), [acme]);
    assert!(people.memberships.of(eve.user).await.unwrap().is_empty());
}
