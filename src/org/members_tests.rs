//! What people rely on in an organization: the table of permissions is what happens, a role counts at the moment of the
//! change, a removed member is out with everything that was theirs, and strangers find nothing.

use std::time::Duration;

use super::audit::AuditQuery;
use super::grants::{APPS_PER_MEMBER_MAX, AppEdit, NewGrant};
use super::keys::MintedKey;
use super::members::{
    INVITATION_LIFE, INVITATIONS_PER_MEMBER_MAX, NewInvitation, NewMember, PERSONAL_KEYS_MAX,
};
use super::permission::{Action, ROLES, Role, allows};
use super::record::{AppPolicyRecord, GrantClient};
use super::sources::{NewSource, SourceEdit};
use super::tests::{Fault, House, LIMITS, credential, named};
use super::usage::{UsageQuery, day_of};
use super::*;
use crate::context::Timestamp;
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{ClientId, GrantId, OrgId, UserId};
use crate::oauth::grant::{Fulfilled, Redeemable};
use crate::oauth::redirect::RedirectKind;
use crate::oauth::scope::ScopeSet;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn roomy() -> House {
    House::with(RegistryLimits { keys_max: 1_000, ..LIMITS })
}

/// An organization with its owner.
async fn owned(house: &House) -> (Org, Member) {
    let org = house.org("Acme").await;
    let owner = joined(house, &org, "owner", Role::Owner).await;
    (org, owner)
}

/// Somebody who becomes a member, as they enter.
async fn joined(house: &House, org: &Org, name: &str, role: Role) -> Member {
    let person = person(house, name);
    org.add_member(NewMember { user: person.user, email: person.email.clone(), role }).await.unwrap();
    house.registry.enter(org.id(), &person).await.unwrap()
}

fn person(house: &House, name: &str) -> Person {
    let user = UserId::mint(&house.context.rng).unwrap();
    Person { user, email: format!("{name}@example.com"), address: None }
}

fn source(name: &str) -> NewSource {
    NewSource { name: name.into(), kind: "nothing".into(), settings: Default::default(), description: None }
}

fn presented(plain: &PlainSecret) -> Presented {
    Presented::parse(Purpose::Invitation, plain.reveal()).unwrap()
}

async fn accepts(house: &House, key: &MintedKey) -> bool {
    house.registry.authenticate(&credential(key), None).await.is_ok()
}

/// What somebody may have approved.
fn app(house: &House, by: &Member) -> NewGrant {
    let rng = &house.context.rng;
    let id = GrantId::mint(rng).unwrap();
    let client = GrantClient {
        id: ClientId::mint(rng).unwrap(),
        name: "An app".into(),
        uri: None,
        kind: RedirectKind::Loopback,
        host: "localhost".into(),
    };
    let code = PlainSecret::mint(Purpose::Code, id, by.org_id(), rng).unwrap();
    let challenge = serde_json::from_str("\"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\"").unwrap();
    let code = Redeemable {
        digest: code.digest(),
        challenge,
        redirect_uri: "http://localhost/cb".into(),
        redirect_was_named: true,
    };
    let expires_at = house.context.clock.now().plus(Duration::from_secs(60));
    NewGrant {
        id,
        client,
        user: by.person().user,
        scopes: ScopeSet::ALL,
        sources: None,
        resource: "https://sequel.example/mcp".into(),
        expires_at: None,
        fulfilled: Fulfilled { code, expires_at },
    }
}

#[actix::test]
async fn a_member_authorizes_a_hundred_apps_and_those_that_are_over_make_room() {
    let house = House::new();
    let (_, owner) = owned(&house).await;
    for _ in 0..APPS_PER_MEMBER_MAX {
        owner.authorize(app(&house, &owner)).await.unwrap();
    }
    assert!(matches!(owner.authorize(app(&house, &owner)).await, Err(ChangeError::Limit(_))));
    house.context.clock.advance(Duration::from_secs(60));
    owner.authorize(app(&house, &owner)).await.unwrap();
    assert_eq!(owner.list_apps().await.unwrap().len(), 1);
}

fn was_allowed<T>(outcome: Result<T, ChangeError>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(ChangeError::Forbidden) => false,
        Err(error) => panic!("neither done nor forbidden: {error}"),
    }
}

