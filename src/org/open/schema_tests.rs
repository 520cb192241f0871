//! When a schema is read, by whom, and how long it is kept.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use sequel_connector::{
    ColumnSchema, Configuration, Connector, DataSource, Declaration, Dialect, OpenError, Party, Plan, Query,
    Registry, Rows, Schema, Settings, Table, TableKind,
};
use tokio::sync::Semaphore;

use super::*;
use crate::context::{Clock, Rng, Timestamp};
use crate::credential::SourceId;
use crate::org::open::OpenSources;
use crate::org::record::SourceRecord;
use crate::org::secrets::Belonging;
use crate::vault::Vault;

const TIME: Duration = Duration::from_secs(60);

/// A database whose schema says how often it was read, once it may.
#[derive(Clone)]
struct Counted {
    readings: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Connector for Counted {
    fn declaration(&self) -> &'static Declaration {
        &Declaration { word: "counted", label: "Counted", settings: &[], routing: &[] }
    }
    async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
        Ok(given.clone())
    }
    async fn open(&self, _: &Configuration, _: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl DataSource for Counted {
    async fn query(&self, _: Query) -> Result<Rows, QueryError> {
        Err(QueryError::Cancelled)
    }
    async fn schema(&self, ask: SchemaAsk) -> Result<Schema, QueryError> {
        assert_eq!(ask.time, TIME);
        let number = self.readings.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        if self.broken.load(Ordering::SeqCst) {
            return Err(QueryError::Limit("broken".into()));
        }
        let column =
            ColumnSchema { name: "a".into(), type_name: String::new(), nullable: true, comment: None };
        let table = Table {
            schema: None,
            name: format!("reading_{number}"),
            kind: TableKind::Table,
            comment: None,
            columns: vec![column; 100],
            primary_key: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            rows_approximate: None,
        };
        Ok(Schema { tables: vec![table], truncated: false })
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

struct Stage {
    database: Counted,
    clock: Clock,
    open: Arc<OpenSources>,
    source: Arc<Source>,
}

/// With so many readings allowed at once.
fn stage(allowed: usize) -> Stage {
    let database =
        Counted { readings: Arc::default(), gate: Arc::new(Semaphore::new(allowed)), broken: Arc::default() };
    let clock = Clock::starting_at(Timestamp(1_000_000));
    let registry = Registry::new([Arc::new(database.clone()) as Arc<dyn Connector>]);
    let open =
        OpenSources::new(registry, clock.clone(), Arc::new(Vault::fleeting(&Rng::system()).unwrap()), 10);
    let source = source("acme", &open);
    Stage { database, clock, open, source }
}

/// A source of an organization.
fn source(org: &str, open: &Arc<OpenSources>) -> Arc<Source> {
    let record = SourceRecord {
        name: "a".into(),
        kind: "counted".into(),
        settings: Settings::new(),
        secrets: None,
        description: None,
        created_at: Timestamp(0),
    };
    let org = Belonging::new(format!("{org:0<12}").parse().unwrap());
    Source::new(SourceId::mint(&Rng::system()).unwrap(), record, org, Arc::clone(open))
}

impl Stage {
    async fn name(&self, fresh: bool) -> String {
        name(&self.source.catalog(fresh, TIME).await.unwrap().catalog)
    }

    fn readings(&self) -> usize {
        self.database.readings.load(Ordering::SeqCst)
    }

    /// Lets everybody who can go on do so.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn name(catalog: &Catalog) -> String {
    catalog.tables()[0].name.clone()
}

#[tokio::test]
async fn all_who_come_while_somebody_reads_share_that_reading() {
    let stage = Arc::new(stage(0));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { stage.name(false).await })
        })
        .collect();
    stage.settle().await;
    stage.database.gate.add_permits(1);
    for call in calls {
        assert_eq!(call.await.unwrap(), "reading_1");
    }
    assert_eq!(stage.name(false).await, "reading_1");
    assert_eq!(stage.readings(), 1);
}

#[tokio::test]
async fn a_reading_ends_with_the_call_that_reads_and_the_next_one_takes_over() {
    let stage = Arc::new(stage(0));
    let call = |stage: &Arc<Stage>| {
        let stage = Arc::clone(stage);
        tokio::spawn(async move { stage.name(false).await })
    };
    let first = call(&stage);
    stage.settle().await;
    let second = call(&stage);
    stage.settle().await;
    assert_eq!(stage.readings(), 1);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    stage.database.gate.add_permits(1);
    assert_eq!(second.await.unwrap(), "reading_2");
}

