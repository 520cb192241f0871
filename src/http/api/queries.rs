//! `/orgs/{org}/audit/queries`.

use actix_web::web::{Json, Path, Query};

use super::acting::Acting;
use super::audit::bounded;
use super::problem::Refused;
use super::usage::source;
use crate::api;
use crate::org::names::Names;
use crate::org::query_pages::{QueryAsk, QueryFilter};
use crate::org::record::{QueryCall, QueryOutcome, QueryRecord};
use crate::org::{ChangeError, Org};

pub(super) async fn list(
    admin: Acting,
    org: Path<String>,
    query: Query<api::QueryLogQuery>,
) -> Result<Json<api::QueryLog>, Refused> {
    let org = admin.org(&org).await?;
    let names = org.names().await?;
    let page = org.queries(&read(&org, &names, query.into_inner())?).await?;
    let entries = page.entries.into_iter().map(|(number, entry)| shape(&names, number, entry)).collect();
    Ok(Json(api::QueryLog { entries, next: page.next }))
}

fn read(org: &Org, names: &Names, query: api::QueryLogQuery) -> Result<QueryAsk, ChangeError> {
    let api::QueryLogQuery { limit, before, since, by, source: of, outcome } = query;
    let outcome = outcome.map(|word| {
        QueryOutcome::of(&word).ok_or_else(|| {
            let words: Vec<_> = QueryOutcome::ALL.iter().map(|outcome| outcome.word()).collect();
            ChangeError::Invalid(format!("there is no such outcome; use one of: {}", words.join(", ")))
        })
    });
    let filter = QueryFilter {
        by: match by {
            Some(word) => Some(names.meant(&word)).filter(|meant| !meant.is_empty()).map_or_else(
                || Err(ChangeError::NotFound("API key, app or person")),
                |meant| Ok(Some(meant)),
            )?,
            None => None,
        },
        source: of.map(|word| source(org, &word)).transpose()?,
        outcome: outcome.transpose()?,
    };
    Ok(QueryAsk { before, since, limit: bounded(limit)?, filter })
}

fn shape(names: &Names, number: u64, entry: QueryRecord) -> api::QueryLogEntry {
    let call = match entry {
        QueryRecord::Call(call) => call,
        QueryRecord::Lost { at, calls } => {
            return api::QueryLogEntry::Lost { number, at, calls };
        }
    };
    let named = names.key(call.by);
    let QueryCall { at, tool, request, outcome, why, rows, bytes, waited_ms, ran_ms, asked, .. } = call;
    api::QueryLogEntry::Call {
        number,
        at,
        by: api::QueryBy {
            kind: if call.app { "app" } else { "key" }.to_owned(),
            id: call.by.to_string(),
            name: named.map(|named| named.name.clone()),
            person: named.and_then(|named| named.person.clone()),
        },
        source: call.source.to_string(),
        source_name: names.source(call.source).map(str::to_owned),
        tool,
        request,
        outcome: outcome.word().to_owned(),
        why: why.map(|why| why.into_owned()),
        rows,
        bytes,
        waited_ms,
        ran_ms,
        asked,
    }
}
