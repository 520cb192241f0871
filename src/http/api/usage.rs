//! `/orgs/{org}/usage`.

use actix_web::web::{Json, Path, Query};

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::{KeyId, SourceId};
use crate::org::names::Names;
use crate::org::record::UsageRecord;
use crate::org::usage::{UsageLine, UsageQuery, day_of};
use crate::org::{ChangeError, Org};

/// Days of a list where the client asks for no number.
const DAYS_DEFAULT: u32 = 30;
/// Most days; ten years are as good as all.
const DAYS_MAX: u32 = 3_650;

pub(super) async fn list(
    admin: Acting,
    org: Path<String>,
    query: Query<api::UsageQuery>,
) -> Result<Json<api::Usage>, Refused> {
    let api::UsageQuery { key, source, days } = query.into_inner();
    let days = days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(ChangeError::Invalid(format!("usage is told for 1 to {DAYS_MAX} days")).into());
    }
    let org = admin.org(&org).await?;
    let today = day_of(admin.context.clock.now());
    let names = org.names().await?;
    let report = org
        .usage(UsageQuery {
            from: today.saturating_sub(jiff::Span::new().days(i64::from(days) - 1)),
            key: match key {
                Some(word) => Some(self::key(&org, &word).await?),
                None => None,
            },
            source: match source {
                Some(word) => Some(self::source(&org, &word)?),
                None => None,
            },
        })
        .await?;
    Ok(Json(api::Usage {
        lines: report.lines.iter().map(|line| shape(&names, line)).collect(),
        total: amount(&report.total),
        truncated: report.truncated,
    }))
}

/// The key that is meant; also one that was deleted, by its id or prefix.
async fn key(org: &Org, word: &str) -> Result<KeyId, ChangeError> {
    let bare = word.strip_prefix(crate::credential::KEY_MARKER).unwrap_or(word);
    match org.find_key(word).await {
        Err(ChangeError::NotFound(what)) => bare.parse().map_err(|_| ChangeError::NotFound(what)),
        found => found,
    }
}

/// The data source that is meant; also one that was removed, by its id.
pub(super) fn source(org: &Org, word: &str) -> Result<SourceId, ChangeError> {
    match org.find_source(word) {
        Ok(source) => Ok(source.id()),
        Err(ChangeError::NotFound(what)) => word.parse().map_err(|_| ChangeError::NotFound(what)),
        Err(error) => Err(error),
    }
}

fn shape(names: &Names, line: &UsageLine) -> api::UsageLine {
    api::UsageLine {
        day: line.day.to_string(),
        key: line.key.to_string(),
        key_name: names.key(line.key).map(|key| key.name.clone()),
        source: line.source.map(|source| source.to_string()),
        source_name: line.source.and_then(|source| names.source(source)).map(str::to_owned),
        amount: amount(&line.usage),
    }
}

fn amount(usage: &UsageRecord) -> api::UsageAmount {
    let UsageRecord { calls, queries, rows, bytes, errors } = *usage;
    api::UsageAmount { calls, queries, rows, bytes, errors }
}
