//! `sequel usage`.

use super::OrgArg;
use super::answer::{Answer, clean, table};
use super::client::segment;
use super::failure::Failure;
use super::session::Session;
use crate::api;

/// Show what the keys of an organization used: calls, rows, bytes, errors by day, key and data source
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    org: OrgArg,
    /// Only this key, by name, id or prefix
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only this data source, by name or id
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// How many days, today included (UTC)
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

const HEADER: &[&str] = &["day", "key", "source", "calls", "queries", "rows", "bytes", "errors"];

pub(super) async fn run(args: Args, session: &mut Session) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let mut query = format!("days={}", args.days);
    for (name, value) in [("key", &args.key), ("source", &args.source)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let usage: api::Usage = session.client.get(&format!("{path}/usage?{query}")).await?;
    if usage.lines.is_empty() {
        let text = format!("{} made no calls in these {} days.", clean(&org), args.days);
        return Ok(Answer::new(&usage, text));
    }
    let mut text = table(HEADER, usage.lines.iter().map(row).chain([total(&usage.total)]));
    if usage.truncated {
        text.push_str("\n\nThere are more lines than these; ask for fewer --days or one --key.");
    }
    Ok(Answer::new(&usage, text))
}

fn row(line: &api::UsageLine) -> Vec<String> {
    let named = |name: &Option<String>, id: &str| name.clone().unwrap_or_else(|| format!("{id} (gone)"));
    let source = match &line.source {
        Some(source) => named(&line.source_name, source),
        None => "-".to_owned(),
    };
    [vec![line.day.clone(), named(&line.key_name, &line.key), source], amounts(&line.amount)].concat()
}

fn total(amount: &api::UsageAmount) -> Vec<String> {
    [vec!["total".to_owned(), String::new(), String::new()], amounts(amount)].concat()
}

fn amounts(amount: &api::UsageAmount) -> Vec<String> {
    let api::UsageAmount { calls, queries, rows, bytes, errors } = amount;
    [calls, queries, rows, bytes, errors].map(ToString::to_string).to_vec()
}
