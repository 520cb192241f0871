//! `sequel key rename`.

use super::KeyArg;
use crate::api::{ChangeKey, Key};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Give an API key another name; its secret stays as it is
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArg,
    /// The new name
    name: String,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let change = ChangeKey { name: Some(args.name), enabled: None };
    let path = format!("{path}/keys/{}", segment(&args.key.key));
    let key: Key = session.client.patch(&path, &change).await?;
    let text = format!("The API key {} is now called {}.", clean(&args.key.key), clean(&key.name));
    Ok(Answer::new(&key, text))
}
