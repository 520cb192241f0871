//! What people rely on when they come, go and forget: one answer for every wrong sign-in, links that work once, nothing
//! of a removed or deleted person that goes on, and half of nothing, wherever it broke off.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use parking_lot::Mutex;
use sequel_store::Store;

use super::create_org::{create_org, create_org_of};
use super::delete_org::{delete_org, delete_org_as, restore_org};
use super::find_org::list_orgs;
use super::keys::{alter, alter_as_operator, create_personal};
use super::members::{add_member, leave, list_as, remove_member};
use super::purge_orgs::purge_orgs;
use super::rename_org::rename_org_as;
use super::set_up::{FirstUser, Owned};
use super::sign_in::{ByPassword, sign_in, sign_out};
use super::tests::House;
use super::throttle::SignInLimits;
use super::*;
use crate::credential::secret::PlainSecret;
use crate::credential::{Credential, OrgId, UserId};
use crate::mail::{Letter, MailError, Post};
use crate::org::audit::{AuditQuery, Author, Who};
use crate::org::keys::NewKey;
use crate::org::permission::Role;
use crate::org::{ChangeError, Org, Person};
use crate::system::hashing::{Cost, Hasher};
use crate::system::sessions::{Lifetimes, Visitor};
use crate::system::users::UserRecord;
use crate::system::{Memberships, OrgIndex, Sessions, Users};

const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1, at_once: 4 };
const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(86_400), absolute: Duration::from_secs(30 * 86_400) };
const FREELY: SignInLimits = SignInLimits { per_account: 10_000, per_source: 10_000 };
const WEEK: Duration = Duration::from_secs(7 * 86_400);

const PASSWORD: &str = "staring at the sea";
const OTHER: &str = "quietly humming tin";

/// Keeps letters instead of sending them.
#[derive(Default)]
struct Drawer(Mutex<Vec<Letter>>);

#[async_trait]
impl Post for Drawer {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        self.0.lock().push(letter);
        Ok(())
    }
}

/// The flows over a house's store, as a process that was just started has them.
pub(super) fn people_of(house: &House, limits: SignInLimits, post: Option<Arc<dyn Post>>) -> People {
    let store = Arc::clone(&house.store) as Arc<dyn Store>;
    let (context, rng) = (house.context.clone(), house.context.rng.clone());
    let users = Users::new(Arc::clone(&store), rng.clone());
    People::new(PeopleParts {
        registry: house.registry.clone(),
        index: OrgIndex::new(Arc::clone(&store), rng.clone()),
        sessions: Sessions::new(Arc::clone(&store), users.clone(), context.clone(), LIFETIMES),
        memberships: Memberships::new(store, rng.clone()),
        hasher: Hasher::new(CHEAP, rng).unwrap(),
        public_url: "https://sequel.example".into(),
        state: PeopleState::new(limits, 0),
        users,
        context,
        post,
    })
}

fn people(house: &House) -> People {
    people_of(house, FREELY, None)
}

fn from(address: &str) -> Visitor {
    Visitor { agent: "a test".into(), address: Some(address.parse().unwrap()) }
}

fn somewhere() -> Visitor {
    from("192.0.2.1")
}

/// What a link ends with.
fn token(link: &str) -> &str {
    link.rsplit('/').next().unwrap()
}

/// A user with [`PASSWORD`].
async fn user(people: &People, email: &str) -> (UserId, Person) {
    let (id, record, link) = users::create(people, &Author::sequel(), email, "Somebody").await.unwrap();
    passwords::redeem(people, token(&link), PASSWORD, &somewhere()).await.unwrap();
    (id, Person { user: id, email: record.email.to_string(), address: None })
}

async fn signed_in(people: &People, email: &str, password: &str) -> Result<PlainSecret, SignInError> {
    let began = sign_in(people, &ByPassword::new(email, password), &somewhere(), None).await?;
    Ok(began.cookie)
}

async fn holds(people: &People, cookie: &PlainSecret) -> bool {
    people.signed_in(cookie.reveal()).await.unwrap().is_some()
}

async fn org(people: &People, name: &str) -> Org {
    let author = Author::sequel();
    let (id, _) = create_org(&people.registry, &people.index, &people.context, &author, name).await.unwrap();
    people.registry.resolve(id).await.unwrap()
}

async fn record(people: &People, id: UserId) -> UserRecord {
    people.users.get(id).await.unwrap().unwrap()
}

/// An organization that Ada owns.
async fn of_ada(people: &People) -> (Org, Person) {
    let (id, person) = user(people, "ada@example.com").await;
    let org = org(people, "Acme").await;
    add_member(people, &org, (id, &record(people, id).await), Role::Owner).await.unwrap();
    (org, person)
}

async fn joins(people: &People, org: &Org, email: &str, role: Role) -> Person {
    let (id, person) = user(people, email).await;
    add_member(people, org, (id, &record(people, id).await), role).await.unwrap();
    person
}

fn key(name: &str) -> NewKey {
    NewKey { name: name.into(), expires_at: None, sources: None, made_for: None }
}

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

fn first(email: &str, org: Owned) -> FirstUser {
    FirstUser { email: email.into(), name: "Ada".into(), password: PASSWORD.into(), org }
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

static FROM: Visitor = Visitor { agent: String::new(), address: None };

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

async fn org_of(people: &People, person: &Person, name: &str) -> OrgId {
    create_org_of(people, person, name).await.unwrap().0
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

#[actix::test]
async fn no_secret_of_a_person_is_stored_or_told() {
    let house = House::new();
    let people = people(&house);
    let link = set_up::open(&people).await.unwrap().unwrap();
    let began =
        set_up::complete(&people, token(&link), first("ada@example.com", Owned::New("Acme".into())), &FROM);
    let began = began.await.unwrap();
    let ada = people.signed_in(began.cookie.reveal()).await.unwrap().unwrap();
    let person = Person { user: ada.user, email: ada.record.email.to_string(), address: None };
    let org = people.orgs_of(ada.user).await.unwrap()[0].id;
    let member = people.registry.enter(org, &person).await.unwrap();
    let invited = invite::invite(&people, &member, "eve@example.com", Role::Member).await.unwrap();
    let invitation = invited.link.clone().unwrap();
    let reset = passwords::link(&people, &Author::sequel(), ada.user).await.unwrap();
    let minted = member.create_personal_key(key("k")).await.unwrap();
    let secrets = [
        PASSWORD,
        &token(&link)[26..69],
        &began.cookie.reveal()[26..69],
        &token(&invitation)[26..69],
        &token(&reset)[26..69],
        &minted.plain.reveal()[26..69],
    ];
    let mut stored = house.store.inner.export().await.unwrap();
    let mut records = 0;
    while let Some(found) = stored.next().await {
        let found = found.unwrap();
        let value = String::from_utf8_lossy(&found.record.value).into_owned();
        for secret in secrets {
            assert!(!value.contains(secret), "{:?} in {value}", found.record.key);
        }
        records += 1;
    }
    assert!(records > 10);
    let told = format!("{began:?} {ada:?} {invited:?} {minted:?} {:?}", Who::Sequel);
    for secret in secrets {
        assert!(!told.contains(secret));
    }
}
