//! `sequel app revoke`.

use super::{AppArg, called};
use crate::api::{App, Deleted};
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::confirm::Yes;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::{OrgArg, World};

/// Revoke an authorized app: every request with its tokens is refused at once, running queries are stopped
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    app: AppArg,
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    yes: Yes,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let path = format!("{path}/apps/{}", segment(&args.app.app));
    let app: App = session.client.get(&path).await?;
    let (name, user) = (clean(called(&app)), clean(&app.user));
    let question =
        format!("Revoke the app {name} of {user} in {}? It has to be authorized anew.", clean(&org));
    args.yes.confirm(world, &question)?;
    let revoked: Deleted = session.client.delete(&path).await?;
    let text = format!("The app {name} is revoked: every request with its tokens is refused from now on.");
    Ok(Answer::new(&revoked, text))
}