/// Does what an action names, in an organization of its own, and says whether it was allowed.
async fn tried(role: Role, action: Action) -> bool {
    let house = House::new();
    let (org, owner) = owned(&house).await;
    let key = org.create_key(named("org's")).await.unwrap();
    org.add_source(source("sales")).await.unwrap();
    let other = joined(&house, &org, "other", Role::Member).await;
    let actor = joined(&house, &org, "actor", role).await;
    let today = day_of(house.context.clock.now());
    assert_eq!(actor.may(action), allows(role, action));
    match action {
        Action::See => {
            assert_eq!(actor.record().await.unwrap().name, "Acme");
            assert_eq!(actor.list_members().await.unwrap().len(), 3);
            was_allowed(actor.list_sources())
        }
        Action::OwnKeys => was_allowed(actor.create_personal_key(named("mine")).await),
        Action::AllKeys => {
            let made = was_allowed(actor.create_org_key(named("another")).await);
            let alter = actor.alter_key(key.id, Some("renamed".into()), None).await;
            // Somebody else's key is none for who may not see it.
            assert_eq!(matches!(alter, Err(ChangeError::NotFound("API key"))), !made, "{alter:?}");
            assert_eq!(actor.key(key.id).await.is_ok(), made);
            assert_eq!(actor.rotate_key(key.id, Duration::ZERO).await.is_ok(), made);
            assert_eq!(actor.delete_key(key.id).await.is_ok(), made);
            made
        }
        Action::OwnApps => {
            let authorized = was_allowed(actor.authorize(app(&house, &actor)).await);
            assert_eq!(was_allowed(actor.list_apps().await), authorized);
            authorized
        }
        Action::AllApps => {
            let theirs = app(&house, &other);
            other.authorize(theirs.clone()).await.unwrap();
            let set = was_allowed(actor.set_app_policy(AppPolicyRecord::default()).await);
            assert_eq!(actor.app(theirs.id).await.is_ok(), set);
            assert_eq!(actor.edit_app(theirs.id, AppEdit::default()).await.is_ok(), set);
            assert_eq!(actor.revoke_app(theirs.id).await.is_ok(), set);
            set
        }
        Action::Sources => {
            let sales = actor.find_source("sales").unwrap();
            let edit = SourceEdit { description: Some("x".into()), ..SourceEdit::default() };
            let altered = was_allowed(actor.alter_source(&sales, edit).await);
            assert_eq!(was_allowed(actor.add_source(source("more")).await), altered);
            assert_eq!(was_allowed(actor.source_to_test("sales")), altered);
            assert_eq!(was_allowed(actor.remove_source(sales.id()).await), altered);
            altered
        }
        Action::Usage => was_allowed(actor.usage(UsageQuery { from: today, key: None, source: None }).await),
        Action::Audit => was_allowed(actor.audit(AuditQuery { before: None, since: None, limit: 9 }).await),
        Action::Members => {
            let invited = was_allowed(actor.invite("new@example.com", Role::Member).await);
            assert_eq!(was_allowed(actor.list_invitations().await), invited);
            assert_eq!(was_allowed(actor.set_role(other.person().user, Role::Viewer).await), invited);
            assert_eq!(was_allowed(actor.remove(other.person().user).await), invited);
            invited
        }
        Action::Owners => {
            let made = was_allowed(actor.set_role(other.person().user, Role::Owner).await);
            assert_eq!(was_allowed(actor.invite("new@example.com", Role::Owner).await), made);
            assert_eq!(was_allowed(actor.set_role(owner.person().user, Role::Viewer).await), made);
            assert_eq!(was_allowed(actor.remove(owner.person().user).await), made);
            made
        }
        Action::Rename => match actor.to_rename() {
            Ok(org) => was_allowed(org.rename("Globex").await),
            Err(error) => was_allowed::<()>(Err(error)),
        },
        Action::Delete => match actor.to_delete() {
            Ok(org) => was_allowed(org.delete(WEEK).await),
            Err(error) => was_allowed::<()>(Err(error)),
        },
    }
}

#[actix::test]
async fn what_each_role_may_do_is_the_table() {
    for (action, ..) in permission::TABLE {
        for role in ROLES {
            assert_eq!(tried(role, *action).await, allows(role, *action), "{role} {action:?}");
        }
    }
}

#[actix::test]
async fn a_role_counts_at_the_moment_of_the_change() {
    let house = House::new();
    let (org, _) = owned(&house).await;
    let admin = joined(&house, &org, "admin", Role::Admin).await;
    // Both were allowed when they were asked; the first one takes the role away.
    let held = admin.to(Action::Sources).unwrap();
    let rename = admin.to_rename().unwrap();
    org.set_role(admin.person().user, Role::Member).await.unwrap();
    assert!(matches!(held.add_source(source("late")).await, Err(ChangeError::Forbidden)));
    assert!(matches!(rename.rename("Globex").await, Err(ChangeError::Forbidden)));
    org.remove_member(admin.person().user).await.unwrap();
    assert!(matches!(rename.rename("Globex").await, Err(ChangeError::NotFound("organization"))));
    assert!(matches!(admin.list_sources(), Err(ChangeError::NotFound("organization"))));
    assert_eq!(org.record().await.unwrap().name, "Acme");
}

