//! `sequel source test`.

use serde_json::json;

use super::SourceArg;
use crate::api::Tested;
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Ask a data source for a sign of life; exit code 1 where it gives none
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArg,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let path = format!("{path}/sources/{}/test", segment(&args.source.source));
    let tested: Tested = session.client.post(&path, &json!({})).await?;
    let name = clean(&args.source.source);
    let text = match &tested.error {
        Some(error) => format!("{name} does not answer: {}", clean(error)),
        None => format!("{name} answers ({} ms).", tested.elapsed_ms),
    };
    let mut answer = Answer::new(&tested, text);
    answer.exit = u8::from(!tested.ok);
    Ok(answer)
}