#[tokio::test]
async fn a_fresh_catalog_is_one_that_was_read_after_it_was_asked_for() {
    let stage = Arc::new(stage(0));
    let call = |fresh: bool| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.name(fresh).await })
    };
    let plain = call(false);
    stage.settle().await;
    // They come while the first reads, so they share the reading after that.
    let fresh = [call(true), call(true), call(true)];
    stage.settle().await;
    stage.database.gate.add_permits(2);
    assert_eq!(plain.await.unwrap(), "reading_1");
    for call in fresh {
        assert_eq!(call.await.unwrap(), "reading_2");
    }
    assert_eq!(stage.readings(), 2);
}

#[tokio::test]
async fn a_catalog_is_taken_for_true_for_ten_minutes() {
    let stage = stage(10);
    assert_eq!(stage.name(false).await, "reading_1");
    stage.clock.advance(TRUE_FOR - Duration::from_secs(10));
    assert_eq!(stage.name(false).await, "reading_1");
    stage.clock.advance(Duration::from_secs(11));
    assert_eq!(stage.name(false).await, "reading_2");
}

#[tokio::test]
async fn a_name_that_is_missing_causes_a_reading_now_and_then_only() {
    let stage = stage(10);
    let known = stage.source.catalog(false, TIME).await.unwrap().catalog;
    let newer = stage.source.catalog_after_miss(&known, TIME).await.unwrap().expect("the first time");
    assert_eq!(name(&newer), "reading_2");
    // Somebody who knows an older one gets the newer one without a reading.
    let same = stage.source.catalog_after_miss(&known, TIME).await.unwrap().expect("a newer one");
    assert!(Arc::ptr_eq(&same, &newer));
    assert!(stage.source.catalog_after_miss(&newer, TIME).await.unwrap().is_none());
    stage.clock.advance(MISS_EVERY - Duration::from_secs(5));
    assert!(stage.source.catalog_after_miss(&newer, TIME).await.unwrap().is_none());
    stage.clock.advance(Duration::from_secs(6));
    assert!(stage.source.catalog_after_miss(&newer, TIME).await.unwrap().is_some());
    assert_eq!(stage.readings(), 3);
}

#[tokio::test]
async fn a_failure_is_shared_for_a_second_and_the_known_catalog_comes_back_after_it() {
    let stage = stage(10);
    assert_eq!(stage.name(false).await, "reading_1");
    stage.database.broken.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = stage.source.catalog(true, TIME).await.unwrap_err();
        assert!(matches!(&error, CatalogError::Read(_)), "{error:?}");
        stage.clock.advance(Duration::from_millis(100));
        assert!(stage.source.catalog(false, TIME).await.is_err());
    }
    stage.clock.advance(FAILURE_REMEMBERED);
    let readings = stage.readings();
    assert_eq!(stage.name(false).await, "reading_1");
    assert_eq!(stage.readings(), readings);
    stage.database.broken.store(false, Ordering::SeqCst);
    stage.clock.advance(MISS_EVERY);
    assert_eq!(stage.name(true).await, format!("reading_{}", readings + 1));
}

