//! What is done to a whole store while nobody else holds it: a restore, a copy.

use std::sync::Arc;

use anyhow::Context as _;
use sequel_store::{Holder, Store};
use tokio::runtime::{Builder, Runtime};

use super::{data_dir, log};
use crate::backends;
use crate::backup::{self, Manner, Restoration, Restore};
use crate::config::Config;
use crate::context::Context;
use crate::http::api::operator;
use crate::org::audit::{Author, Via};

/// Restores a backup into the configured store, under its lock. `progress` is told how many records are done.
pub fn restore(
    config: &Config,
    backup: &Restore,
    replace: bool,
    trust_keys: bool,
    progress: &dyn Fn(u64),
) -> anyhow::Result<Restoration> {
    let (store, runtime) = open(config)?;
    let who = operator(rustix::process::getuid().as_raw());
    let author = Author { who, via: Via::Command, address: None };
    let manner = Manner { replace, trust_keys, author };
    Ok(runtime.block_on(backup.onto(&store, &Context::system(), manner, progress))?)
}

/// Copies one configured store into another, under both locks; the number of records. `progress` is told how many
/// of how many steps are done.
pub fn copy(from: &Config, to: &Config, progress: &dyn Fn(u64, u64)) -> anyhow::Result<u64> {
    let (source, runtime) = open(from)?;
    let (target, _) = open(to)?;
    Ok(runtime.block_on(backup::copy(&source, &target, &Context::system(), progress))?)
}

/// Opens a store for as long as one command works on it.
fn open(config: &Config) -> anyhow::Result<(Arc<dyn Store>, Runtime)> {
    data_dir::keep_files_private();
    data_dir::require(&config.data_dir)?;
    log::start(&log::quiet(&config.log))?;
    let store = backends::open_store(config, Holder::command())?;
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime can be started")?;
    Ok((store, runtime))
}
