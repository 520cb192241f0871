//! `sequel app edit`.

use super::{AppArg, called};
use crate::api::{App, ChangeApp};
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::time::{When, parse_when};
use crate::cli::{OrgArg, World};

/// Give an authorized app other data sources or another end; what it may do less than before ends at once
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    app: AppArg,
    #[command(flatten)]
    org: OrgArg,
    /// A data source that it may use, by name or id; may be given several times
    #[arg(long = "source", value_name = "SOURCE", group = "what", conflicts_with = "all_sources")]
    sources: Vec<String>,
    /// It may use all data sources
    #[arg(long, group = "what")]
    all_sources: bool,
    /// When it ends: 90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_when, group = "what", conflicts_with = "no_end")]
    expires: Option<When>,
    /// It ends when it is revoked or left unused
    #[arg(long, group = "what")]
    no_end: bool,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let now = world.clock.now();
    let sources = match args.all_sources {
        true => Some(None),
        false => (!args.sources.is_empty()).then_some(Some(args.sources)),
    };
    let expires_at = match args.no_end {
        true => Some(None),
        false => args.expires.map(|when| Some(when.after(now))),
    };
    let (_, path) = session.org(args.org.org).await?;
    let path = format!("{path}/apps/{}", segment(&args.app.app));
    let app: App = session.client.patch(&path, &ChangeApp { sources, expires_at }).await?;
    Ok(Answer::new(&app, format!("Changed the app {}.", clean(called(&app)))))
}