#[tokio::test]
async fn catalogs_beyond_the_room_for_them_are_let_go() {
    let stage = stage(10);
    let others: Vec<_> = (0..3).map(|_| source("acme", &stage.open)).collect();
    let shelf = Shelf::default();
    let catalog = stage.source.catalog(false, TIME).await.unwrap().catalog;
    let bytes = catalog.bytes();
    let keep = |source: &Arc<Source>, max: usize| {
        shelf.put(source, &catalog, Duration::ZERO, max);
        source.catalog.kept.lock().catalog.is_some()
    };
    let is_kept = |source: &Arc<Source>| source.catalog.kept.lock().catalog.is_some();
    // Room for two.
    let max = 2 * bytes;
    assert!(keep(&others[0], max) && keep(&others[1], max));
    assert!(is_kept(&others[0]) && is_kept(&others[1]));
    assert!(keep(&others[2], max));
    assert!(!is_kept(&others[0]) && is_kept(&others[1]) && is_kept(&others[2]));
    // Read again, it is among the newest.
    assert!(keep(&others[1], max));
    assert!(is_kept(&others[2]));
    assert!(keep(&others[0], max));
    assert!(is_kept(&others[1]) && !is_kept(&others[2]));
    // One that has no room by itself is not kept, and drives no other away.
    assert!(!keep(&stage.source, bytes - 1));
    assert!(is_kept(&others[0]));
    assert_eq!(shelf.bytes.load(Ordering::Relaxed), 2 * bytes);
    drop(others);
    assert_eq!(shelf.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_asks_for_fresh_ones_again_and_again_gets_the_one_that_is_kept() {
    let stage = stage(10);
    assert_eq!(stage.name(true).await, "reading_1");
    for _ in 0..5 {
        assert_eq!(stage.name(true).await, "reading_1");
    }
    stage.clock.advance(Duration::from_secs(3));
    let declined = stage.source.catalog(true, TIME).await.unwrap();
    assert_eq!(name(&declined.catalog), "reading_1");
    let left = declined.fresh_in.expect("it was asked for too soon");
    assert!(left <= MISS_EVERY - Duration::from_secs(3) && left > Duration::from_secs(1), "{left:?}");
    // Nobody is told who did not ask for it.
    assert_eq!(stage.source.catalog(false, TIME).await.unwrap().fresh_in, None);
    stage.clock.advance(MISS_EVERY);
    let fresh = stage.source.catalog(true, TIME).await.unwrap();
    assert_eq!((name(&fresh.catalog).as_str(), fresh.fresh_in), ("reading_2", None));
    // A reading that took long is repeated as seldom as that.
    stage.source.catalog.kept.lock().took = MISS_EVERY;
    stage.clock.advance(MISS_EVERY * 2);
    assert_eq!(stage.name(true).await, "reading_2");
    stage.clock.advance(MISS_EVERY * MISS_SHARE);
    assert_eq!(stage.name(true).await, "reading_3");
    assert_eq!(stage.readings(), 3);
    // One that is read because the known one is too old is fresh, whoever asked for it.
    stage.source.catalog.kept.lock().took = TRUE_FOR;
    stage.clock.advance(TRUE_FOR);
    let read = stage.source.catalog(true, TIME).await.unwrap();
    assert_eq!((name(&read.catalog).as_str(), read.fresh_in), ("reading_4", None));
}

#[tokio::test]
async fn readings_under_way_are_bounded_over_all_sources() {
    let stage = stage(0);
    let sources: Vec<_> = (0..8).map(|n| source(&n.to_string(), &stage.open)).collect();
    let calls: Vec<_> = sources
        .iter()
        .map(|source| {
            let source = Arc::clone(source);
            tokio::spawn(async move { source.catalog(true, TIME).await.map(|_| ()) })
        })
        .collect();
    stage.settle().await;
    assert_eq!(stage.readings(), READINGS_MAX);
    // One that is given up makes room for another.
    calls[0].abort();
    stage.settle().await;
    assert_eq!(stage.readings(), READINGS_MAX + 1);
    stage.database.gate.add_permits(8);
    for call in calls.into_iter().skip(1) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(stage.open.shelf.readings.free(), READINGS_MAX);
}

#[tokio::test]
async fn an_organization_that_reads_many_schemas_leaves_room_for_another() {
    let stage = stage(0);
    let read = |org: &str| {
        let source = source(org, &stage.open);
        tokio::spawn(async move { source.catalog(false, TIME).await.map(|_| ()) })
    };
    let many: Vec<_> = (0..8).map(|_| read("acme")).collect();
    stage.settle().await;
    assert_eq!(stage.readings(), READINGS_MAX - 1);
    let other = read("globex");
    stage.settle().await;
    assert_eq!(stage.readings(), READINGS_MAX);
    stage.database.gate.add_permits(9);
    for call in many.into_iter().chain([other]) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn work_on_catalogs_leaves_a_processor_to_others_and_nobody_has_to_wait_for_it() {
    let stage = stage(10);
    let catalog = stage.source.catalog(false, TIME).await.unwrap().catalog;
    let works = stage.open.shelf.works.clone();
    let all = works.free();
    assert!(all >= 1);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let work = stage.source.beside(&catalog, move |_| wait.recv().is_ok());
    // The time limit ends the waiting, and not the work, which counts until its end.
    assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
    assert_eq!(works.free(), all - 1);
    release.send(()).unwrap();
    let mut places = Vec::new();
    for other in 0..all {
        places.push(works.take(&Party::new(&other.to_string())).await);
    }
    // While all are at work, who comes waits without a thread.
    let work = stage.source.beside(&catalog, |catalog| catalog.tables().len());
    assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
    drop(places);
    assert_eq!(stage.source.beside(&catalog, |catalog| catalog.tables().len()).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_kept_can_always_be_found_to_be_let_go() {
    let stage = stage(10);
    let shelf = Shelf::default();
    let catalog = stage.source.catalog(false, TIME).await.unwrap().catalog;
    let max = 2 * catalog.bytes();
    let sources: Vec<_> = (0..4).map(|_| source("acme", &stage.open)).collect();
    std::thread::scope(|scope| {
        for source in &sources {
            scope.spawn(|| (0..500).for_each(|_| drop(shelf.put(source, &catalog, Duration::ZERO, max))));
        }
    });
    let kept: Vec<_> = sources.iter().filter(|source| source.catalog.kept.lock().catalog.is_some()).collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(shelf.bytes.load(Ordering::Relaxed), max);
    let order = shelf.order.lock();
    for source in kept {
        assert!(order.iter().any(|other| std::ptr::eq(other.as_ptr(), Arc::as_ptr(source))));
    }
}
