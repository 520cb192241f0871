//! `sequel source rename`.

use super::SourceArg;
use crate::api::{ChangeSource, Source};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Give a data source another name; clients have to call it by that
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArg,
    /// The new name
    name: String,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let change = ChangeSource { name: Some(args.name), ..ChangeSource::default() };
    let path = format!("{path}/sources/{}", segment(&args.source.source));
    let source: Source = session.client.patch(&path, &change).await?;
    let text =
        format!("The data source {} is now called {}.", clean(&args.source.source), clean(&source.name));
    Ok(Answer::new(&source, text))
}
