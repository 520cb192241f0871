//! What callers of the registry rely on: order of commit, publication and answer; what a dead actor, a
//! forged credential, a race, an eviction and a failing store do.

mod fence;
mod lifecycle;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use actix_rt::Arbiter;
use async_trait::async_trait;
use parking_lot::Mutex;
use sequel_store::memory::MemoryStore;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Fence, HintStream, Key, KeyRange, Page, ReadError, Record,
    Registration, Revision, ScanLimit, Scope, Standing, Store,
};
use tokio::sync::{Notify, Semaphore};

use super::actor::Panic;
use super::keys::{KeyEdit, MintedKey, NewKey};
use super::record::OrgRecord;
use super::sources::NewSource;
use super::*;
use crate::context::{Context, Timestamp};
use crate::credential::{Credential, OrgId, PlainKey};
use crate::vault::Vault;

/// What to do instead of, or before, the next commits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Full,
    Unavailable,
    /// Applied, and the answer lost.
    UnknownApplied,
    /// Not applied, and the answer lost.
    UnknownLost,
}

/// A memory store that can be held at a commit or a settle, and that fails when told.
pub(super) struct Stage {
    inner: MemoryStore,
    faults: Mutex<Vec<Fault>>,
    // Single records are still read: a credential is verified, and its organization cannot be loaded.
    scans_fail: AtomicBool,
    commits: Gate,
    settles: Gate,
    // What happens when the fence is asked next.
    when_asked: Arc<Mutex<Option<Happening>>>,
    // The fence does not hold, although reads are answered.
    lapsed: Arc<AtomicBool>,
}

type Happening = Box<dyn FnOnce() + Send>;

/// Lets everything pass until it is closed; then tells when somebody waits and lets one pass at a time.
struct Gate {
    closed: AtomicBool,
    arrived: Notify,
    passes: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { closed: false.into(), arrived: Notify::new(), passes: Semaphore::new(0) }
    }
}

impl Gate {
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    async fn somebody_waits(&self) {
        self.arrived.notified().await;
    }

    fn let_one_pass(&self) {
        self.passes.add_permits(1);
    }

    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.passes.add_permits(64);
    }

    async fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            // Told only when it really waits: a gate that opens at once must find it there.
            let mut passing = std::pin::pin!(self.passes.acquire());
            let permit = match futures_util::poll!(passing.as_mut()) {
                Poll::Ready(permit) => permit,
                Poll::Pending => {
                    self.arrived.notify_one();
                    passing.await
                }
            };
            permit.unwrap().forget();
        }
    }
}

impl Stage {
    /// What becomes of the next commit.
    pub(super) fn fail(&self, fault: Fault) {
        self.faults.lock().push(fault);
    }

    /// From now on commits go through.
    pub(super) fn no_more_faults(&self) {
        self.faults.lock().clear();
    }
}

#[async_trait]
impl Store for Stage {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        self.inner.get(scope, key).await
    }
    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        if self.scans_fail.load(Ordering::SeqCst) {
            return Err(ReadError::Unavailable("away".into()));
        }
        self.inner.scan(scope, range, limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let fault = self.faults.lock().pop();
        match fault {
            Some(Fault::Full) => return Err(CommitError::Full),
            Some(Fault::Unavailable) => return Err(CommitError::Unavailable("away".into())),
            Some(Fault::UnknownLost) => return Err(CommitError::Unknown(batch.id)),
            Some(Fault::UnknownApplied) => {
                let id = batch.id;
                self.inner.commit(batch).await?;
                return Err(CommitError::Unknown(id));
            }
            None => {}
        }
        self.commits.pass().await;
        self.inner.commit(batch).await
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
        self.settles.pass().await;
        self.inner.settle(scope, revision).await
    }
    fn fence(&self) -> Fence {
        let (fence, when_asked) = (self.inner.fence(), Arc::clone(&self.when_asked));
        let lapsed = Arc::clone(&self.lapsed);
        Fence::when(move || {
            let happens = when_asked.lock().take();
            if let Some(happens) = happens {
                happens();
            }
            if lapsed.load(Ordering::SeqCst) { Standing::Lapsed } else { fence.standing() }
        })
    }
    async fn export(&self) -> Result<ExportStream, ReadError> {
        self.inner.export().await
    }
}

