//! *Audit log → Queries*: every call that touched a data source, to be read, filtered and taken along. Who may not read
//! the audit trail sees those of their own keys and apps.

use serde_json::Value;

use super::reply::{Failed, Reply};
use super::visit::{DAY, Inside, Outcome};
use crate::credential::{ACCESS_MARKER, KEY_MARKER};
use crate::org::names::Names;
use crate::org::query_pages::{self, QueryAsk, QueryPage};
use crate::org::record::{QueryCall, QueryOutcome, QueryRecord};
use crate::pages::{Ended, Name, Paging, Pick, Queries, QueryDetail, QueryFilter, QueryLine, QueryRow, Room};

/// Entries of one page.
const PAGE: usize = 50;
/// Most entries of an export.
const EXPORTED_MAX: usize = 100_000;
/// Entries that are read at once.
const AT_ONCE: usize = 1_000;

fn label(outcome: QueryOutcome) -> &'static str {
    match outcome {
        QueryOutcome::Ok => "Answered",
        QueryOutcome::Truncated => "Cut",
        QueryOutcome::Refused => "Refused",
        QueryOutcome::SqlError => "SQL error",
        QueryOutcome::TimedOut => "Timed out",
        QueryOutcome::Busy => "Busy",
        QueryOutcome::Limit => "Limit met",
        QueryOutcome::CannotOpen => "Cannot be opened",
        QueryOutcome::Unavailable => "Unavailable",
        QueryOutcome::Cancelled => "Cancelled",
        QueryOutcome::Disconnected => "Client left",
        QueryOutcome::Revoked => "Revoked",
        QueryOutcome::SourceRemoved => "Source removed",
        QueryOutcome::Shutdown => "Server stopped",
        QueryOutcome::Internal => "Internal error",
    }
}

/// A number that is read and not reckoned with.
fn shown(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Inside {
    fn query_filter(&self) -> QueryFilter {
        let word = |name| self.query.trimmed(name).to_owned();
        QueryFilter { source: word("source"), by: word("by"), outcome: word("outcome"), since: word("since") }
    }

    /// What a filter asks for; `None` where nothing can match it.
    fn query_ask(&self, filter: &QueryFilter, names: &Names) -> Option<QueryAsk> {
        let days = filter.since.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        let some = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty());
        let by = some(&filter.by).map(|word| names.meant(&word));
        let outcome = some(&filter.outcome).map(|word| QueryOutcome::of(&word));
        let source = some(&filter.source).map(|word| word.parse().ok());
        if by.as_ref().is_some_and(Vec::is_empty) || outcome == Some(None) || source == Some(None) {
            return None;
        }
        Some(QueryAsk {
            before: None,
            since: days.map(|days| self.now.minus(DAY * days.min(3_650))),
            limit: PAGE,
            filter: query_pages::QueryFilter { by, source: source.flatten(), outcome: outcome.flatten() },
        })
    }

    fn query_row(&self, number: u64, call: &QueryCall, names: &Names) -> QueryRow {
        let named = names.key(call.by);
        let marker = if call.app { ACCESS_MARKER } else { KEY_MARKER };
        let source = names.source(call.source).map_or_else(|| call.source.to_string(), str::to_owned);
        QueryRow {
            id: number.to_string(),
            tool: Name::new(call.tool.clone()),
            ended: Ended {
                label: label(call.outcome),
                why: call.why.as_ref().map(|why| Name::new(why.as_ref())),
                is_answer: call.outcome.is_answer(),
            },
            by: Name::new(named.map_or_else(|| format!("{marker}{}…", call.by), |named| named.name.clone())),
            person: named.and_then(|named| named.person.clone()).map(Name::new),
            source: Name::new(source),
            rows: shown(call.rows),
            waited_ms: shown(call.waited_ms),
            ran_ms: shown(call.ran_ms),
            at: self.when(call.at),
            asked: call.asked.clone().map(Name::new),
        }
    }
}

