//! What operators rely on when an organization ends or is renamed: access ends like by a revoke, a restore brings
//! back what was there, and whatever breaks off between two commits, anywhere, is wholly there, wholly not, or goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_rt::Arbiter;
use async_trait::async_trait;
use sequel_connector::{
    Configuration, Connector, DataSource, Declaration, OpenError, Party, Setting, SettingKind,
};
use sequel_store::{
    Batch, Changes, CommitError, CommitId, ExportStream, Fence, HintStream, Key, KeyRange, Lane, MemoryStore,
    Page, ReadError, Record, Registration, Revision, ScanLimit, Scope, Store, Write,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::create_org::create_org;
use super::delete_org::{delete_org, end_grace, restore_org};
use super::find_org::{find_org, list_deleted_orgs, list_orgs};
use super::people_tests::people_of;
use super::purge_orgs::purge_orgs;
use super::rename_org::rename_org;
use super::rotate_secrets::rotate_secrets;
use super::{OAuth, SignInLimits};
use crate::context::Context;
use crate::credential::{Credential, OrgId};
use crate::org::audit::Author;
use crate::org::keys::{MintedKey, NewKey};
use crate::org::sources::NewSource;
use crate::org::{
    AuthError, CallKey, ChangeError, OpenSources, Org, Registry, RegistryLimits, RegistryParts, Stopped,
};
use crate::system::OrgIndex;
use crate::vault::{KeySource, Vault};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

const LIMITS: RegistryLimits = RegistryLimits {
    active_max: 100,
    idle: Duration::from_secs(60),
    asks_max: 8,
    ask_timeout: Duration::from_secs(30),
    keys_max: 1_000,
    sources_max: 5,
    calls_per_org: 100,
    calls_per_key: 100,
    streams_per_org: 100,
    streams_per_key: 100,
    requests_per_minute_per_key: 0,
    requests_per_minute_per_org: 0,
    key_creations_per_minute: 0,
    failures_per_minute: 100_000,
    queries: crate::org::queries::QueryLogLimits {
        kept: crate::org::queries::Kept::Shape,
        entries_max: 1_000,
        waiting_max: 1_000,
    },
};

/// A memory store that takes a number of commits and then none, as if the process had died between two of them; or
/// none for one scope, or leaves who commits to one scope waiting.
pub(super) struct Breaking {
    pub(super) inner: MemoryStore,
    commits_left: AtomicUsize,
    refused: Mutex<Option<Scope>>,
    held: Mutex<Option<Scope>>,
    /// One permit for each commit that was left waiting.
    holds: Semaphore,
    /// Point reads so far.
    pub(super) reads: AtomicUsize,
    /// Lets one of them go on.
    released: Notify,
}

impl Breaking {
    pub(super) fn fail_after(&self, commits: usize) {
        self.commits_left.store(commits, Ordering::SeqCst);
    }

    pub(super) fn recover(&self) {
        self.fail_after(usize::MAX);
    }
}

#[async_trait]
impl Store for Breaking {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(scope, key).await
    }
    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        self.inner.scan(scope, range, limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        // Whoever comes at the same moment has read before this one writes.
        tokio::task::yield_now().await;
        let is = |scope: &Mutex<Option<Scope>>| scope.lock().unwrap().as_ref() == Some(&batch.scope);
        if is(&self.refused) {
            return Err(CommitError::Unavailable("refused by the test".into()));
        }
        if is(&self.held) {
            self.holds.add_permits(1);
            self.released.notified().await;
        }
        let take = |left: usize| left.checked_sub(usize::from(left != usize::MAX));
        match self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => self.inner.commit(batch).await,
            Err(_) => Err(CommitError::Unavailable("broken off by the test".into())),
        }
    }
    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        self.inner.changes(scope, after).await
    }
    fn watch(&self) -> HintStream {
        self.inner.watch()
    }
    fn register(&self, scope: &Scope) -> Registration {
        self.inner.register(scope)
    }
    async fn published(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.inner.published(scope, revision).await
    }
    async fn settle(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.inner.settle(scope, revision).await
    }
    fn fence(&self) -> Fence {
        self.inner.fence()
    }
    async fn export(&self) -> Result<ExportStream, ReadError> {
        self.inner.export().await
    }
}

