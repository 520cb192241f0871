//! Restores over the in-memory store: every organization's fate, and a failure at every commit.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sequel_store::{
    Batch, Changes, CommitError, CommitId, ExportStream, Fence, HintStream, Key, KeyRange, Lane, MemoryStore,
    Page, ReadError, Record, Registration, Revision, ScanLimit, Scope, Write,
};

use super::*;
use crate::backup::{Checker, Exporter, NewFile};
use crate::credential::{KeyId, PlainKey, SourceId};
use crate::org::audit::Event;
use crate::org::record::{self, KeyRecord, NameRecord, OrgRecord, Owner, SourceRecord, UsageRecord};
use crate::record::{Versioned, decode, encode};
use crate::system::deletions::{self, Deletion};
use crate::system::orgs::{self, IndexRecord};
use crate::system::whole;

mod odd;

/// A store with what a test puts there.
struct World {
    memory: Arc<MemoryStore>,
    context: Context,
}

impl World {
    fn new() -> Self {
        Self { memory: Arc::new(MemoryStore::new()), context: Context::system() }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.memory.clone()
    }

    async fn put(&self, scope: &Scope, lane: Lane, writes: Vec<Write>) {
        let id = CommitId(self.context.rng.bytes().unwrap());
        let batch = Batch { scope: scope.clone(), lane, id, expects: Vec::new(), writes };
        self.memory.commit(batch).await.unwrap();
    }

    /// An organization with this name and these keys, a data source, and an entry for each change.
    async fn org(&self, org: OrgId, name: &str, keys: &[(KeyId, &KeyRecord)]) {
        let scope = Scope::org(org.as_str()).unwrap();
        let at = self.context.clock.now();
        let record = OrgRecord { name: name.into(), created_at: at };
        let entry = |revision: u64, action| {
            Event::new(action, "org", org, name).entry(Revision(revision), at, &Author::sequel())
        };
        let index = Write::Put(orgs::at(name), encode(&IndexRecord { org }));
        self.put(&orgs::scope(), fill::STATE, vec![index]).await;
        let made = vec![Write::Put(record::org_at(), encode(&record)), entry(1, "org.create")];
        self.put(&scope, fill::STATE, made).await;
        for (nth, (id, key)) in keys.iter().enumerate() {
            let holder = encode(&NameRecord { id: id.to_string() });
            let writes = vec![
                Write::Put(record::key_at(*id), encode(*key)),
                Write::Put(record::key_name_at(&key.name), holder),
                entry(nth as u64 + 2, "key.create"),
            ];
            self.put(&scope, fill::STATE, writes).await;
            let day = jiff::civil::date(2026, 11, 25);
            let usage = Write::Put(record::usage_at(day, *id, None), encode(&UsageRecord::default()));
            self.put(&scope, Lane::Log, vec![usage]).await;
        }
        let source = SourceId::mint(&self.context.rng).unwrap();
        let settings = serde_json::from_value(serde_json::json!({ "path": "/x.db" })).unwrap();
        let held = SourceRecord {
            name: "facts".into(),
            kind: "sqlite".into(),
            secrets: None,
            settings,
            description: None,
            created_at: at,
        };
        let holder = encode(&NameRecord { id: source.to_string() });
        let writes = vec![
            Write::Put(record::source_at(source), encode(&held)),
            Write::Put(record::source_name_at("facts"), holder),
        ];
        self.put(&scope, fill::STATE, writes).await;
    }

    async fn delete_org(&self, org: OrgId, name: &str) {
        let (scope, now) = (Scope::org(org.as_str()).unwrap(), self.context.clock.now());
        let purge_at = now.plus(Duration::from_secs(3600));
        let deleted = DeletedOrgRecord {
            name: name.into(),
            created_at: now,
            deleted_at: now,
            purge_at,
            purging: false,
        };
        let listed = encode(&Deletion { org, name: name.into(), due: purge_at });
        self.put(&deletions::scope(), fill::STATE, vec![Write::Put(deletions::at(org), listed)]).await;
        let writes =
            vec![Write::Delete(record::org_at()), Write::Put(record::deleted_org_at(), encode(&deleted))];
        self.put(&scope, fill::STATE, writes).await;
    }

    async fn delete_key(&self, org: OrgId, id: KeyId, name: &str) {
        let scope = Scope::org(org.as_str()).unwrap();
        let writes = vec![Write::Delete(record::key_at(id)), Write::Delete(record::key_name_at(name))];
        self.put(&scope, fill::STATE, writes).await;
    }

