//! `sequel org restore`.

use super::Which;
use crate::api::Org;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Put a deleted organization back; keys that were deleted or disabled before stay so
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = format!("/orgs/{}/restore", segment(&args.which.org));
    let org: Org = session.client.post(&path, &serde_json::json!({})).await?;
    let text = format!("The organization {} is back: its keys work again.", clean(&org.name));
    Ok(Answer::new(&org, text))
}