pub(super) const LIMITS: RegistryLimits = RegistryLimits {
    active_max: 100,
    idle: Duration::from_secs(60),
    asks_max: 8,
    ask_timeout: Duration::from_secs(30),
    keys_max: 50,
    sources_max: 5,
    calls_per_org: 1_000,
    calls_per_key: 1_000,
    streams_per_org: 1_000,
    streams_per_key: 1_000,
    failures_per_minute: 100_000,
    requests_per_minute_per_key: 0,
    requests_per_minute_per_org: 0,
    key_creations_per_minute: 0,
    queries: crate::org::queries::QueryLogLimits {
        kept: crate::org::queries::Kept::Shape,
        entries_max: 1_000,
        waiting_max: 1_000,
    },
};

/// A registry over a stage, with its own arbiter.
pub(super) struct House {
    pub(super) stage: Arc<Stage>,
    pub(super) registry: Registry,
    pub(super) context: Context,
    arbiter: Arbiter,
}

impl House {
    pub(super) fn with(limits: RegistryLimits) -> Self {
        let stage = Arc::new(Stage {
            inner: MemoryStore::new(),
            faults: Mutex::default(),
            scans_fail: AtomicBool::new(false),
            commits: Gate::default(),
            settles: Gate::default(),
            when_asked: Arc::default(),
            lapsed: Arc::default(),
        });
        Self::over(stage, limits)
    }

    fn over(stage: Arc<Stage>, limits: RegistryLimits) -> Self {
        let context = Context::system();
        let arbiter = Arbiter::new();
        let registry = Registry::new(RegistryParts {
            store: Arc::clone(&stage) as Arc<dyn Store>,
            context: context.clone(),
            open: OpenSources::new(
                connectors::registry(),
                context.clock.clone(),
                Arc::new(Vault::fleeting(&context.rng).unwrap()),
                10,
            ),
            arbiters: vec![arbiter.handle()],
            limits,
            metrics: crate::metrics::Metrics::new(context.clock.clone()),
        });
        Self { stage, registry, context, arbiter }
    }

    pub(super) fn new() -> Self {
        Self::with(LIMITS)
    }

    pub(super) async fn org(&self, name: &str) -> Org {
        let id = OrgId::mint(&self.context.rng).unwrap();
        let record = OrgRecord { name: name.into(), created_at: self.context.clock.now() };
        self.registry.create(id, &record, None, &audit::Author::sequel()).await.unwrap();
        self.registry.resolve(id).await.unwrap()
    }

    /// Lets a change come to the closed gate of commits, and no further.
    pub(super) async fn waits_at_the_gate<T>(&self, mut change: impl Future<Output = T> + Unpin) {
        tokio::select! {
            _ = &mut change => panic!("passed a closed gate"),
            () = self.stage.commits.somebody_waits() => {}
        }
    }

    async fn accepts(&self, credential: &Credential) -> bool {
        match self.registry.authenticate(credential, None).await {
            Ok(_) => true,
            Err(AuthError::Invalid(_)) => false,
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

pub(super) fn named(name: &str) -> NewKey {
    NewKey { name: name.into(), expires_at: None, sources: None, made_for: None }
}

pub(super) fn credential(key: &MintedKey) -> Credential {
    Credential::parse(key.plain.reveal()).unwrap()
}

/// A connector whose sources open at once and answer nothing.
mod connectors {
    use sequel_connector::{
        Configuration, Connector, DataSource, Declaration, Dialect, OpenError, Party, Plan, Query,
        QueryError, Registry, Rows, Schema, SchemaAsk,
    };

    use super::*;

    struct Nothing;

    #[async_trait]
    impl Connector for Nothing {
        fn declaration(&self) -> &'static Declaration {
            &Declaration { word: "nothing", label: "Nothing", settings: &[], routing: &[] }
        }
        async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
            Ok(given.clone())
        }
        async fn open(&self, _: &Configuration, _: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
            Ok(Arc::new(Nothing))
        }
    }

    #[async_trait]
    impl DataSource for Nothing {
        async fn query(&self, _: Query) -> Result<Rows, QueryError> {
            Err(QueryError::Cancelled)
        }
        async fn schema(&self, _: SchemaAsk) -> Result<Schema, QueryError> {
            Ok(Schema::default())
        }
        async fn explain(&self, _: Query) -> Result<Plan, QueryError> {
            Ok(Plan::default())
        }
        fn dialect(&self) -> Dialect {
            Dialect::Sqlite
        }
        async fn ping(&self) -> Result<(), QueryError> {
            Ok(())
        }
    }

    pub(super) fn registry() -> Registry {
        Registry::new([Arc::new(Nothing) as Arc<dyn Connector>])
    }
}

pub(super) fn source(name: &str) -> NewSource {
    NewSource { name: name.into(), kind: "nothing".into(), settings: Default::default(), description: None }
}

fn boxed<'a, T>(future: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}

#[actix::test]
async fn a_key_is_accepted_from_its_creation_to_its_deletion() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("laptop")).await.unwrap();
    assert!(house.accepts(&credential(&key)).await);
    org.delete_key(key.id).await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
    assert!(matches!(org.delete_key(key.id).await, Err(ChangeError::NotFound(_))));
}