    async fn get<T: Versioned>(&self, scope: &Scope, key: &Key) -> Option<T> {
        let found = self.memory.get(scope, key).await.unwrap();
        found.map(|record| decode(&record.value).unwrap())
    }

    async fn key(&self, org: OrgId, id: KeyId) -> Option<KeyRecord> {
        self.get(&Scope::org(org.as_str()).unwrap(), &record::key_at(id)).await
    }

    async fn backup(&self, folder: &tempfile::TempDir) -> Restore {
        self.backup_in(folder).await.unwrap()
    }

    async fn backup_in(&self, folder: &tempfile::TempDir) -> Result<Restore, BackupError> {
        let path = folder.path().join("b");
        let mut file = NewFile::create(&path, true).unwrap();
        let exporter = Exporter::new(self.store(), self.context.clock.clone());
        let pieces: Vec<_> = exporter.backup().await.unwrap().try_collect().await.unwrap();
        pieces.iter().for_each(|piece| file.write_all(piece).unwrap());
        file.keep().unwrap();
        Restore::read(&path, None)
    }

    async fn restore(&self, backup: &Restore, replace: bool) -> Result<Restoration, BackupError> {
        let manner = Manner { replace, trust_keys: false, author: Author::sequel() };
        backup.onto(&self.store(), &self.context, manner, &|_| {}).await
    }

    /// All records but what differs from one run to the next: entries of restores, and the last restore.
    async fn state(&self) -> BTreeMap<(Scope, Vec<u8>), bytes::Bytes> {
        let all: Vec<_> = self.memory.export().await.unwrap().try_collect().await.unwrap();
        let kept = all.into_iter().filter(|found| {
            let text = String::from_utf8_lossy(&found.record.value);
            found.scope != crate::system::whole::scope() && !text.contains("org.restore_backup")
        });
        kept.map(|found| ((found.scope, found.record.key.as_bytes().to_vec()), found.record.value)).collect()
    }

    #[track_caller]
    fn is_sound(&self, state: &BTreeMap<(Scope, Vec<u8>), bytes::Bytes>) {
        let mut checker = Checker::new(self.context.clock.now());
        for ((scope, key), value) in state {
            let key = Key::new(key.clone()).unwrap();
            checker.add(&Entry { scope: scope.clone(), key, value: value.clone() });
        }
        assert_eq!(checker.finish().0, []);
    }
}

fn key(world: &World, org: OrgId, name: &str) -> (KeyId, KeyRecord) {
    let rng = &world.context.rng;
    let id = KeyId::mint(rng).unwrap();
    let digest = PlainKey::mint(id, org, rng).unwrap().digest();
    let record = KeyRecord {
        name: name.into(),
        owner: Owner::Org,
        created_at: world.context.clock.now(),
        expires_at: None,
        enabled: true,
        sources: None,
        digest,
        previous: Vec::new(),
        suspended: None,
        made_for: None,
    };
    (id, record)
}

fn org(world: &World) -> OrgId {
    OrgId::mint(&world.context.rng).unwrap()
}

#[tokio::test]
async fn each_organization_meets_its_fate() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let [lives, deleted_since, put_back, renamed, made_since] = [(); 5].map(|()| org(&world));
    let (id, record) = key(&world, lives, "k");
    world.org(lives, "lives", &[(id, &record)]).await;
    world.org(deleted_since, "deleted since", &[]).await;
    world.org(put_back, "put back", &[]).await;
    world.delete_org(put_back, "put back").await;
    world.org(renamed, "old name", &[]).await;
    let backup = world.backup(&folder).await;

    world.delete_org(deleted_since, "deleted since").await;
    let scope = Scope::org(put_back.as_str()).unwrap();
    let back = OrgRecord { name: "put back".into(), created_at: world.context.clock.now() };
    let writes = vec![Write::Delete(record::deleted_org_at()), Write::Put(record::org_at(), encode(&back))];
    world.put(&scope, fill::STATE, writes).await;
    let gone = vec![Write::Delete(deletions::at(put_back))];
    world.put(&deletions::scope(), fill::STATE, gone).await;
    // Somebody has the name that the backup knows for another.
    let scope = Scope::org(renamed.as_str()).unwrap();
    let new = OrgRecord { name: "new name".into(), created_at: world.context.clock.now() };
    world.put(&scope, fill::STATE, vec![Write::Put(record::org_at(), encode(&new))]).await;
    world.org(made_since, "old name", &[]).await;

    let done = world.restore(&backup, true).await.unwrap();
    assert_eq!((done.orgs, done.orgs_left, done.orgs_removed, done.keys_kept), (2, 2, 1, 1));
    let index =
        async |name: &str| world.get::<IndexRecord>(&orgs::scope(), &orgs::at(name)).await.map(|e| e.org);
    assert_eq!(index("old name").await, Some(renamed));
    assert_eq!(index("new name").await, None);
    assert_eq!(index("put back").await, Some(put_back));
    assert_eq!(index("deleted since").await, Some(deleted_since));
    let living = async |org: OrgId| {
        world.get::<OrgRecord>(&Scope::org(org.as_str()).unwrap(), &record::org_at()).await.is_some()
    };
    assert!(living(lives).await && living(put_back).await && living(renamed).await);
    assert!(!living(deleted_since).await && !living(made_since).await);
    world.is_sound(&world.state().await);
}