#[actix::test]
async fn strangers_find_nothing_and_load_nothing() {
    let house = House::with(RegistryLimits { active_max: 1, ..LIMITS });
    let (org, _) = owned(&house).await;
    let (elsewhere, here) = (house.org("Elsewhere").await, person(&house, "eve"));
    let no_org = OrgId::mint(&house.context.rng).unwrap();
    assert_eq!(house.registry.active(), 1);
    for id in [org.id(), elsewhere.id(), no_org] {
        let found = house.registry.enter(id, &here).await;
        assert!(matches!(found, Err(ChangeError::NotFound("organization"))));
        assert!(house.registry.membership(id, here.user).await.unwrap().is_none());
    }
    // The one that was in memory still is.
    assert!(elsewhere.list_sources().is_ok());
}

#[actix::test]
async fn the_last_owner_stays() {
    let house = House::new();
    let org = house.org("Acme").await;
    let first = person(&house, "first");
    let new = |role| NewMember { user: first.user, email: first.email.clone(), role };
    assert!(matches!(org.add_member(new(Role::Admin)).await, Err(ChangeError::Invalid(_))));
    org.add_member(new(Role::Owner)).await.unwrap();
    let owner = house.registry.enter(org.id(), &first).await.unwrap();
    let second = joined(&house, &org, "second", Role::Admin).await;
    for refused in [
        org.set_role(first.user, Role::Admin).await,
        org.remove_member(first.user).await,
        owner.leave().await,
    ] {
        assert!(refused.unwrap_err().to_string().contains("only owner"));
    }
    owner.set_role(second.person().user, Role::Owner).await.unwrap();
    owner.leave().await.unwrap();
    assert!(second.leave().await.is_err());
}

