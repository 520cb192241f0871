//! `sequel storage …`: the store as a whole.

mod check;
mod copy;

use super::answer::Answer;
use super::failure::Failure;
use super::{Global, World};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Check(check::Args),
    Copy(copy::Args),
}

pub(super) fn run(command: Command, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    match command {
        Command::Check(args) => check::run(args, global, world),
        Command::Copy(args) => copy::run(args, global, world),
    }
}
