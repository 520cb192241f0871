//! `sequel key create`.

use super::shown_once;
use crate::api::{CreateKey, CreatedKey};
use crate::cli::answer::{Answer, clean, minute};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::time::{When, parse_when};
use crate::cli::{OrgArg, World};

/// Make an API key and show it, once
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A descriptive name of 1 to 100 characters, unique among the organization's keys
    name: String,
    #[command(flatten)]
    org: OrgArg,
    /// When it stops working: 90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    expires: Option<When>,
    /// A data source that it may use, by name or id; may be given several times. Without it: all
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session, world: &mut World<'_>) -> Result<Answer, Failure> {
    let now = world.clock.now();
    let expires_at = args.expires.map(|when| when.after(now));
    if expires_at.is_some_and(|time| time <= now) {
        let message = "--expires lies in the past: choose a later time.".to_owned();
        return Err(Failure::Usage { code: "expires_in_the_past", message });
    }
    let (org, path) = session.org(args.org.org).await?;
    let sources = (!args.sources.is_empty()).then_some(args.sources);
    let request = CreateKey { name: args.name, expires_at, sources };
    let created: CreatedKey = session.client.post(&format!("{path}/keys"), &request).await?;
    let until = created.expires_at.map(|time| format!(", valid until {}", minute(time))).unwrap_or_default();
    let head = format!("Made the API key {} in {}{until}:", clean(&created.name), clean(&org));
    let text = format!("{head}\n\n{}", shown_once(&created.key));
    Ok(Answer::new(&created, text))
}