/// A connector of sources that nobody opens.
struct Nothing;

#[async_trait]
impl Connector for Nothing {
    fn declaration(&self) -> &'static Declaration {
        const PASSWORD: Setting =
            Setting { name: "password", label: "", help: "", kind: SettingKind::Secret, required: false };
        &Declaration { word: "nothing", label: "Nothing", settings: &[PASSWORD], routing: &[] }
    }
    async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
        Ok(given.clone())
    }
    async fn open(&self, _: &Configuration, _: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
        Err(OpenError::Unavailable("nobody opens it".into()))
    }
}

pub(super) struct House {
    pub(super) store: Arc<Breaking>,
    pub(super) registry: Registry,
    pub(super) context: Context,
    arbiter: Arbiter,
}

impl House {
    fn with(limits: RegistryLimits) -> Self {
        let store = Arc::new(Breaking {
            inner: MemoryStore::new(),
            commits_left: AtomicUsize::new(usize::MAX),
            refused: Mutex::default(),
            held: Mutex::default(),
            holds: Semaphore::new(0),
            reads: AtomicUsize::new(0),
            released: Notify::new(),
        });
        Self::over(store, Context::system(), limits)
    }

    fn over(store: Arc<Breaking>, context: Context, limits: RegistryLimits) -> Self {
        let vault = Vault::fleeting(&context.rng).unwrap();
        Self::sealing(store, context, limits, vault)
    }

    fn sealing(store: Arc<Breaking>, context: Context, limits: RegistryLimits, vault: Vault) -> Self {
        let arbiter = Arbiter::new();
        let connectors = sequel_connector::Registry::new([Arc::new(Nothing) as Arc<dyn Connector>]);
        let registry = Registry::new(RegistryParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            context: context.clone(),
            open: OpenSources::new(connectors, context.clock.clone(), Arc::new(vault), 10),
            arbiters: vec![arbiter.handle()],
            limits,
            metrics: crate::metrics::Metrics::new(context.clock.clone()),
        });
        Self { store, registry, context, arbiter }
    }

    pub(super) fn new() -> Self {
        Self::with(LIMITS)
    }

    pub(super) async fn accepts(&self, credential: &Credential) -> bool {
        match self.registry.authenticate(credential, None).await {
            Ok(_) => true,
            Err(AuthError::Invalid(_)) => false,
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }
}

/// Another process over the same store, at the same time of day.
pub(super) fn again(house: &House) -> House {
    House::over(Arc::clone(&house.store), house.context.clone(), LIMITS)
}

/// Another one in which a key or an app makes so many requests a minute.
pub(super) fn limited(house: &House, requests_per_minute_per_key: u32) -> House {
    let limits = RegistryLimits { requests_per_minute_per_key, ..LIMITS };
    House::over(Arc::clone(&house.store), house.context.clone(), limits)
}

