//! An organization as large as they come: 1,000 keys, each used every day of a week, 100 members, a trail of every
//! change; and somebody who owns it and is signed in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use sequel::config::Config;
use sequel::context::Context;
use sequel::credential::{KeyId, OrgId, UserId};
use sequel::flow::create_org::create_org;
use sequel::org::audit::Author;
use sequel::org::keys::NewKey;
use sequel::org::members::NewMember;
use sequel::org::permission::Role;
use sequel::org::record::{UsageRecord, UsedRecord, encode, usage_at, used_at};
use sequel::org::sources::NewSource;
use sequel::org::usage::day_of;
use sequel::org::{Org, Registry};
use sequel::system::email::Email;
use sequel::system::sessions::{Lifetimes, Visitor};
use sequel::system::users::{UserRecord, trail_at};
use sequel::system::{Memberships, OrgIndex, Sessions, Users};
use sequel_store::{BATCH_OPERATIONS_MAX, Scope, Store, Write};

use crate::common::fixture;

pub(crate) const KEYS: usize = 1_000;
pub(crate) const MEMBERS: usize = 100;
const DAYS: u32 = 7;
const DAY: Duration = Duration::from_secs(86_400);

/// What a measurement needs of it.
pub(crate) struct House {
    pub(crate) data_dir: PathBuf,
    pub(crate) org: OrgId,
    /// One of the keys.
    pub(crate) key: KeyId,
    /// The value of the owner's session cookie.
    pub(crate) cookie: String,
}

impl House {
    /// Builds it in a new data folder beside the database, which becomes its data source.
    pub(crate) async fn build(data_dir: PathBuf, database: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&data_dir)?;
        let mut config = Config { data_dir: data_dir.clone(), ..Config::default() };
        config.limits.key_creations_per_minute = 0;
        config.sources.sqlite.folders = vec![database.parent().context("a folder")?.to_owned()];
        let (store, arbiter, context) = (fixture::open(&data_dir)?, Arbiter::new(), Context::system());
        let registry = fixture::registry(Arc::clone(&store), &arbiter, &config)?;
        let index = OrgIndex::new(Arc::clone(&store), context.rng.clone());
        let (org, _) =
            create_org(&registry, &index, &context, &Author::sequel(), "Northwind Traders").await?;
        let handle = registry.resolve(org).await?;
        let keys = furnish(&handle, database).await?;
        let cookie = people(&store, &context, &handle).await?;
        used(&*store, &context, org, &keys, &handle).await?;
        close(registry, arbiter, (handle, index, store)).await?;
        Ok(Self { data_dir, org, key: keys[0], cookie })
    }
}

/// The data source and the keys.
async fn furnish(org: &Org, database: &Path) -> anyhow::Result<Vec<KeyId>> {
    let path = database.to_str().context("the temporary folder's path is not UTF-8")?;
    let settings = [("path".to_owned(), path.into())].into_iter().collect();
    org.add_source(NewSource { name: "demo".into(), kind: "sqlite".into(), settings, description: None })
        .await?;
    let make = |number: usize| async move {
        let new =
            NewKey { name: format!("key-{number:04}"), expires_at: None, sources: None, made_for: None };
        anyhow::Ok(org.create_key(new).await?.id)
    };
    stream::iter((0..KEYS).map(make)).buffered(16).try_collect().await
}

/// The members, of whom the first owns the organization and is signed in.
async fn people(store: &Arc<dyn Store>, context: &Context, org: &Org) -> anyhow::Result<String> {
    let rng = &context.rng;
    let users = Users::new(Arc::clone(store), rng.clone());
    let memberships = Memberships::new(Arc::clone(store), rng.clone());
    let mut owner = None;
    for number in 0..MEMBERS {
        let email = format!("person-{number:03}@example.com");
        let user = UserId::mint(rng)?;
        let record = UserRecord {
            email: Email::parse(&email).context("an address")?,
            name: format!("Person {number}"),
            password: None,
            enabled: true,
            suspended_at: None,
            created_at: context.clock.now(),
            last_signed_in_at: Some(context.clock.now()),
            epoch: 0,
            reset: None,
        };
        let trail = Write::Put(trail_at(context.clock.now(), number as u64), b"{}"[..].into());
        users.create(user, &record, trail).await?;
        memberships.note(user, org.id()).await?;
        let role = if owner.is_none() { Role::Owner } else { Role::Member };
        org.add_member(NewMember { user, email, role }).await?;
        owner.get_or_insert(user);
    }
    let lifetimes = Lifetimes { idle: DAY, absolute: DAY };
    let sessions = Sessions::new(Arc::clone(store), users, context.clone(), lifetimes);
    let secret = sessions.begin(owner.context("a member")?, 0, &Visitor::default()).await?;
    Ok(secret.reveal().to_owned())
}

/// Each key was used on each day.
async fn used(
    store: &dyn Store,
    context: &Context,
    org: OrgId,
    keys: &[KeyId],
    handle: &Org,
) -> anyhow::Result<()> {
    let now = context.clock.now();
    let source = handle.list_sources()?.first().map(|source| source.id());
    let usage = encode(&UsageRecord { calls: 40, queries: 30, rows: 4_000, bytes: 100_000, errors: 1 });
    let days = (0..DAYS).map(|ago| day_of(now.minus(DAY * ago)));
    let of_day = |day| keys.iter().map(move |key| (day, *key));
    let mut writes: Vec<_> = days
        .flat_map(of_day)
        .map(|(day, key)| Write::Put(usage_at(day, key, source), usage.clone()))
        .collect();
    let used = encode(&UsedRecord { last_used_at: now });
    writes.extend(keys.iter().map(|key| Write::Put(used_at(*key), used.clone())));
    for chunk in writes.chunks(BATCH_OPERATIONS_MAX) {
        let mut batch = fixture::batch(Scope::org(org.as_str())?, chunk.to_vec(), &context.rng)?;
        // As the server writes usage: beside the organization's own changes.
        batch.lane = sequel_store::Lane::Log;
        store.commit(batch).await?;
    }
    Ok(())
}

/// Closes the store, so that a server can open it.
async fn close(
    registry: Registry,
    arbiter: Arbiter,
    rest: (Org, OrgIndex, Arc<dyn Store>),
) -> anyhow::Result<()> {
    registry.shut_down().await;
    drop(registry);
    arbiter.stop();
    tokio::task::spawn_blocking(move || {
        let _ = arbiter.join();
        drop(rest);
    })
    .await?;
    Ok(())
}
