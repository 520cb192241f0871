//! `sequel openapi`: the document of the admin API.

use super::answer::Answer;
use crate::run;

/// Print the OpenAPI 3.1 document of the admin API
///
/// The running server has it at /api/v1/openapi.json of its admin socket.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> Answer {
    Answer::verbatim(run::openapi())
}
