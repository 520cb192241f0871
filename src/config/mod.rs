//! The configuration: typed sections, assembled from four layers, later ones over earlier ones.
//!
//! `config/default.toml` (embedded) ← a file (`--config`, else `sequel.toml` in the data folder where
//! there is one) ← the environment (`SEQUEL__SECTION__KEY`) ← flags. Unknown keys are refused with the
//! nearest known name, wrong values with what is allowed. This module knows nothing of what the
//! settings do.
//!
//! **Invariant:** `default.toml`, the structs' defaults and the lists of keys agree
//! (`default_toml_equals_the_defaults_of_the_code`, `every_key_stands_in_default_toml`).

mod admin;
mod audit;
mod auth;
mod error;
mod key;
mod keys;
mod layer;
mod limits;
mod log;
mod mail;
mod metrics;
mod oauth;
mod orgs;
mod passwords;
mod query;
mod secret;
mod secrets;
mod server;
mod sessions;
mod show;
mod sources;
mod storage;
mod streams;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod usage;

pub use admin::{Admin, SOCKET_PATH_BYTES_MAX, admin_socket_path, prepare_socket_folder};
pub use audit::{Audit, Queries};
pub use auth::{Auth, PlainHttp};
pub use error::{ConfigError, Place};
pub use key::{Key, Kind};
pub use keys::Keys;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use mail::Mail;
pub use metrics::Metrics;
pub use oauth::{Apps, OAuth, RefreshReplay};
pub use orgs::Orgs;
pub use passwords::Passwords;
pub use query::Query;
pub use secret::{REDACTED, Secret, redact_url};
pub use secrets::Secrets;
pub use server::Server;
pub use sessions::Sessions;
pub use show::Setting;
pub use sources::{Egress, Postgres, Private, PrivilegedRoles, Samples, Sources, Sqlite};
pub use storage::{Storage, StoreLocation};
pub use streams::Streams;
pub use telemetry::Telemetry;
pub use tls::Tls;
pub use usage::Usage;

pub use sequel_connector::Network;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use etcetera::AppStrategy;
use serde::{Deserialize, Serialize};

use self::layer::Layer;

/// Every setting with its default and the reason for it, as it stands in the repository.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// What the names of our environment variables begin with.
pub const ENV_PREFIX: &str = "SEQUEL__";

/// The file that is read from the data folder where none is named.
pub const FILE_NAME: &str = "sequel.toml";

