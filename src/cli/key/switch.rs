//! `sequel key disable` and `sequel key enable`.

use super::KeyArg;
use crate::api::{ChangeKey, Key};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    org: OrgArg,
}

pub(super) async fn run(args: Args, enabled: bool, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let change = ChangeKey { name: None, enabled: Some(enabled) };
    let path = format!("{path}/keys/{}", segment(&args.key.key));
    let key: Key = session.client.patch(&path, &change).await?;
    let name = clean(&key.name);
    let text = match enabled {
        true => format!("The API key {name} is enabled."),
        false => format!("The API key {name} is disabled: every request with it is refused from now on."),
    };
    Ok(Answer::new(&key, text))
}