#[actix::test]
async fn a_revoke_is_durable_then_published_then_answered() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("laptop")).await.unwrap();
    house.stage.commits.close();
    house.stage.settles.close();
    let mut deletion = boxed(org.delete_key(key.id));
    tokio::select! {
        _ = &mut deletion => panic!("answered before it was durable"),
        () = house.stage.commits.somebody_waits() => {}
    }
    assert!(house.accepts(&credential(&key)).await, "published before it was durable");
    house.stage.commits.let_one_pass();
    tokio::select! {
        _ = &mut deletion => panic!("answered before every node has settled"),
        () = house.stage.settles.somebody_waits() => {}
    }
    assert!(!house.accepts(&credential(&key)).await, "not published although about to be answered");
    house.stage.settles.open();
    house.stage.commits.open();
    deletion.await.unwrap();
}

#[actix::test]
async fn disabling_and_enabling_take_effect_at_once() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("laptop")).await.unwrap();
    org.alter_key(key.id, None, Some(false)).await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
    org.alter_key(key.id, None, Some(true)).await.unwrap();
    assert!(house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_rotated_key_accepts_both_secrets_until_the_overlap_ends() {
    let house = House::new();
    let org = house.org("Acme").await;
    let old = org.create_key(named("laptop")).await.unwrap();
    let new = org.rotate_key(old.id, Duration::from_secs(60)).await.unwrap();
    assert_eq!(old.id, new.id, "the visible prefix stays");
    assert!(house.accepts(&credential(&old)).await && house.accepts(&credential(&new)).await);
    house.context.clock.advance(Duration::from_secs(60));
    assert!(!house.accepts(&credential(&old)).await);
    let newest = org.rotate_key(old.id, Duration::ZERO).await.unwrap();
    assert!(!house.accepts(&credential(&new)).await);
    assert!(house.accepts(&credential(&newest)).await);
}

#[actix::test]
async fn an_expired_key_is_refused_and_gives_its_name_up() {
    let house = House::new();
    let org = house.org("Acme").await;
    let end = house.context.clock.now().plus(Duration::from_secs(10));
    let key = org.create_key(NewKey { expires_at: Some(end), ..named("ci") }).await.unwrap();
    assert!(house.accepts(&credential(&key)).await);
    assert!(matches!(org.create_key(named("CI")).await, Err(ChangeError::NameTaken { .. })));
    house.context.clock.advance(Duration::from_secs(10));
    assert!(!house.accepts(&credential(&key)).await);
    let successor = org.create_key(named("ci")).await.unwrap();
    assert_eq!(org.find_key("ci").await.unwrap(), successor.id);
    // Deleting the expired one must not take the name from its successor.
    org.delete_key(key.id).await.unwrap();
    assert_eq!(org.find_key("ci").await.unwrap(), successor.id);
    let past = Timestamp(0);
    assert!(matches!(
        org.create_key(NewKey { expires_at: Some(past), ..named("old") }).await,
        Err(ChangeError::Invalid(_))
    ));
}

#[actix::test]
async fn a_key_is_found_by_id_prefix_and_name_and_a_renamed_one_by_its_new_name_only() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("laptop")).await.unwrap();
    for word in [key.id.to_string(), crate::credential::prefix(&key.id), "Laptop".into()] {
        assert_eq!(org.find_key(&word).await.unwrap(), key.id, "{word}");
    }
    org.alter_key(key.id, Some("desktop".into()), None).await.unwrap();
    assert_eq!(org.find_key("desktop").await.unwrap(), key.id);
    assert!(matches!(org.find_key("laptop").await, Err(ChangeError::NotFound(_))));
    org.create_key(named("laptop")).await.unwrap();
    assert!(matches!(
        org.alter_key(key.id, Some("LAPTOP".into()), None).await,
        Err(ChangeError::NameTaken { .. })
    ));
    org.alter_key(key.id, Some("Desktop".into()), None).await.unwrap();
}

