//! `sequel demo`: a server with a real data set, an organization and a key, in one command.

use std::path::PathBuf;

use super::answer::Answer;
use super::failure::Failure;
use super::{Global, World};
use crate::config::{Config, Flags, LoadOptions};
use crate::run::{self, DemoOptions};

/// Where the demo keeps its data unless `--data-dir` says otherwise. Never the folder of a real
/// server: the environment's `SEQUEL__DATA_DIR` is passed over on purpose.
const DATA_DIR: &str = "sequel-demo";

/// Serve a small real database and print how to connect: MCP URL, API key and lines to paste
///
/// Makes its data folder (./sequel-demo unless --data-dir says otherwise), an organization and an API
/// key. Run again on the same folder, it goes on with the same organization and its keys still work.
/// With --json it prints one line {"mcp_url","api_key","org"} once it answers requests, and keeps
/// serving; api_key is null when the folder is not new, because a key is shown only once.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 7700)]
    port: u16,
}

pub(super) fn run(args: Args, global: &Global, world: &World<'_>) -> Result<Answer, Failure> {
    let config = config(&args, global, world)?;
    run::demo(DemoOptions { config, json: global.json }).map_err(Failure::Run)?;
    Ok(Answer::silent())
}

pub(super) fn config(args: &Args, global: &Global, world: &World<'_>) -> Result<Config, Failure> {
    let data_dir = global.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let flags = Flags { data_dir: Some(data_dir), port: Some(args.port) };
    let options = LoadOptions { file: global.config.clone(), env: world.env.clone(), flags };
    Ok(Config::load(options)?)
}