/// A store that fails at one commit, and at every later one: as if its process had ended there.
struct Failing {
    store: Arc<MemoryStore>,
    commits_left: AtomicUsize,
}

#[async_trait]
impl Store for Failing {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        self.store.get(scope, key).await
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        self.store.scan(scope, range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let less = |left: usize| left.checked_sub(1);
        match self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => self.store.commit(batch).await,
            Err(_) => Err(CommitError::Unavailable("the test ends it here".into())),
        }
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        self.store.changes(scope, after).await
    }

    fn watch(&self) -> HintStream {
        self.store.watch()
    }

    fn register(&self, scope: &Scope) -> Registration {
        self.store.register(scope)
    }

    async fn published(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.store.published(scope, revision).await
    }

    async fn settle(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.store.settle(scope, revision).await
    }

    fn fence(&self) -> Fence {
        self.store.fence()
    }

    async fn export(&self) -> Result<ExportStream, ReadError> {
        self.store.export().await
    }
}

#[tokio::test]
async fn a_restore_that_ends_at_any_commit_and_is_run_again_comes_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = World::new();
    let [acme, gone] = [(); 2].map(|()| org(&first));
    let [kept, deleted, other] = ["kept", "deleted", "other"].map(|name| key(&first, acme, name));
    let before = async |world: &World| {
        let keys = [&kept, &deleted].map(|(id, record)| (*id, record));
        world.org(acme, "acme", &keys).await;
        world.org(gone, "gone", &[(other.0, &other.1)]).await;
    };
    before(&first).await;
    let backup = first.backup(&folder).await;
    for replace in [false, true] {
        let mut whole_run = None;
        for commits in (0..=60).rev() {
            let world = World::new();
            if replace {
                before(&world).await;
                world.delete_key(acme, deleted.0, "deleted").await;
                world.delete_org(gone, "gone").await;
                world.org(org(&world), "since", &[]).await;
            }
            let failing: Arc<dyn Store> =
                Arc::new(Failing { store: world.memory.clone(), commits_left: AtomicUsize::new(commits) });
            let manner = Manner { replace, trust_keys: false, author: Author::sequel() };
            let ended = backup.onto(&failing, &world.context, manner, &|_| {}).await;
            let unfinished = WholeStore::new(world.store()).unfinished().await.unwrap().is_some();
            // Done, or marked, or not begun.
            assert_eq!(unfinished, ended.is_err() && commits > 0, "{commits}");
            if ended.is_err() {
                world.restore(&backup, replace).await.unwrap();
            }
            let state = world.state().await;
            world.is_sound(&state);
            let (kept, deleted) = (world.key(acme, kept.0).await.unwrap(), world.key(acme, deleted.0).await);
            assert_eq!(kept.is_on(), replace, "{commits}");
            assert!(if replace { deleted.is_none() } else { !deleted.unwrap().is_on() }, "{commits}");
            // The data sources of the second run of `before` have ids of their own, and the backup's come back.
            let keys: Vec<_> = state.into_keys().collect();
            let (wanted, complete) = whole_run.get_or_insert((keys.clone(), ended.is_ok()));
            assert!(*complete, "the first run goes through");
            let left_alone = |(scope, _): &&(Scope, Vec<u8>)| *scope != Scope::org(gone.as_str()).unwrap();
            let compared =
                |keys: &[(Scope, Vec<u8>)]| keys.iter().filter(left_alone).cloned().collect::<Vec<_>>();
            assert_eq!(compared(&keys), compared(wanted), "{commits}");
        }
    }
}