impl Drop for House {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

fn named(name: &str) -> NewKey {
    NewKey { name: name.into(), expires_at: None, sources: None, made_for: None }
}

pub(super) fn source(name: &str) -> NewSource {
    NewSource { name: name.into(), kind: "nothing".into(), settings: Default::default(), description: None }
}

fn credential(key: &MintedKey) -> Credential {
    Credential::parse(key.plain.reveal()).unwrap()
}

pub(super) fn index(house: &House) -> OrgIndex {
    OrgIndex::new(Arc::clone(&house.store) as Arc<dyn Store>, house.context.rng.clone())
}

pub(super) async fn made(house: &House, index: &OrgIndex, name: &str) -> Org {
    let (id, _) = create_org(&house.registry, index, &house.context, &Author::sequel(), name).await.unwrap();
    house.registry.resolve(id).await.unwrap()
}

/// The name of a deleted organization.
async fn org_name(house: &House, id: OrgId) -> String {
    house.registry.deleted(id).await.unwrap().expect("it is deleted").name
}

async fn records(house: &House, org: &Org) -> usize {
    let scope = Scope::org(org.id().as_str()).unwrap();
    let limit = ScanLimit { records: 10_000 };
    house.store.scan(&scope, KeyRange::all(), limit).await.unwrap().records.len()
}

#[actix::test]
async fn deleting_an_org_ends_its_access_and_its_calls() {
    let house = House::new();
    let index = index(&house);
    let (org, other) = (made(&house, &index, "Acme").await, made(&house, &index, "Other").await);
    let (key, kept) =
        (org.create_key(named("k")).await.unwrap(), other.create_key(named("k")).await.unwrap());
    org.add_source(source("sales")).await.unwrap();
    let held = org.find_source("sales").unwrap();
    let principal = house.registry.authenticate(&credential(&key), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    let deleted = delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    assert_eq!(deleted.purge_at, deleted.deleted_at.plus(WEEK));
    assert!(call.token().is_cancelled() && held.retired().is_cancelled());
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    assert!(principal.begin(CallKey("2".into())).is_err());
    assert!(!house.accepts(&credential(&key)).await);
    assert!(house.accepts(&credential(&kept)).await);
    // Missing for everybody, by name and by id; changes through an old handle as well.
    for word in ["Acme", org.id().as_str()] {
        let found = find_org(&house.registry, &index, word).await;
        assert!(matches!(found, Err(ChangeError::NotFound(_))));
    }
    assert!(matches!(org.create_key(named("late")).await, Err(ChangeError::NotFound(_))));
    assert!(matches!(org.delete(WEEK).await, Err(ChangeError::NotFound(_))));
    assert_eq!(list_orgs(&house.registry, &index).await.unwrap().len(), 1);
    assert_eq!(list_deleted_orgs(&house.registry, &index).await.unwrap()[0].1.name, "Acme");
}

#[actix::test]
async fn a_key_of_a_deleted_org_pushes_no_living_one_out_of_memory() {
    let house = House::with(RegistryLimits { active_max: 1, ..LIMITS });
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    let living = made(&house, &index, "Living").await;
    let living_key = credential(&living.create_key(named("k")).await.unwrap());
    for _ in 0..3 {
        assert!(!house.accepts(&credential(&key)).await);
        assert!(house.registry.authenticate_active(&living_key).is_some());
    }
}

#[actix::test]
async fn a_restore_brings_back_what_was_there_and_revives_no_revoked_key() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    let [lives, off, gone] = [
        org.create_key(named("a")).await,
        org.create_key(named("b")).await,
        org.create_key(named("c")).await,
    ]
    .map(Result::unwrap);
    org.add_source(source("sales")).await.unwrap();
    org.alter_key(off.id, None, Some(false)).await.unwrap();
    org.delete_key(gone.id).await.unwrap();
    delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    assert!(!house.accepts(&credential(&lives)).await);
    house.context.clock.advance(WEEK - Duration::from_secs(60));
    let (id, record) = restore_org(&house.registry, &index, &Author::sequel(), "acme").await.unwrap();
    assert_eq!((id, record.name.as_str()), (org.id(), "Acme"));
    assert!(house.accepts(&credential(&lives)).await);
    assert!(!house.accepts(&credential(&off)).await && !house.accepts(&credential(&gone)).await);
    let org = find_org(&house.registry, &index, "Acme").await.unwrap();
    assert!(!org.find_source("sales").unwrap().retired().is_cancelled());
    // It is not purged later either.
    house.context.clock.advance(WEEK * 2);
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 0);
    assert!(house.accepts(&credential(&lives)).await);
    let again = restore_org(&house.registry, &index, &Author::sequel(), "Acme").await;
    assert!(matches!(again, Err(ChangeError::NotFound("deleted organization"))));
}

