//! `sequel source edit`.

use serde_json::Value;

use super::SourceArg;
use super::add::parse_setting;
use super::flags::SettingFlags;
use crate::api::{ChangeSource, Source};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Change where a data source is or what is said of it; running queries finish where they began
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArg,
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    flags: SettingFlags,
    /// A setting of the connector; may be given several times, others stay. Never put a password here
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, Value)>,
    /// What is in it, for the model to read; empty for nothing
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (_, path) = session.org(args.org.org).await?;
    let path = format!("{path}/sources/{}", segment(&args.source.source));
    let mut settings = args.settings;
    settings.extend(args.flags.settings()?);
    if settings.is_empty() && args.description.is_none() {
        return Err(Failure::Usage {
            code: "nothing_to_change",
            message: "say what to change, such as --description, --host or --path.".to_owned(),
        });
    }
    let mut change = ChangeSource { description: args.description, ..ChangeSource::default() };
    if !settings.is_empty() {
        let mut all = session.client.get::<Source>(&path).await?.settings;
        all.extend(settings);
        change.settings = Some(all);
    }
    let source: Source = session.client.patch(&path, &change).await?;
    Ok(Answer::new(&source, format!("Changed the data source {}.", clean(&source.name))))
}
