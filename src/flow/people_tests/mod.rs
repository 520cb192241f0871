//! What people rely on when they come, go and forget: one answer for every wrong sign-in, links that work once, nothing
//! of a removed or deleted person that goes on, and half of nothing, wherever it broke off.

mod coming;
mod forgetting;
mod invitations;
mod leaving;
mod organizations;

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

pub(super) fn key(name: &str) -> NewKey {
    NewKey { name: name.into(), expires_at: None, sources: None, made_for: None }
}

fn first(email: &str, org: Owned) -> FirstUser {
    FirstUser { email: email.into(), name: "Ada".into(), password: PASSWORD.into(), org }
}

static FROM: Visitor = Visitor { agent: String::new(), address: None };

async fn org_of(people: &People, person: &Person, name: &str) -> OrgId {
    create_org_of(people, person, name).await.unwrap().0
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