#[actix::test]
async fn an_org_that_is_restored_while_the_master_key_rotates_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("master.key");
    let vault = Vault::open(KeySource::File(key), &Context::system().rng).unwrap();
    let house = House::new();
    let house = House::sealing(Arc::clone(&house.store), house.context.clone(), LIMITS, vault);
    let index = index(&house);
    let with_password = || {
        let settings = serde_json::json!({ "password": "hunter2" }).as_object().unwrap().clone();
        NewSource { settings, ..source("sales") }
    };
    for name in ["Acme", "Other"] {
        made(&house, &index, name).await.add_source(with_password()).await.unwrap();
    }
    // In the order in which a rotation comes to them.
    let [first, second] = index.all().await.unwrap()[..] else { panic!("two organizations") };
    let org = house.registry.resolve(first).await.unwrap();
    delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    *house.store.held.lock().unwrap() = Some(Scope::org(second.as_str()).unwrap());
    let rotating = rotate_secrets(&house.registry, &index, &house.context, Author::sequel());
    let restoring = async {
        house.store.holds.acquire().await.unwrap().forget();
        let name = org_name(&house, first).await;
        restore_org(&house.registry, &index, &Author::sequel(), &name).await.unwrap();
        *house.store.held.lock().unwrap() = None;
        house.store.released.notify_one();
    };
    let (rotated, ()) = futures_util::future::join(rotating, restoring).await;
    let rotated = rotated.unwrap();
    assert_eq!((rotated.resealed, rotated.left), (2, Vec::<String>::new()));
    for id in [first, second] {
        let found = house.registry.resolve(id).await.unwrap().find_source("sales").unwrap();
        // Its secrets opened; that nobody opens the source itself is another matter.
        let error = found.open().await.map(drop).unwrap_err();
        assert!(matches!(&*error, OpenError::Unavailable(_)), "{error:?}");
    }
}

#[actix::test]
async fn after_the_grace_an_org_is_purged_and_its_name_is_free() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    // More than one batch holds.
    for i in 0..200 {
        org.create_key(named(&format!("k{i}"))).await.unwrap();
    }
    delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    house.context.clock.advance(WEEK - Duration::from_secs(60));
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 0);
    // Each key with its name, the deleted organization, and an entry of the audit trail for each change.
    assert_eq!(records(&house, &org).await, 2 * 200 + 1 + 202);
    let taken = create_org(&house.registry, &index, &house.context, &Author::sequel(), "acme").await;
    let said = taken.unwrap_err().to_string();
    assert!(said.starts_with("a deleted organization") && said.contains("restore"), "{said}");
    house.context.clock.advance(Duration::from_secs(120));
    // Its time is over, though nobody has purged it yet.
    let late = restore_org(&house.registry, &index, &Author::sequel(), "Acme").await;
    assert!(matches!(late, Err(ChangeError::Invalid(_))));
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 1);
    assert_eq!(records(&house, &org).await, 0);
    assert!(index.deletions().await.unwrap().is_empty());
    let (id, _) =
        create_org(&house.registry, &index, &house.context, &Author::sequel(), "Acme").await.unwrap();
    assert_ne!(id, org.id());
}

#[actix::test]
async fn what_was_counted_last_is_not_written_behind_a_purge() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let principal = house.registry.authenticate(&key, None).await.unwrap();
    // One call is counted before the deletion, the other ends by it.
    drop(principal.begin(CallKey("1".into())).unwrap());
    let ended = principal.begin(CallKey("2".into())).unwrap();
    delete_org(&index, &house.context, &org, Duration::ZERO).await.unwrap();
    drop(ended);
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 1);
    house.registry.collect_uses().await;
    house.registry.shut_down().await;
    assert_eq!(records(&house, &org).await, 0);
}