#[actix::test]
async fn the_number_of_keys_is_bounded_at_the_limit() {
    let house = House::with(RegistryLimits { keys_max: 2, ..LIMITS });
    let org = house.org("Acme").await;
    org.create_key(named("1")).await.unwrap();
    let second = org.create_key(named("2")).await.unwrap();
    assert!(matches!(org.create_key(named("3")).await, Err(ChangeError::Limit(_))));
    org.delete_key(second.id).await.unwrap();
    org.create_key(named("3")).await.unwrap();
}

#[actix::test]
async fn a_panicking_actor_closes_its_view_and_the_next_request_finds_a_fresh_one() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("laptop")).await.unwrap();
    assert!(matches!(org.ask(|| Panic).await, Err(ChangeError::Unknown)));
    assert!(org.view().is_none(), "a dead actor's view is still open");
    assert!(house.accepts(&credential(&key)).await);
    // Also through a handle from before.
    org.delete_key(key.id).await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_forged_credential_neither_loads_nor_evicts_an_org() {
    let house = House::with(RegistryLimits { active_max: 1, ..LIMITS });
    let sleeping = house.org("Sleeping").await;
    let key = sleeping.create_key(named("k")).await.unwrap();
    let awake = house.org("Awake").await;
    assert_eq!(house.registry.active(), 1);
    let rng = &house.context.rng;
    let forgeries = [
        PlainKey::mint(key.id, sleeping.id(), rng),
        PlainKey::mint(crate::credential::KeyId::mint(rng).unwrap(), sleeping.id(), rng),
        PlainKey::mint(key.id, awake.id(), rng),
        PlainKey::mint(key.id, OrgId::mint(rng).unwrap(), rng),
    ];
    for forged in forgeries {
        let forged = Credential::parse(forged.unwrap().reveal()).unwrap();
        assert!(!house.accepts(&forged).await);
        assert!(awake.view().is_some() && house.registry.active() == 1);
    }
    // The genuine one does load its organization, and pushes the other out.
    assert!(house.accepts(&credential(&key)).await);
    assert!(awake.view().is_none() && house.registry.active() == 1);
}

