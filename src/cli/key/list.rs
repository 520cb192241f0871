//! `sequel key list`.

use crate::api::{Key, KeyStatus, Keys};
use crate::cli::OrgArg;
use crate::cli::answer::{Answer, clean, minute, minute_or, table};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::install::shell_quote;

/// List the API keys of an organization
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
}

const HEADER: &[&str] = &["name", "prefix", "owner", "status", "created", "last used", "expires", "sources"];

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let keys: Keys = session.client.get(&format!("{path}/keys")).await?;
    let text = if keys.keys.is_empty() {
        let quoted = clean(&shell_quote(&org));
        let next = format!("sequel key create NAME --org {quoted}{}", session.repeated);
        format!("{} has no API key yet. Make one with: {next}", clean(&org))
    } else {
        table(HEADER, keys.keys.iter().map(row))
    };
    Ok(Answer::new(&keys, text))
}

fn row(key: &Key) -> Vec<String> {
    let status = match key.status {
        KeyStatus::Active if !key.previous_valid_until.is_empty() => "active, rotating".to_owned(),
        KeyStatus::Active => "active".to_owned(),
        KeyStatus::Disabled => "disabled".to_owned(),
        KeyStatus::Expired => "expired".to_owned(),
        KeyStatus::Suspended => {
            format!("suspended by restore of {}", minute_or(key.suspended_at, "a backup"))
        }
    };
    vec![
        key.name.clone(),
        key.prefix.clone(),
        key.owner.clone().unwrap_or_else(|| "organization".to_owned()),
        status,
        minute(key.created_at),
        minute_or(key.last_used_at, "never"),
        minute_or(key.expires_at, "never"),
        key.sources.as_ref().map_or_else(|| "all".to_owned(), |sources| sources.join(", ")),
    ]
}