#[actix::test]
async fn a_purge_that_broke_off_goes_on_and_cannot_be_undone() {
    // Each round, one more commit gets through before the store goes away.
    for commits in 0..12 {
        let house = House::new();
        let index = index(&house);
        let org = made(&house, &index, "Acme").await;
        for i in 0..150 {
            org.create_key(named(&format!("k{i}"))).await.unwrap();
        }
        delete_org(&index, &house.context, &org, Duration::ZERO).await.unwrap();
        house.store.fail_after(commits);
        let broken = purge_orgs(&house.registry, &index, &house.context).await;
        let fate = house.registry.deleted(org.id()).await.unwrap();
        assert!(
            restore_org(&house.registry, &index, &Author::sequel(), "Acme").await.is_err(),
            "{commits}: {fate:?}"
        );
        house.store.recover();
        // Another process, as after a crash.
        let index = OrgIndex::new(Arc::clone(&house.store) as Arc<dyn Store>, house.context.rng.clone());
        purge_orgs(&house.registry, &index, &house.context).await.unwrap();
        assert_eq!(records(&house, &org).await, 0, "after {commits} commits: {broken:?}");
        assert!(index.deletions().await.unwrap().is_empty());
        made(&house, &index, "Acme").await;
        if broken.unwrap() == 1 {
            assert!(commits >= 5, "{commits}");
            return;
        }
    }
    panic!("a purge takes more than a dozen commits");
}

#[actix::test]
async fn a_purge_that_fails_keeps_no_other_from_being_done() {
    let house = House::new();
    let index = index(&house);
    let mut orgs = Vec::new();
    for name in ["Acme", "Globex", "Initech"] {
        let org = made(&house, &index, name).await;
        delete_org(&index, &house.context, &org, Duration::ZERO).await.unwrap();
        orgs.push(org);
    }
    // The list goes by id: all the others come behind it.
    orgs.sort_by_key(|org| org.id().to_string());
    let first = Scope::org(orgs[0].id().as_str()).unwrap();
    *house.store.refused.lock().unwrap() = Some(first);
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 2);
    for org in &orgs[1..] {
        assert_eq!(records(&house, org).await, 0);
    }
    let left = index.deletions().await.unwrap();
    assert_eq!(left.iter().map(|deletion| deletion.org).collect::<Vec<_>>(), [orgs[0].id()]);
    *house.store.refused.lock().unwrap() = None;
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 1);
}

#[actix::test]
async fn an_entry_that_cannot_be_read_keeps_no_deleted_org_from_being_purged() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    delete_org(&index, &house.context, &org, Duration::ZERO).await.unwrap();
    let unreadable = Key::new("org/0").unwrap();
    let batch = Batch {
        scope: Scope::system("deleted-orgs").unwrap(),
        lane: Lane::State { at: None, narrows: false },
        id: CommitId(house.context.rng.bytes().unwrap()),
        expects: Vec::new(),
        writes: vec![Write::Put(unreadable, b"no record"[..].into())],
    };
    house.store.commit(batch).await.unwrap();
    assert_eq!(list_deleted_orgs(&house.registry, &index).await.unwrap()[0].1.name, "Acme");
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 1);
    assert_eq!(records(&house, &org).await, 0);
}

#[actix::test]
async fn a_deletion_that_broke_off_is_wholly_there_or_wholly_not() {
    for (commits, deleted) in [(0, false), (1, false), (2, true)] {
        let house = House::new();
        let index = index(&house);
        let org = made(&house, &index, "Acme").await;
        let key = credential(&org.create_key(named("k")).await.unwrap());
        house.store.fail_after(commits);
        let outcome = delete_org(&index, &house.context, &org, Duration::ZERO).await;
        assert_eq!(outcome.is_ok(), deleted, "{commits}: {outcome:?}");
        house.store.recover();
        assert_eq!(house.accepts(&key).await, !deleted);
        // The list may name an organization that lives: it is left alone, and forgotten in time.
        purge_orgs(&house.registry, &index, &house.context).await.unwrap();
        assert_eq!(house.accepts(&key).await, !deleted);
        house.context.clock.advance(Duration::from_secs(2 * 3_600));
        purge_orgs(&house.registry, &index, &house.context).await.unwrap();
        assert!(index.deletions().await.unwrap().is_empty());
        assert_eq!(house.accepts(&key).await, !deleted);
    }
}

