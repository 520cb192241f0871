//! `sequel audit list` and `sequel audit queries`.

mod queries;

use super::OrgArg;
use super::World;
use super::answer::{Answer, clean, second, table};
use super::failure::Failure;
use super::session::Session;
use super::time::{Past, parse_past};
use crate::api;

/// Entries that one request brings.
const PAGE: usize = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(Args),
    Queries(queries::Args),
}

/// List the changes of an organization, the newest first: who did what, from where, when
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    org: OrgArg,
    #[command(flatten)]
    wanted: Wanted,
}

/// Which entries.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Only changes since then: a duration (7d, 12h), a date or a time
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    since: Option<Past>,
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

const HEADER: &[&str] = &["time", "who", "from", "action", "name", "id", "details"];

pub(super) async fn run(
    command: Command,
    session: &mut Session,
    world: &mut World<'_>,
) -> Result<Answer, Failure> {
    let args = match command {
        Command::List(args) => args,
        Command::Queries(args) => return queries::run(args, session, world).await,
    };
    let (org, path) = session.org(args.org.org).await?;
    args.wanted.list(&org, &format!("{path}/audit"), (session, world)).await
}

impl Wanted {
    /// The entries of the trail at a path, which is `whose`.
    pub(super) async fn list(
        self,
        whose: &str,
        path: &str,
        (session, world): (&mut Session, &World<'_>),
    ) -> Result<Answer, Failure> {
        let since = self.since.map(|since| since.before(world.clock.now()));
        let wanted = self.limit as usize;
        let mut audit = api::Audit { entries: Vec::new(), next: None };
        loop {
            let limit = (wanted - audit.entries.len()).min(PAGE);
            let mut query = format!("limit={limit}");
            if let Some(before) = audit.next {
                query.push_str(&format!("&before={before}"));
            }
            if let Some(since) = since {
                // RFC 3339 in UTC has no character that a query string gives a meaning to.
                query.push_str(&format!("&since={since}"));
            }
            let page: api::Audit = session.client.get(&format!("{path}?{query}")).await?;
            audit.entries.extend(page.entries);
            audit.next = page.next;
            if audit.next.is_none() || audit.entries.len() >= wanted {
                break;
            }
        }
        let text = if audit.entries.is_empty() {
            format!("{} has no entries{}.", clean(whose), if since.is_some() { " since then" } else { "" })
        } else {
            table(HEADER, audit.entries.iter().map(row))
        };
        Ok(Answer::new(&audit, text))
    }
}

fn row(entry: &api::AuditEntry) -> Vec<String> {
    let api::AuditBy { kind, uid, user, via, address } = &entry.by;
    let who = match (user, uid) {
        (Some(user), Some(uid)) => format!("{user} ({uid})"),
        (None, Some(uid)) => format!("uid {uid}"),
        (Some(address), None) => address.clone(),
        _ => kind.clone(),
    };
    let details: Vec<_> = entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        second(entry.at),
        who,
        address.clone().unwrap_or_else(|| via.replace('_', " ")),
        entry.action.clone(),
        entry.target.name.clone(),
        entry.target.id.clone(),
        details.join(" "),
    ]
}