#[actix::test]
async fn a_credential_of_one_org_is_unknown_in_another() {
    let house = House::new();
    let (a, b) = (house.org("A").await, house.org("B").await);
    let key = a.create_key(named("k")).await.unwrap();
    assert!(matches!(b.find_key(&key.id.to_string()).await, Err(ChangeError::NotFound(_))));
    assert!(matches!(b.delete_key(key.id).await, Err(ChangeError::NotFound(_))));
    assert!(house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_call_that_races_a_revoke_is_cancelled_or_refused() {
    let house = House::new();
    let org = house.org("Acme").await;
    for round in 0..200 {
        let key = org.create_key(named(&format!("k{round}"))).await.unwrap();
        let credential = credential(&key);
        let principal = Arc::new(house.registry.authenticate(&credential, None).await.unwrap());
        let started = Arc::new(std::sync::Barrier::new(2));
        let caller = {
            let (principal, started) = (Arc::clone(&principal), Arc::clone(&started));
            std::thread::spawn(move || {
                started.wait();
                (0..50)
                    .map_while(|n| principal.begin(CallKey(format!("{n}").into())).ok())
                    .collect::<Vec<_>>()
            })
        };
        started.wait();
        org.delete_key(key.id).await.unwrap();
        let begun = caller.join().unwrap();
        assert!(begun.iter().all(|call| call.token().is_cancelled()), "a call outlived its revoke");
        assert!(principal.begin(CallKey("late".into())).is_err());
    }
}

#[actix::test]
async fn a_revoke_ends_the_calls_of_its_key_and_no_others() {
    let house = House::new();
    let org = house.org("Acme").await;
    let (one, two) = (org.create_key(named("1")).await.unwrap(), org.create_key(named("2")).await.unwrap());
    let begin = async |key: &MintedKey| {
        house.registry.authenticate(&credential(key), None).await.unwrap().begin(CallKey("1".into())).unwrap()
    };
    let (first, second) = (begin(&one).await, begin(&two).await);
    org.rotate_key(one.id, Duration::from_secs(60)).await.unwrap();
    assert!(!first.token().is_cancelled(), "the old secret is still valid");
    org.alter_key(one.id, None, Some(false)).await.unwrap();
    assert!(first.token().is_cancelled() && first.stopped() == Some(Stopped::Revoked));
    assert!(!second.token().is_cancelled());
}

#[actix::test]
async fn a_full_store_changes_nothing_and_says_so() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    house.stage.faults.lock().push(Fault::Full);
    assert!(matches!(org.delete_key(key.id).await, Err(ChangeError::StoreFull)));
    house.stage.faults.lock().push(Fault::Unavailable);
    assert!(matches!(org.delete_key(key.id).await, Err(ChangeError::StoreUnavailable(_))));
    assert!(house.accepts(&credential(&key)).await);
    org.delete_key(key.id).await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_commit_of_unknown_outcome_is_found_out_and_never_guessed() {
    let house = House::new();
    let org = house.org("Acme").await;
    for fault in [Fault::UnknownApplied, Fault::UnknownLost] {
        let key = org.create_key(named("k")).await.unwrap();
        house.stage.faults.lock().push(fault);
        org.delete_key(key.id).await.unwrap();
        assert!(!house.accepts(&credential(&key)).await);
    }
    // Where it stays unknown, it is said, and what is served afterwards is what the store holds.
    let key = org.create_key(named("k")).await.unwrap();
    house.stage.faults.lock().extend([Fault::UnknownApplied; 8]);
    assert!(matches!(org.delete_key(key.id).await, Err(ChangeError::Unknown)));
    house.stage.faults.lock().clear();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_revoke_that_was_found_out_late_holds_although_the_org_was_loaded_meanwhile() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    house.stage.faults.lock().push(Fault::UnknownLost);
    house.stage.commits.close();
    let mut deletion = boxed(org.delete_key(key.id));
    house.waits_at_the_gate(&mut deletion).await;
    // The view is closed while the outcome is found out: this loads the org as it was before.
    assert!(house.accepts(&credential(&key)).await);
    house.stage.commits.open();
    deletion.await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn a_source_that_outlived_its_actor_is_still_retired_when_it_is_removed() {
    let house = House::new();
    let org = house.org("Acme").await;
    let (id, _) = org.add_source(source("sales")).await.unwrap();
    let held = org.find_source("sales").unwrap();
    assert!(matches!(org.ask(|| Panic).await, Err(ChangeError::Unknown)));
    org.remove_source(id).await.unwrap();
    assert!(held.retired().is_cancelled());
}

#[actix::test]
async fn a_name_cannot_stand_in_for_another_keys_id_or_prefix() {
    let house = House::new();
    let org = house.org("Acme").await;
    let victim = org.create_key(named("victim")).await.unwrap();
    let prefix = crate::credential::prefix(&victim.id);
    for name in [victim.id.as_str(), &prefix] {
        org.create_key(named(name)).await.unwrap();
        assert_eq!(org.find_key(name).await.unwrap(), victim.id);
    }
}

#[actix::test]
async fn a_draining_server_begins_nothing_and_lets_what_runs_go_on() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let principal = house.registry.authenticate(&credential(&key), None).await.unwrap();
    let running = principal.begin(CallKey("1".into())).unwrap();
    house.registry.begin_draining();
    assert_eq!(principal.begin(CallKey("2".into())).err(), Some(BeginError::Draining));
    assert!(!running.token().is_cancelled());
}

#[actix::test]
async fn a_known_key_gets_through_behind_a_blocked_address() {
    let house = House::with(RegistryLimits { failures_per_minute: 1, ..LIMITS });
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let rng = &house.context.rng;
    let forged = PlainKey::mint(key.id, OrgId::mint(rng).unwrap(), rng).unwrap();
    let forged = Credential::parse(forged.reveal()).unwrap();
    let from = Some([192, 0, 2, 1].into());
    let mut throttled = false;
    for _ in 0..5 {
        let refused = house.registry.authenticate(&forged, from).await;
        throttled |= matches!(refused, Err(AuthError::Throttled(_)));
    }
    assert!(throttled);
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 1);
    assert!(house.registry.authenticate(&credential(&key), from).await.is_ok(), "its org was not active");
    assert!(house.registry.authenticate(&credential(&key), from).await.is_ok(), "its org is active");
}

#[actix::test]
async fn a_foreign_writer_makes_the_org_load_again() {
    let house = House::new();
    let org = house.org("Acme").await;
    let other = House::over(Arc::clone(&house.stage), LIMITS);
    let key = other.registry.resolve(org.id()).await.unwrap().create_key(named("theirs")).await.unwrap();
    assert!(matches!(org.create_key(named("ours")).await, Err(ChangeError::Conflict)));
    assert!(house.accepts(&credential(&key)).await, "the fresh view shows what the other wrote");
    org.create_key(named("ours")).await.unwrap();
}

#[actix::test]
async fn changes_that_wait_are_bounded_and_the_next_is_told_to_come_back() {
    let house = House::with(RegistryLimits { asks_max: 2, ..LIMITS });
    let org = house.org("Acme").await;
    house.stage.commits.close();
    let mut first = boxed(org.create_key(named("1")));
    house.waits_at_the_gate(&mut first).await;
    let mut second = boxed(org.create_key(named("2")));
    tokio::select! {
        biased;
        _ = &mut second => panic!("overtook the first"),
        () = tokio::task::yield_now() => {}
    }
    assert!(matches!(org.create_key(named("3")).await, Err(ChangeError::Busy)));
    house.stage.commits.open();
    first.await.unwrap();
    second.await.unwrap();
    org.create_key(named("3")).await.unwrap();
}

#[actix::test]
async fn a_change_without_answer_in_time_says_that_it_may_still_happen() {
    let house = House::with(RegistryLimits { ask_timeout: Duration::from_millis(20), ..LIMITS });
    let org = house.org("Acme").await;
    house.stage.commits.close();
    let error = org.create_key(named("slow")).await.unwrap_err();
    assert!(matches!(error, ChangeError::TimedOut) && error.to_string().contains("may still happen"));
    house.stage.commits.open();
}

#[actix::test]
async fn an_idle_org_is_evicted_unless_a_call_runs_and_comes_back_when_asked() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    let call = {
        let principal = house.registry.authenticate(&credential(&key), None).await.unwrap();
        principal.begin(CallKey("1".into())).unwrap()
    };
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 0, "a running call pins its org");
    assert!(org.view().is_some());
    drop(call);
    assert_eq!(house.registry.evict_idle(), 1);
    assert!(org.view().is_none() && house.registry.active() == 0);
    assert!(house.accepts(&credential(&key)).await);
    org.delete_key(key.id).await.unwrap();
    assert!(!house.accepts(&credential(&key)).await);
}

