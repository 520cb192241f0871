//! Stores with many keys, written in bulk through the `Store` trait and the product's own record
//! encoders: one durable change per key through the actors would take minutes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_rt::Arbiter;
use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use sequel::config::Config;
use sequel::context::{Context, Rng, Timestamp};
use sequel::credential::{KEY_CHARS, KeyId, OrgId, PlainKey, SourceId};
use sequel::org::record::{KeyRecord, NameRecord, OrgRecord, Owner, SourceRecord, encode};
use sequel::org::{OpenSources, Registry, RegistryParts};
use sequel_connector::Settings;
use sequel_store::{BATCH_OPERATIONS_MAX, Batch, CommitId, Holder, Key, Lane, Scope, Store, Write};

/// A whole credential, as it stands in a request.
pub(crate) type Secret = [u8; KEY_CHARS];

/// Organizations with a data source, the first ones of each store.
pub(crate) const WITH_SOURCE: usize = 8;

/// A data folder with a prepared store.
pub(crate) struct Prepared {
    pub(crate) data_dir: PathBuf,
    /// By organization.
    pub(crate) keys: Vec<Vec<Secret>>,
}

impl Prepared {
    /// All keys, neighbours of one organization far apart.
    pub(crate) fn interleaved(&self) -> Vec<Secret> {
        let most = self.keys.iter().map(Vec::len).max().unwrap_or(0);
        (0..most).flat_map(|at| self.keys.iter().filter_map(move |keys| keys.get(at).copied())).collect()
    }
}

/// Opens the store of a data folder, as the server would.
pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let config = Config { data_dir: data_dir.to_owned(), ..Config::default() };
    Ok(sequel::backends::open_store(&config, Holder::command())?)
}

/// The organizations of a store, in this process.
pub(crate) fn registry(
    store: Arc<dyn Store>,
    arbiter: &Arbiter,
    config: &Config,
) -> anyhow::Result<Registry> {
    let context = Context::system();
    let connectors = sequel::backends::connectors(config)?;
    let vault = Arc::new(sequel::vault::Vault::fleeting(&context.rng)?);
    Ok(Registry::new(RegistryParts {
        store,
        context: context.clone(),
        open: OpenSources::new(connectors, context.clock.clone(), vault, config.sources.open_max),
        arbiters: vec![arbiter.handle()],
        limits: sequel::run::registry_limits(config),
        metrics: sequel::metrics::Metrics::new(context.clock),
    }))
}

/// Writes `orgs` organizations of `keys_per_org` keys each into the store of a data folder.
pub(crate) async fn prepare(
    data_dir: PathBuf,
    orgs: usize,
    keys_per_org: usize,
    database: &Path,
) -> anyhow::Result<Prepared> {
    prepare_in(&Config { data_dir, ..Config::default() }, orgs, keys_per_org, &sqlite(database)?).await
}

/// What an organization's data source is made of, by the organization's number.
pub(crate) type SourceOf<'a> = dyn Fn(usize) -> Option<(&'static str, Settings)> + 'a;

/// The SQLite file for the first organizations.
pub(crate) fn sqlite(database: &Path) -> anyhow::Result<impl Fn(usize) -> Option<(&'static str, Settings)>> {
    let path = database.to_str().context("the temporary folder's path is not UTF-8")?;
    let settings = Settings::from_iter([("path".to_owned(), path.into())]);
    Ok(move |number| (number < WITH_SOURCE).then(|| ("sqlite", settings.clone())))
}

/// The same into the configured store.
pub(crate) async fn prepare_in(
    config: &Config,
    orgs: usize,
    keys_per_org: usize,
    source_of: &SourceOf<'_>,
) -> anyhow::Result<Prepared> {
    std::fs::create_dir_all(&config.data_dir)?;
    let store = sequel::backends::open_store(config, Holder::command())?;
    let rng = Rng::system();
    let mut keys = Vec::with_capacity(orgs);
    let mut batches = Vec::with_capacity(orgs);
    let mut index = Vec::with_capacity(orgs);
    for number in 0..orgs {
        let org = OrgId::mint(&rng)?;
        let name = format!("org-{number}");
        index.push(Write::Put(
            Key::new(format!("name/{}", name_digest(&name)))?,
            format!(r#"{{"v":1,"org":"{org}"}}"#).into(),
        ));
        let mut writes = vec![Write::Put(at("org"), encode(&OrgRecord { name, created_at: Timestamp(0) }))];
        if let Some((kind, settings)) = source_of(number) {
            writes.extend(source(kind, settings, &rng)?);
        }
        let mut secrets = Vec::with_capacity(keys_per_org);
        for number in 0..keys_per_org {
            let id = KeyId::mint(&rng)?;
            let plain = PlainKey::mint(id, org, &rng)?;
            writes.extend(key(id, &plain, format!("key-{number}")));
            secrets.push(plain.reveal().as_bytes().try_into().context("a key has a fixed width")?);
        }
        keys.push(secrets);
        batches.push(batch(Scope::org(org.as_str())?, writes, &rng)?);
    }
    for chunk in index.chunks(BATCH_OPERATIONS_MAX) {
        batches.push(batch(Scope::system("orgs")?, chunk.to_vec(), &rng)?);
    }
    // Many at once, so that they share the writer's syncs.
    stream::iter(batches)
        .map(|batch| store.commit(batch))
        .buffer_unordered(128)
        .try_collect::<Vec<_>>()
        .await?;
    // Closing checkpoints, which blocks.
    tokio::task::spawn_blocking(move || drop(store)).await?;
    Ok(Prepared { data_dir: config.data_dir.clone(), keys })
}

pub(crate) fn batch(scope: Scope, writes: Vec<Write>, rng: &Rng) -> anyhow::Result<Batch> {
    let lane = Lane::State { at: None, narrows: false };
    Ok(Batch { scope, lane, id: CommitId(rng.bytes()?), expects: Vec::new(), writes })
}

fn key(id: KeyId, plain: &PlainKey, name: String) -> [Write; 2] {
    let name_at = at(format!("key-name/{}", name_digest(&name)));
    let record = KeyRecord {
        name,
        owner: Owner::Org,
        created_at: Timestamp(0),
        expires_at: None,
        enabled: true,
        sources: None,
        digest: plain.digest(),
        previous: Vec::new(),
        suspended: None,
        made_for: None,
    };
    [
        Write::Put(at(format!("key/{id}")), encode(&record)),
        Write::Put(name_at, encode(&NameRecord { id: id.to_string() })),
    ]
}

fn source(kind: &str, settings: Settings, rng: &Rng) -> anyhow::Result<[Write; 2]> {
    let id = SourceId::mint(rng)?;
    let record = SourceRecord {
        secrets: None,
        name: "demo".into(),
        kind: kind.into(),
        settings,
        description: None,
        created_at: Timestamp(0),
    };
    Ok([
        Write::Put(at(format!("source/{id}")), encode(&record)),
        Write::Put(
            at(format!("source-name/{}", name_digest("demo"))),
            encode(&NameRecord { id: id.to_string() }),
        ),
    ])
}

fn at(key: impl Into<String>) -> Key {
    Key::new(key.into()).expect("record keys are short")
}

/// As `org::record` documents it: SHA-256 of the folded name, in hexadecimal.
fn name_digest(name: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.to_lowercase().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
