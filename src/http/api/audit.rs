//! `/orgs/{org}/audit`.

use actix_web::web::{Json, Path, Query};

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::flow::trail;
use crate::org::ChangeError;
use crate::org::audit::{AuditPage, AuditQuery, Via, Who};
use crate::org::record::AuditRecord;

/// Entries of a page where the client asks for no number.
const LIMIT_DEFAULT: usize = 100;
/// Most entries of a page: some 300 KB.
const LIMIT_MAX: usize = 1_000;

pub(super) async fn list(
    admin: Acting,
    org: Path<String>,
    query: Query<api::AuditQuery>,
) -> Result<Json<api::Audit>, Refused> {
    let query = read(query.into_inner())?;
    Ok(answer(admin.org(&org).await?.audit(query).await?))
}

/// `/users-audit`: what belongs to no organization.
pub(super) async fn of_users(
    admin: Acting,
    query: Query<api::AuditQuery>,
) -> Result<Json<api::Audit>, Refused> {
    Ok(answer(trail::list(&admin.people, read(query.into_inner())?).await?))
}

fn read(query: api::AuditQuery) -> Result<AuditQuery, ChangeError> {
    let api::AuditQuery { limit, before, since } = query;
    Ok(AuditQuery { before, since, limit: bounded(limit)? })
}

/// How many entries a page has.
pub(super) fn bounded(limit: Option<usize>) -> Result<usize, ChangeError> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ChangeError::Invalid(format!("the limit is 1 to {LIMIT_MAX} entries")));
    }
    Ok(limit)
}

fn answer(page: AuditPage) -> Json<api::Audit> {
    Json(api::Audit { entries: page.entries.into_iter().map(shape).collect(), next: page.next })
}

fn shape((number, record): (u64, AuditRecord)) -> api::AuditEntry {
    let AuditRecord { at, who, via, address, action, target, details } = record;
    let (kind, uid, user) = match who {
        Who::Operator { uid, user } => ("operator", Some(uid), user),
        Who::User { email, .. } => ("user", None, Some(email)),
        Who::App { name, client, .. } => ("app", None, Some(if name.is_empty() { client } else { name })),
        Who::Sequel => ("sequel", None, None),
    };
    let via = match via {
        Via::AdminSocket => "admin_socket",
        Via::Command => "command",
        Via::Dashboard => "dashboard",
        Via::OAuth => "oauth",
        Via::Sequel => "sequel",
    };
    api::AuditEntry {
        number,
        at,
        by: api::AuditBy {
            kind: kind.to_owned(),
            uid,
            user,
            via: via.to_owned(),
            address: address.map(|address| address.to_string()),
        },
        action,
        target: api::AuditTarget { kind: target.kind, id: target.id, name: target.name },
        details,
    }
}
