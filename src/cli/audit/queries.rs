//! `sequel audit queries`.

use crate::api;
use crate::cli::answer::{Answer, clean, second, table};
use crate::cli::client::segment;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::time::{Past, parse_past};
use crate::cli::{OrgArg, World};

use super::PAGE;

/// List the calls that touched data sources, the newest first: who asked what of which, how it ended; never its data
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    org: OrgArg,
    /// Only calls since then: a duration (7d, 12h), a date or a time
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    since: Option<Past>,
    /// Only those of a key, an app or a person: a part of the name or address, an id or a prefix
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Only those that touched this data source, by name or id
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only those that ended so: ok, truncated, refused, sql_error, timed_out, busy, revoked, …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

const HEADER: &[&str] = &[
    "time", "by", "person", "source", "tool", "outcome", "rows", "bytes", "waited", "ran", "request", "asked",
];

pub(in crate::cli) async fn run(
    args: Args,
    session: &mut Session,
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let (org, path) = session.org(args.org.org).await?;
    let mut filter = String::new();
    for (name, value) in [("by", &args.by), ("source", &args.source), ("outcome", &args.outcome)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    if let Some(since) = args.since {
        // RFC 3339 in UTC has no character that a query string gives a meaning to.
        filter.push_str(&format!("&since={}", since.before(world.clock.now())));
    }
    let wanted = args.limit as usize;
    let mut log = api::QueryLog { entries: Vec::new(), next: None };
    loop {
        let limit = (wanted - log.entries.len()).min(PAGE);
        let before = log.next.map(|before| format!("&before={before}")).unwrap_or_default();
        let page: api::QueryLog =
            session.client.get(&format!("{path}/audit/queries?limit={limit}{before}{filter}")).await?;
        log.entries.extend(page.entries);
        log.next = page.next;
        if log.next.is_none() || log.entries.len() >= wanted {
            break;
        }
    }
    let text = match log.entries.is_empty() {
        true if filter.is_empty() => {
            format!("{} has asked its data sources nothing yet, or audit.queries is \"never\".", clean(&org))
        }
        true => format!("No call of {} matches.", clean(&org)),
        false => table(HEADER, log.entries.iter().map(row)),
    };
    Ok(Answer::new(&log, text))
}

fn row(entry: &api::QueryLogEntry) -> Vec<String> {
    use api::QueryLogEntry::{Call, Lost};
    let gone = |id: &str| format!("{id} (gone)");
    match entry {
        Lost { at, calls, .. } => {
            let said = format!("({calls} entries found no room)");
            [vec![second(*at), said], vec![String::new(); HEADER.len() - 2]].concat()
        }
        Call { at, by, source, source_name, tool, request, outcome, why, asked, .. } => {
            let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let mut row = vec![
                second(*at),
                by.name.clone().unwrap_or_else(|| gone(&by.id)),
                by.person.clone().unwrap_or_default(),
                source_name.clone().unwrap_or_else(|| gone(source)),
                tool.clone(),
                format!("{outcome}{why}"),
            ];
            row.extend(numbers(entry));
            row.extend([request.clone(), asked.clone().unwrap_or_default()]);
            row
        }
    }
}

fn numbers(entry: &api::QueryLogEntry) -> Vec<String> {
    let api::QueryLogEntry::Call { rows, bytes, waited_ms, ran_ms, .. } = entry else { return Vec::new() };
    vec![rows.to_string(), bytes.to_string(), format!("{waited_ms} ms"), format!("{ran_ms} ms")]
}
