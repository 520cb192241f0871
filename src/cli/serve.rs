//! `sequel serve`: the server.

use super::answer::Answer;
use super::failure::Failure;
use super::{Global, World};
use crate::run;

/// Run the server until it is told to stop (SIGTERM or Ctrl-C)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Listen on this port instead of the configured one; 0 picks a free one
    #[arg(long)]
    port: Option<u16>,
}

pub(super) fn run(args: Args, global: &Global, world: &World<'_>) -> Result<Answer, Failure> {
    let config = global.load(world, args.port)?.config;
    run::serve(config).map_err(Failure::Run)?;
    Ok(Answer::silent())
}