pub(super) async fn list(inside: Inside) -> Outcome {
    let filter = inside.query_filter();
    let names = inside.member.names().await?;
    let before = inside.query.get("before").parse().ok();
    let page = match inside.query_ask(&filter, &names) {
        Some(ask) => inside.member.queries(QueryAsk { before, ..ask }).await?,
        None => QueryPage::default(),
    };
    let query = filter.query();
    let at = |before: Option<u64>| match before {
        Some(before) => format!("{}/queries?{query}&before={before}", inside.base()).replace("?&", "?"),
        None => format!("{}/queries?{query}", inside.base()),
    };
    let lines: Vec<_> = (page.entries.iter())
        .map(|(number, entry)| match entry {
            QueryRecord::Call(call) => QueryLine::Call(Box::new(inside.query_row(*number, call, &names))),
            QueryRecord::Lost { calls, .. } => QueryLine::Lost(*calls),
        })
        .collect();
    let sources = inside.member.list_sources()?;
    let sources = sources.iter().map(|source| Pick::new(source.id().to_string(), &source.record().name));
    let list = Queries {
        shell: inside.org_shell(Room::Audit).await?,
        filter,
        sources: sources.collect(),
        outcomes: QueryOutcome::ALL
            .iter()
            .map(|outcome| Pick::new(outcome.word(), label(*outcome)))
            .collect(),
        paging: Paging {
            shown: lines.len(),
            total: lines.len(),
            previous: before.is_some().then(|| at(None)),
            next: page.next.map(|next| at(Some(next))),
        },
        lines,
        kept_days: inside.dashboard().query_days.map(u64::from),
    };
    inside.show(&list)
}

pub(super) async fn export(inside: Inside) -> Outcome {
    let names = inside.member.names().await?;
    let mut entries: Vec<Value> = Vec::new();
    let mut is_complete = true;
    let mut ask = inside.query_ask(&inside.query_filter(), &names);
    while let Some(wanted) = &mut ask {
        wanted.limit = AT_ONCE;
        let page = inside.member.queries(wanted.clone()).await?;
        entries.extend(page.entries.iter().map(|(number, entry)| exported(*number, entry, &names)));
        wanted.before = page.next;
        is_complete = page.next.is_none();
        if is_complete || entries.len() >= EXPORTED_MAX {
            break;
        }
    }
    let export = serde_json::json!({ "entries": entries, "complete": is_complete });
    let name = format!("sequel-queries-{}.json", inside.member.org_id());
    let json =
        serde_json::to_vec_pretty(&export).map_err(|_| Failed::Page(crate::pages::FailureKind::Internal))?;
    Ok(Reply::download(&name, json))
}

fn exported(number: u64, entry: &QueryRecord, names: &Names) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("number".into(), number.into());
        if let QueryRecord::Call(call) = entry {
            let named = names.key(call.by);
            fields.insert("by_name".into(), named.map(|named| named.name.clone()).into());
            fields.insert("person".into(), named.and_then(|named| named.person.clone()).into());
            fields.insert("source_name".into(), names.source(call.source).into());
        }
    }
    value
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let number: u64 = inside.part("entry").parse().map_err(|_| Failed::NOT_FOUND)?;
    let call = inside.member.query_entry(number).await?;
    let names = inside.member.names().await?;
    let base = inside.base();
    let room = if call.app { "apps" } else { "keys" };
    let page = QueryDetail {
        shell: inside.org_shell(Room::Audit).await?,
        row: inside.query_row(number, &call, &names),
        bytes: shown(call.bytes),
        request: Name::new(call.request.clone()),
        by_id: call.by.to_string(),
        by_link: names.key(call.by).map(|_| format!("{base}/{room}/{}", call.by)),
        source_link: names.source(call.source).map(|_| format!("{base}/sources/{}", call.source)),
    };
    inside.show(&page)
}