/// All settings, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Absolute once loaded; empty only in [`Config::default`].
    pub data_dir: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[storage]`
    pub storage: Storage,
    /// `[orgs]`
    pub orgs: Orgs,
    /// `[keys]`
    pub keys: Keys,
    /// `[auth]`
    pub auth: Auth,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[passwords]`
    pub passwords: Passwords,
    /// `[oauth]`
    pub oauth: OAuth,
    /// `[mail]`
    pub mail: Mail,
    /// `[limits]`
    pub limits: Limits,
    /// `[query]`
    pub query: Query,
    /// `[streams]`
    pub streams: Streams,
    /// `[sources]`
    pub sources: Sources,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[audit]`
    pub audit: Audit,
    /// `[usage]`
    pub usage: Usage,
}

const ROOT_KEYS: &[Key] = &[Key { path: "data_dir", kind: Kind::Path, secret: false }];

/// Every key that there is, section by section.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [
        ROOT_KEYS,
        server::KEYS,
        tls::KEYS,
        storage::KEYS,
        orgs::KEYS,
        keys::KEYS,
        auth::KEYS,
        sessions::KEYS,
        passwords::KEYS,
        oauth::KEYS,
        mail::KEYS,
        limits::KEYS,
        query::KEYS,
        streams::KEYS,
        sources::KEYS,
        secrets::KEYS,
        admin::KEYS,
        log::KEYS,
        metrics::KEYS,
        telemetry::KEYS,
        audit::KEYS,
        usage::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// What the flags of the command line say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--port`: replaces the port of `server.listen`, not its address.
    pub port: Option<u16>,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config`; it must exist. `None`: `sequel.toml` in the data folder where there is one.
    pub file: Option<PathBuf>,
    /// The environment: all of it, others' variables are passed over.
    pub env: Vec<(String, String)>,
    /// The flags.
    pub flags: Flags,
}

impl LoadOptions {
    /// With the environment of this process. Variables that are no Unicode are left out: none of
    /// ours can be meant by them.
    pub fn with_process_env(file: Option<PathBuf>, flags: Flags) -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, env, flags }
    }
}

/// A configuration together with where each of its values was written.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    places: BTreeMap<&'static str, Place>,
}

impl Config {
    /// Assembles and checks a configuration. Reads at most one file and nothing else.
    pub fn load(options: LoadOptions) -> Result<Self, ConfigError> {
        Self::load_with_places(options).map(|loaded| loaded.config)
    }

    /// The same, and says where each value was written.
    pub fn load_with_places(options: LoadOptions) -> Result<Loaded, ConfigError> {
        let env = Layer::from_env(options.env)?;
        let flags = flags_layer(&options.flags);
        let named = options.file.as_deref().map(read_layer).transpose()?;
        let outside = [flags.text("data_dir"), env.text("data_dir")];
        let from_file = named.as_ref().and_then(|file| file.text("data_dir"));
        let data_dir = outside.into_iter().flatten().chain(from_file).find(|text| !text.is_empty());
        let data_dir = match (&options.flags.data_dir, data_dir) {
            // Straight from the flag: a path that is no Unicode would not survive as text.
            (Some(path), _) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            (None, Some(text)) => PathBuf::from(text),
            (None, None) => platform_data_dir()?,
        };
        let (file, path) = match (named, options.file) {
            (Some(layer), path) => (layer, path),
            (None, _) => layer_of_data_dir(&data_dir)?,
        };

        let mut places = BTreeMap::new();
        for (key, _, place) in [&file, &env, &flags].into_iter().flat_map(|layer| &layer.values) {
            places.insert(*key, place.clone());
        }
        let internal = |error: config::ConfigError| ConfigError::Internal(error.to_string());
        let mut config: Self = config::Config::builder()
            .add_source(config::File::from_str(DEFAULT_TOML, config::FileFormat::Toml))
            .add_source(file)
            .add_source(env)
            .add_source(flags)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(internal)?;
        config.data_dir = data_dir;
        if let Some(port) = options.flags.port {
            config.server.listen.set_port(port);
            places.insert("server.listen", Place::Flag { name: "--port" });
        }
        config.check()?;
        Ok(Loaded { config, file: path, places })
    }

    /// Holds settings against each other.
    fn check(&self) -> Result<(), ConfigError> {
        self.keys.check()?;
        self.query.check()?;
        self.streams.check()?;
        self.sessions.check()?;
        self.passwords.check()?;
        self.oauth.check()?;
        self.mail.check()?;
        self.tls.check()?;
        self.admin.check()
    }

    /// The public URL without a trailing slash: the configured one, else the address that was really bound.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.files().is_some() { "https" } else { "http" };
        self.server.public_url(scheme, bound)
    }

    /// The URL that MCP clients are given.
    pub fn mcp_url(&self, bound: SocketAddr) -> String {
        format!("{}/mcp", self.public_url(bound))
    }

    /// Where the store is.
    pub fn store(&self) -> StoreLocation {
        self.storage.location(&self.data_dir)
    }
}

fn read_layer(path: &Path) -> Result<Layer, ConfigError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match std::fs::read_to_string(&path) {
        Ok(text) => Layer::from_file(&path, &text),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

/// `sequel.toml` of a data folder; an empty layer where there is none.
fn layer_of_data_dir(data_dir: &Path) -> Result<(Layer, Option<PathBuf>), ConfigError> {
    let path = data_dir.join(FILE_NAME);
    let layer = match read_layer(&path) {
        Ok(layer) => layer,
        // Also where the data folder itself is missing or a file: whoever uses it says so in its terms.
        Err(ConfigError::Unreadable { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok((Layer::default(), None));
        }
        Err(error) => return Err(error),
    };
    match layer.text("data_dir") {
        // The file was found through the data folder: naming another one there could not hold.
        Some(other) if Path::new(&other) != data_dir => Err(ConfigError::Contradiction(format!(
            "{} sets data_dir, but this file was found through the data folder {}; remove data_dir there and \
             use --data-dir or {ENV_PREFIX}DATA_DIR.",
            path.display(),
            data_dir.display(),
        ))),
        _ => Ok((layer, Some(path))),
    }
}

fn flags_layer(flags: &Flags) -> Layer {
    let mut layer = Layer::default();
    if let Some(data_dir) = &flags.data_dir {
        let place = Place::Flag { name: "--data-dir" };
        let path = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone());
        let value = config::Value::new(Some(&place.to_string()), path.to_string_lossy().into_owned());
        layer.values.push(("data_dir", value, place));
    }
    layer
}

/// The platform's folder for a user's data.
pub fn platform_data_dir() -> Result<PathBuf, ConfigError> {
    let args = etcetera::AppStrategyArgs { app_name: "Sequel".to_owned(), ..Default::default() };
    let strategy = etcetera::choose_app_strategy(args).map_err(|_| ConfigError::NoDataFolder)?;
    Ok(strategy.data_dir())
}

/// Refuses a setting that is above the one that bounds it.
fn at_most(low: (&str, u64), high: (&str, u64)) -> Result<(), ConfigError> {
    if low.1 <= high.1 {
        return Ok(());
    }
    Err(ConfigError::Contradiction(format!(
        "{} is {}, but {} allows at most {}; lower the first or raise the second.",
        low.0, low.1, high.0, high.1
    )))
}
