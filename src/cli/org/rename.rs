//! `sequel org rename`.

use super::Which;
use crate::api::{ChangeOrg, Org};
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Give an organization another name; its keys and data sources stay as they are
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    /// The new name
    name: String,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = format!("/orgs/{}", segment(&args.which.org));
    let org: Org = session.client.patch(&path, &ChangeOrg { name: args.name }).await?;
    let text = format!("The organization {} is now called {}.", clean(&args.which.org), clean(&org.name));
    Ok(Answer::new(&org, text))
}