#[actix::test]
async fn a_removed_member_takes_keys_and_invitations_along_and_coming_back_revives_nothing() {
    let house = roomy();
    let (org, owner) = owned(&house).await;
    let ada = joined(&house, &org, "ada", Role::Admin).await;
    let kept = ada.create_org_key(named("the organization's")).await.unwrap();
    // As much as one batch can end.
    let mut keys = Vec::new();
    for nth in 0..PERSONAL_KEYS_MAX {
        keys.push(ada.create_personal_key(named(&format!("k{nth}"))).await.unwrap());
    }
    let more = ada.create_personal_key(named("one more")).await;
    assert!(matches!(more, Err(ChangeError::Limit(_))));
    let mut sent = Vec::new();
    for nth in 0..INVITATIONS_PER_MEMBER_MAX {
        sent.push(ada.invite(&format!("friend{nth}@example.com"), Role::Member).await.unwrap());
    }
    assert!(matches!(ada.invite("late@example.com", Role::Member).await, Err(ChangeError::Limit(_))));
    let others = owner.invite("other@example.com", Role::Member).await.unwrap();
    let principal = house.registry.authenticate(&credential(&keys[0]), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    // While the store is away, nothing of it happens.
    house.stage.fail(Fault::Unavailable);
    assert!(owner.remove(ada.person().user).await.is_err());
    assert!(accepts(&house, &keys[0]).await && call.stopped().is_none());

    owner.remove(ada.person().user).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    for key in &keys {
        assert!(!accepts(&house, key).await);
    }
    assert!(accepts(&house, &kept).await);
    for invitation in &sent {
        assert!(house.registry.invitation(&presented(&invitation.plain)).await.is_err());
    }
    assert!(house.registry.invitation(&presented(&others.plain)).await.is_ok());

    let back = NewMember { user: ada.person().user, email: ada.person().email.clone(), role: Role::Admin };
    org.add_member(back).await.unwrap();
    assert!(!accepts(&house, &keys[0]).await);
    assert_eq!(org.list_keys().await.unwrap().len(), 1);
    // The names are free as well.
    ada.create_personal_key(named("k0")).await.unwrap();
}

#[actix::test]
async fn a_role_without_keys_ends_those_that_there_are() {
    let house = House::new();
    let (org, _) = owned(&house).await;
    let ada = joined(&house, &org, "ada", Role::Member).await;
    let key = ada.create_personal_key(named("k")).await.unwrap();
    org.set_role(ada.person().user, Role::Admin).await.unwrap();
    assert!(accepts(&house, &key).await);
    org.set_role(ada.person().user, Role::Viewer).await.unwrap();
    assert!(!accepts(&house, &key).await);
    org.set_role(ada.person().user, Role::Member).await.unwrap();
    assert!(!accepts(&house, &key).await);
    assert!(ada.list_keys().await.unwrap().is_empty());
}

#[actix::test]
async fn a_deleted_personal_key_makes_room_for_another() {
    let house = roomy();
    let (org, _) = owned(&house).await;
    let ada = joined(&house, &org, "ada", Role::Member).await;
    let eve = joined(&house, &org, "eve", Role::Member).await;
    let key = ada.create_personal_key(named("k0")).await.unwrap();
    for nth in 1..PERSONAL_KEYS_MAX {
        ada.create_personal_key(named(&format!("k{nth}"))).await.unwrap();
    }
    assert!(matches!(eve.delete_key(key.id).await, Err(ChangeError::NotFound("API key"))));
    ada.delete_key(key.id).await.unwrap();
    ada.create_personal_key(named("another")).await.unwrap();
    assert!(eve.list_keys().await.unwrap().is_empty());
}

#[actix::test]
async fn roles_and_personal_keys_outlast_the_memory() {
    let house = House::new();
    let (org, _) = owned(&house).await;
    let ada = joined(&house, &org, "ada", Role::Member).await;
    let key = ada.create_personal_key(named("k")).await.unwrap();
    house.context.clock.advance(LIMITS.idle * 2);
    assert_eq!(house.registry.evict_idle(), 1);
    assert!(accepts(&house, &key).await);
    let ada = house.registry.enter(org.id(), ada.person()).await.unwrap();
    assert_eq!(ada.role().unwrap(), Role::Member);
    assert!(matches!(ada.to(Action::Audit), Err(ChangeError::Forbidden)));
}

#[actix::test]
async fn an_invitation_is_for_one_person_and_for_its_time() {
    let house = House::new();
    let (org, owner) = owned(&house).await;
    let ada = person(&house, "ada");
    let first = owner.invite(&ada.email, Role::Admin).await.unwrap();
    let minted = owner.invite(&ada.email, Role::Member).await.unwrap();
    // The later one replaces the earlier.
    assert!(org.accept(presented(&first.plain), ada.user, &ada.email).await.is_err());
    let open = house.registry.invitation(&presented(&minted.plain)).await.unwrap();
    assert_eq!((open.org_name.as_str(), open.record.role), ("Acme", Role::Member));
    let eve = person(&house, "eve");
    let stolen = org.accept(presented(&minted.plain), eve.user, &eve.email).await;
    assert!(stolen.unwrap_err().to_string().contains("ada@example.com"));
    house.context.clock.advance(INVITATION_LIFE - Duration::from_secs(60));
    org.accept(presented(&minted.plain), ada.user, &ada.email).await.unwrap();
    let again = org.accept(presented(&minted.plain), ada.user, &ada.email).await;
    assert!(matches!(again, Err(ChangeError::NotFound("invitation"))));

    let late = owner.invite(&eve.email, Role::Member).await.unwrap();
    house.context.clock.advance(INVITATION_LIFE);
    assert!(house.registry.invitation(&presented(&late.plain)).await.is_err());
    assert!(org.accept(presented(&late.plain), eve.user, &eve.email).await.is_err());
    assert!(owner.list_invitations().await.unwrap().is_empty());
    let withdrawn = owner.invite(&eve.email, Role::Member).await.unwrap();
    owner.withdraw(withdrawn.id).await.unwrap();
    assert!(org.accept(presented(&withdrawn.plain), eve.user, &eve.email).await.is_err());
}

#[actix::test]
async fn the_trail_says_which_person_it_was() {
    let house = House::new();
    let (org, owner) = owned(&house).await;
    let ada = joined(&house, &org, "ada", Role::Member).await;
    let canary = ada.create_personal_key(named("k")).await.unwrap();
    let invitation = owner.invite("new@example.com", Role::Viewer).await.unwrap();
    owner.remove(ada.person().user).await.unwrap();
    let page = org.audit(AuditQuery { before: None, since: None::<Timestamp>, limit: 100 }).await.unwrap();
    let shown = format!("{:?}", page.entries);
    for secret in [canary.plain.reveal(), invitation.plain.reveal()] {
        assert!(!shown.contains(&secret[26..69]));
    }
    let actions: Vec<_> = page.entries.iter().map(|(_, entry)| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["member.remove", "member.invite", "key.create", "member.add", "member.add", "org.create"]
    );
    let by = |nth: usize| serde_json::to_value(&page.entries[nth].1.who).unwrap()["email"].clone();
    assert_eq!((by(0), by(2)), ("owner@example.com".into(), "ada@example.com".into()));
    // What the operator does is theirs.
    org.invite(NewInvitation { email: "x@example.com".into(), role: Role::Owner, by: None }).await.unwrap();
}