#[actix::test]
async fn ending_the_grace_purges_a_deleted_org_at_once() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    delete_org(&index, &house.context, &org, WEEK).await.unwrap();
    end_grace(&house.registry, &index, &house.context, &Author::sequel(), "Acme").await.unwrap();
    assert_eq!(purge_orgs(&house.registry, &index, &house.context).await.unwrap(), 1);
    assert_eq!(records(&house, &org).await, 0);
}

#[actix::test]
async fn a_renamed_org_is_found_by_its_new_name_only_and_its_keys_go_on() {
    let house = House::new();
    let index = index(&house);
    let org = made(&house, &index, "Acme").await;
    made(&house, &index, "Other").await;
    let key = credential(&org.create_key(named("k")).await.unwrap());
    let taken = rename_org(&house.registry, &index, &org, "other").await;
    assert!(matches!(taken, Err(ChangeError::NameTaken { .. })));
    assert!(rename_org(&house.registry, &index, &org, " ").await.is_err());
    rename_org(&house.registry, &index, &org, "ACME").await.unwrap();
    rename_org(&house.registry, &index, &org, "Globex").await.unwrap();
    assert_eq!(find_org(&house.registry, &index, "globex").await.unwrap().id(), org.id());
    assert!(find_org(&house.registry, &index, "Acme").await.is_err());
    assert!(house.accepts(&key).await);
    made(&house, &index, "Acme").await;
}

#[actix::test]
async fn a_rename_that_broke_off_leaves_no_name_that_nobody_can_have() {
    // Reserve the new name, change the record, give the old name up: broken off before each.
    for (commits, renamed) in [(0, false), (1, false), (2, true)] {
        let house = House::new();
        let index = index(&house);
        let org = made(&house, &index, "Acme").await;
        house.store.fail_after(commits);
        assert_eq!(rename_org(&house.registry, &index, &org, "Globex").await.is_ok(), renamed, "{commits}");
        house.store.recover();
        let (has, lost) = if renamed { ("Globex", "Acme") } else { ("Acme", "Globex") };
        assert_eq!(find_org(&house.registry, &index, has).await.unwrap().id(), org.id());
        assert!(find_org(&house.registry, &index, lost).await.is_err());
        assert_eq!(list_orgs(&house.registry, &index).await.unwrap().len(), 1);
        let other = made(&house, &index, lost).await;
        assert_ne!(other.id(), org.id());
    }
}

/// Sweeps with what it is given, beside a purge that never ends: usage has to be written down, and the sweeping to end
/// when it is told to. For the test of `sweep`, which knows no store.
pub(crate) fn sweep_beside_a_purge_that_hangs<S>(sweep: impl FnOnce(OAuth, CancellationToken) -> S)
where
    S: Future<Output = ()> + 'static,
{
    const PATIENCE: Duration = Duration::from_secs(30);
    actix_rt::System::new().block_on(async {
        let house = House::new();
        let index = index(&house);
        let (doomed, living) = (made(&house, &index, "Acme").await, made(&house, &index, "Living").await);
        let key = credential(&living.create_key(named("k")).await.unwrap());
        delete_org(&index, &house.context, &doomed, Duration::ZERO).await.unwrap();
        *house.store.held.lock().unwrap() = Some(Scope::org(doomed.id().as_str()).unwrap());
        let stop = CancellationToken::new();
        let people = people_of(&house, SignInLimits { per_account: 1, per_source: 1 }, None);
        let sweeping = sweep(super::oauth_tests::oauth_over(&house, people), stop.clone());
        let sweeping = actix_rt::spawn(sweeping);
        let held = tokio::time::timeout(PATIENCE, house.store.holds.acquire()).await;
        drop(held.expect("a purge begins").unwrap());
        let before = records(&house, &living).await;
        let principal = house.registry.authenticate(&key, None).await.unwrap();
        drop(principal.begin(CallKey("1".into())).unwrap());
        let written = async {
            while records(&house, &living).await == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("usage is written down beside the purge");
        stop.cancel();
        tokio::time::timeout(PATIENCE, sweeping).await.expect("the sweeping ends").unwrap();
    });
}
