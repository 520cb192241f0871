//! *Audit log*: every change, to be read, filtered and taken along.

use serde_json::Value;

use super::reply::{Failed, Reply};
use super::visit::{DAY, Inside, Outcome};
use crate::context::Timestamp;
use crate::org::audit::{AuditQuery, Via, Who};
use crate::org::record::AuditRecord;
use crate::pages::{Audit, AuditDetail, AuditFilter, AuditRow, Name, Paging, Room};

/// Entries of one page.
const PAGE: usize = 50;
/// Entries that one page looks through for those that its filter lets through.
const LOOKED_AT_MAX: usize = 5_000;
/// Most entries of an export.
const EXPORTED_MAX: usize = 100_000;
/// Entries that are read at once.
const AT_ONCE: usize = 500;

impl Inside {
    fn audit_filter(&self) -> AuditFilter {
        let query = &self.query;
        let word = |name| query.trimmed(name).to_owned();
        AuditFilter { what: word("what"), who: word("who"), since: word("since"), on: word("on") }
    }

    fn since(&self, filter: &AuditFilter) -> Option<Timestamp> {
        let days: u32 = filter.since.strip_suffix('d')?.parse().ok()?;
        Some(self.now.minus(DAY * days.min(3_650)))
    }

    fn audit_row(&self, number: u64, record: &AuditRecord) -> AuditRow {
        AuditRow {
            id: number.to_string(),
            action: record.action.clone(),
            who: Name::new(who(&record.who)),
            via: via(record.via).to_owned(),
            on: Name::new(record.target.name.clone()),
            from: record.address.map(|address| address.to_string()),
            at: self.when(record.at),
        }
    }
}

fn who(who: &Who) -> String {
    match who {
        Who::Operator { user: Some(user), .. } => user.clone(),
        Who::Operator { uid, user: None } => format!("user {uid} of this machine"),
        Who::User { email, .. } => email.clone(),
        Who::App { name, client, .. } => format!("{} (app)", if name.is_empty() { client } else { name }),
        Who::Sequel => "Sequel".to_owned(),
    }
}

fn via(via: Via) -> &'static str {
    match via {
        Via::AdminSocket | Via::Command => "Command line",
        Via::Dashboard => "Dashboard",
        Via::OAuth => "OAuth",
        Via::Sequel => "By itself",
    }
}

/// Whether a filter lets an entry through.
fn lets_through(filter: &AuditFilter, record: &AuditRecord) -> bool {
    let family = record.action.split('.').next().unwrap_or_default();
    // An invitation is an affair of members.
    let family = if family == "invitation" { "member" } else { family };
    (filter.what.is_empty() || family == filter.what)
        && (filter.on.is_empty() || record.target.id == filter.on)
        && (filter.who.is_empty() || who(&record.who).to_lowercase().contains(&filter.who.to_lowercase()))
}

/// Entries that a filter lets through, newest first, at most `most` of at most `looked_at`; and where to go on.
async fn found(
    inside: &Inside,
    filter: &AuditFilter,
    mut before: Option<u64>,
    (most, looked_at): (usize, usize),
) -> Result<(Vec<(u64, AuditRecord)>, Option<u64>), Failed> {
    let since = inside.since(filter);
    let (mut found, mut looked) = (Vec::new(), 0);
    loop {
        let page = inside.member.audit(AuditQuery { before, since, limit: AT_ONCE }).await?;
        let next = page.next;
        for (number, record) in page.entries {
            if found.len() == most {
                // What comes next begins behind the last one that is shown.
                return Ok((found, Some(number + 1)));
            }
            looked += 1;
            if lets_through(filter, &record) {
                found.push((number, record));
            }
        }
        match next {
            Some(next) if looked < looked_at => before = Some(next),
            next => return Ok((found, next)),
        }
    }
}

pub(super) async fn list(inside: Inside) -> Outcome {
    let filter = inside.audit_filter();
    let before = inside.query.get("before").parse().ok();
    let (entries, next) = found(&inside, &filter, before, (PAGE, LOOKED_AT_MAX)).await?;
    let query = filter.query();
    let at = |before: Option<u64>| match before {
        Some(before) => format!("{}/audit?{query}&before={before}", inside.base()).replace("?&", "?"),
        None => format!("{}/audit?{query}", inside.base()),
    };
    let paging = Paging {
        shown: entries.len(),
        total: entries.len(),
        previous: before.is_some().then(|| at(None)),
        next: next.map(|next| at(Some(next))),
    };
    let page = Audit {
        shell: inside.org_shell(Room::Audit).await?,
        rows: entries.iter().map(|(number, record)| inside.audit_row(*number, record)).collect(),
        filter,
        paging,
        kept_days: u64::from(inside.dashboard().audit_days),
    };
    inside.show(&page)
}

pub(super) async fn export(inside: Inside) -> Outcome {
    let filter = inside.audit_filter();
    let (entries, next) = found(&inside, &filter, None, (EXPORTED_MAX, usize::MAX)).await?;
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(number, record)| {
            let mut entry = serde_json::to_value(&record).unwrap_or_default();
            if let Value::Object(fields) = &mut entry {
                fields.insert("number".into(), number.into());
                fields.insert("at".into(), record.at.to_string().into());
            }
            entry
        })
        .collect();
    let export = serde_json::json!({ "entries": entries, "complete": next.is_none() });
    let name = format!("sequel-audit-{}.json", inside.member.org_id());
    let json =
        serde_json::to_vec_pretty(&export).map_err(|_| Failed::Page(crate::pages::FailureKind::Internal))?;
    Ok(Reply::download(&name, json))
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let number: u64 = inside.part("entry").parse().map_err(|_| Failed::NOT_FOUND)?;
    let query = AuditQuery { before: Some(number.saturating_add(1)), since: None, limit: 1 };
    let page = inside.member.audit(query).await?;
    let (_, record) =
        page.entries.into_iter().find(|(found, _)| *found == number).ok_or(Failed::NOT_FOUND)?;
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut details: Vec<_> = record
        .details
        .iter()
        .map(|(name, value)| (name.replace('_', " "), Name::new(plain(value))))
        .collect();
    details.push((format!("id of the {}", record.target.kind), Name::new(record.target.id.clone())));
    let on_link = on_link(&inside, &record);
    let row = inside.audit_row(number, &record);
    inside.show(&AuditDetail { shell: inside.org_shell(Room::Audit).await?, row, details, on_link })
}

/// The page of what was changed. It may be gone: then its address says so.
fn on_link(inside: &Inside, record: &AuditRecord) -> Option<String> {
    let base = inside.base();
    match record.target.kind.as_str() {
        "key" => Some(format!("{base}/keys/{}", record.target.id)),
        "source" => Some(format!("{base}/sources/{}", record.target.id)),
        "member" | "invitation" => Some(format!("{base}/members")),
        "org" => Some(format!("{base}/settings")),
        _ => None,
    }
}