#[actix::test]
async fn active_orgs_are_bounded_and_the_unused_make_room() {
    let house = House::with(RegistryLimits { active_max: 3, ..LIMITS });
    let mut keys = Vec::new();
    for n in 0..10 {
        keys.push(house.org(&format!("o{n}")).await.create_key(named("k")).await.unwrap());
        assert!(house.registry.active() <= 3);
    }
    let mut calls = Vec::new();
    for key in &keys[..3] {
        let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
        calls.push(principal.begin(CallKey("1".into())).unwrap());
    }
    // All three places are pinned: a fourth finds no room, and finds it when a call ends.
    let refused = house.registry.authenticate(&credential(&keys[3]), None).await;
    assert!(matches!(refused, Err(AuthError::Unavailable(ResolveError::Full))));
    calls.pop();
    assert!(house.accepts(&credential(&keys[3])).await);
}

#[actix::test]
async fn last_uses_are_written_down_and_survive_a_reload() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    assert_eq!(org.list_keys().await.unwrap()[0].last_used_at, None);
    let before = house.context.clock.now();
    assert!(house.accepts(&credential(&key)).await);
    house.registry.collect_uses().await;
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 1);
    let last = org.list_keys().await.unwrap()[0].last_used_at.unwrap();
    // Written down to the second.
    assert!(last.plus(Duration::from_secs(1)) > before && last < before.plus(Duration::from_secs(30)));
}

