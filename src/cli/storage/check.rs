//! `sequel storage check`.

use serde::Serialize;

use crate::backends;
use crate::backup::{BackupError, Checker, Decoder, Finding, Holds, Item};
use crate::cli::answer::{Answer, clean};
use crate::cli::backup::broken_off;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::{Global, World};

/// Read every record of the store and say what is wrong, and how much it holds; changes nothing
///
/// Works while the server runs, on one moment of it. Exit code 1 where something is wrong.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    findings: Vec<Found>,
    more_findings: u64,
    holds: Held,
}

#[derive(Serialize)]
struct Found {
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    message: String,
}

#[derive(Serialize)]
struct Held {
    organizations: u64,
    deleted_organizations: u64,
    keys: u64,
    suspended_keys: u64,
    sources: u64,
    audit_entries: u64,
    usage: u64,
    queries: u64,
    records: u64,
    bytes: u64,
}

pub(super) fn run(Args {}: Args, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    let config = global.load(world, None)?.config;
    // What the backend itself says of its files, where it can be asked while another process holds them.
    let damage = backends::inspect_store(&config)?.and_then(|found| found.damage);
    let now = world.clock.now();
    Session::with(&config, global.repeated(), world, async |session, _| {
        let (findings, more, holds) = match (records(session, Checker::new(now)).await, &damage) {
            // Why it broke off is known then.
            (Err(Failure::Backup(BackupError::BrokenOff(_))), Some(damage)) => {
                return Err(BackupError::DamagedStore(clean(damage)).into());
            }
            (records, _) => records?,
        };
        let own =
            damage.map(|damage| Found { scope: "store".into(), key: None, message: format!("{damage}.") });
        let findings = own.into_iter().chain(findings.into_iter().map(found)).collect();
        Ok(answer(findings, more, holds))
    })
}

async fn records(session: &mut Session, mut checker: Checker) -> Result<(Vec<Finding>, u64, Holds), Failure> {
    let mut pieces = session.client.stream("/backup").await.map_err(broken_off)?;
    let mut decoder = Decoder::default();
    while let Some(piece) = pieces.next().await.map_err(broken_off)? {
        decoder.push(&piece);
        while let Some(item) = decoder.item()? {
            if let Item::Record(entry) = item {
                checker.add(&entry);
            }
        }
    }
    decoder.finish()?;
    Ok(checker.finish())
}

fn found(Finding { scope, key, message }: Finding) -> Found {
    Found { scope, key, message }
}

fn answer(findings: Vec<Found>, more_findings: u64, holds: Holds) -> Answer {
    let mut lines: Vec<String> = findings
        .iter()
        .map(|found| {
            let key = found.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
            clean(&format!("{}{key}: {}", found.scope, found.message))
        })
        .collect();
    if more_findings > 0 {
        lines.push(format!("… and {more_findings} more."));
    }
    let ok = findings.is_empty();
    lines.push(match ok {
        true => "Every record is sound. The store holds:".to_owned(),
        false => "Keep a copy of the store, and restore a backup. The store holds:".to_owned(),
    });
    for (what, count) in [
        ("organizations", holds.orgs),
        ("deleted organizations", holds.deleted_orgs),
        ("API keys", holds.keys),
        ("suspended API keys", holds.suspended_keys),
        ("data sources", holds.sources),
        ("audit entries", holds.audit_entries),
        ("usage sums", holds.usage),
        ("logged queries", holds.queries),
        ("records in all", holds.records),
        ("bytes of records", holds.bytes),
    ] {
        lines.push(format!("{count:>12}  {what}"));
    }
    let holds = Held {
        organizations: holds.orgs,
        deleted_organizations: holds.deleted_orgs,
        keys: holds.keys,
        suspended_keys: holds.suspended_keys,
        sources: holds.sources,
        audit_entries: holds.audit_entries,
        usage: holds.usage,
        queries: holds.queries,
        records: holds.records,
        bytes: holds.bytes,
    };
    let mut answer = Answer::new(&Checked { ok, findings, more_findings, holds }, lines.join("\n"));
    answer.exit = u8::from(!ok);
    answer
}
