//! `sequel org create`.

use crate::api::{CreateOrg, Org};
use crate::cli::answer::{Answer, clean};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// Make an organization
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name, unique on this server
    name: String,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let org: Org = session.client.post("/orgs", &CreateOrg { name: args.name }).await?;
    let text = format!(
        "Made the organization {} (id {}).\nNext, give it a data source: sequel source add NAME --org {} --path FILE{}",
        clean(&org.name),
        org.id,
        clean(&shell_quote(&org.name)),
        session.repeated,
    );
    Ok(Answer::new(&org, text))
}