#[actix::test]
async fn a_key_reaches_only_the_sources_it_names() {
    let house = House::new();
    let org = house.org("Acme").await;
    org.add_source(source("sales")).await.unwrap();
    org.add_source(source("people")).await.unwrap();
    assert!(matches!(org.add_source(source("Sales")).await, Err(ChangeError::NameTaken { .. })));
    let all = org.create_key(named("all")).await.unwrap();
    let some = NewKey { sources: Some(vec!["sales".into()]), ..named("some") };
    let some = org.create_key(some).await.unwrap();
    let names = async |key: &MintedKey| {
        let principal = house.registry.authenticate(&credential(key), None).await.unwrap();
        let call = principal.begin(CallKey("1".into())).unwrap();
        call.sources().map(|source| source.record().name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&all).await, ["people", "sales"]);
    assert_eq!(names(&some).await, ["sales"]);
    let unknown = NewKey { sources: Some(vec!["payroll".into()]), ..named("x") };
    assert!(matches!(org.create_key(unknown).await, Err(ChangeError::Invalid(_))));
    let none = NewKey { sources: Some(vec![]), ..named("x") };
    assert!(matches!(org.create_key(none).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn a_key_that_reaches_less_than_before_loses_what_runs_and_one_that_reaches_more_does_not() {
    let house = House::new();
    let org = house.org("Acme").await;
    org.add_source(source("sales")).await.unwrap();
    org.add_source(source("people")).await.unwrap();
    let key = org.create_key(named("k")).await.unwrap();
    let begin = async |number: &str| {
        let principal = house.registry.authenticate(&credential(&key), None).await.unwrap();
        principal.begin(CallKey(number.into())).unwrap()
    };
    let only = |names: &[&str]| Some(Some(names.iter().map(|name| (*name).to_owned()).collect()));
    let soon = Some(Some(house.context.clock.now().plus(Duration::from_secs(60))));
    // Each beside the one before: whether it ends what runs.
    let edits = [
        (KeyEdit { name: Some("other".into()), ..KeyEdit::default() }, false),
        (KeyEdit { sources: only(&["sales", "people"]), ..KeyEdit::default() }, true),
        (KeyEdit { sources: only(&["people"]), ..KeyEdit::default() }, true),
        (KeyEdit { sources: only(&["people", "sales"]), ..KeyEdit::default() }, false),
        (KeyEdit { sources: Some(None), ..KeyEdit::default() }, false),
        (KeyEdit { expires_at: soon, ..KeyEdit::default() }, true),
        (KeyEdit { expires_at: Some(None), ..KeyEdit::default() }, false),
    ];
    for (number, (edit, ends)) in edits.into_iter().enumerate() {
        let running = begin(&number.to_string()).await;
        org.edit_key(key.id, edit.clone()).await.unwrap();
        assert_eq!(running.token().is_cancelled(), ends, "{edit:?}");
    }
    let past = KeyEdit { expires_at: Some(Some(Timestamp(0))), ..KeyEdit::default() };
    assert!(matches!(org.edit_key(key.id, past).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn removing_a_source_retires_it_for_the_calls_that_hold_it() {
    let house = House::new();
    let org = house.org("Acme").await;
    let (id, _) = org.add_source(source("sales")).await.unwrap();
    let held = org.find_source("sales").unwrap();
    org.remove_source(id).await.unwrap();
    assert!(held.retired().is_cancelled());
    assert!(matches!(org.find_source("sales"), Err(ChangeError::NotFound(_))));
    org.add_source(source("sales")).await.unwrap();
}

#[actix::test]
async fn a_shut_down_registry_refuses_new_work() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    house.registry.shut_down().await;
    let refused = house.registry.authenticate(&credential(&key), None).await;
    assert!(matches!(refused, Err(AuthError::Unavailable(ResolveError::ShuttingDown))));
}

#[actix::test]
async fn many_who_come_at_once_load_an_org_once() {
    let house = House::new();
    let org = house.org("Acme").await;
    let key = org.create_key(named("k")).await.unwrap();
    house.context.clock.advance(LIMITS.idle);
    assert_eq!(house.registry.evict_idle(), 1);
    let accepted = AtomicUsize::new(0);
    let all = (0..50).map(|_| async {
        if house.accepts(&credential(&key)).await {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    });
    futures_util::future::join_all(all).await;
    assert_eq!((accepted.into_inner(), house.registry.active()), (50, 1));
}

#[path = "listen_tests.rs"]
mod listening;

#[path = "revocation_tests.rs"]
mod revocation;
