//! `/server` and `/orgs`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query};
use serde::Deserialize;

use super::Admin;
use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::OrgId;
use crate::flow::create_org::create_org;
use crate::flow::delete_org::{delete_org, end_grace, restore_org};
use crate::flow::find_org::{list_deleted_orgs, list_orgs};
use crate::flow::purge_orgs::purge_org;
use crate::flow::rename_org::rename_org;
use crate::org::Purged;
use crate::org::record::{DeletedOrgRecord, OrgRecord};
use crate::system::Deletion;

pub(super) async fn server(admin: Data<Admin>) -> Json<api::Server> {
    let clock_drift_ms = admin.context.clock.wall_drift_ms();
    Json(api::Server { clock_drift_ms, ..admin.server.clone() })
}

fn shape((id, record): (OrgId, OrgRecord)) -> api::Org {
    let OrgRecord { name, created_at } = record;
    api::Org { id: id.to_string(), name, created_at, deleted_at: None, purge_at: None }
}

fn deleted_shape((id, record): (OrgId, DeletedOrgRecord)) -> api::Org {
    api::Org {
        id: id.to_string(),
        name: record.name,
        created_at: record.created_at,
        deleted_at: Some(record.deleted_at),
        purge_at: Some(record.purge_at),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFlags {
    #[serde(default)]
    deleted: bool,
}

pub(super) async fn list(admin: Data<Admin>, flags: Query<ListFlags>) -> Result<Json<api::Orgs>, Refused> {
    let living = list_orgs(&admin.registry, &admin.index).await?;
    let mut orgs: Vec<_> = living.into_iter().map(shape).collect();
    if flags.deleted {
        let deleted = list_deleted_orgs(&admin.registry, &admin.index).await?;
        orgs.extend(deleted.into_iter().map(deleted_shape));
    }
    Ok(Json(api::Orgs { orgs }))
}

pub(super) async fn create(admin: Acting, body: Json<api::CreateOrg>) -> Result<HttpResponse, Refused> {
    let created =
        create_org(&admin.registry, &admin.index, &admin.context, admin.author(), &body.name).await?;
    tracing::info!(org = %created.0, "an organization was created");
    Ok(HttpResponse::Created().json(shape(created)))
}

pub(super) async fn get(admin: Acting, org: Path<String>) -> Result<Json<api::Org>, Refused> {
    let org = admin.org(&org).await?;
    Ok(Json(shape((org.id(), org.record().await?))))
}

pub(super) async fn rename(
    admin: Acting,
    org: Path<String>,
    body: Json<api::ChangeOrg>,
) -> Result<Json<api::Org>, Refused> {
    let org = admin.org(&org).await?;
    let record = rename_org(&admin.registry, &admin.index, &org, &body.name).await?;
    tracing::info!(org = %org.id(), "an organization was renamed");
    Ok(Json(shape((org.id(), record))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteFlags {
    #[serde(default)]
    now: bool,
}

pub(super) async fn delete(
    admin: Acting,
    org: Path<String>,
    flags: Query<DeleteFlags>,
) -> Result<Json<api::DeletedOrg>, Refused> {
    let (id, deleted) = match admin.org(&org).await {
        Ok(org) => {
            let grace = if flags.now { std::time::Duration::ZERO } else { admin.delete_grace };
            (org.id(), delete_org(&admin.index, &admin.context, &org, grace).await?)
        }
        Err(error) if flags.now && error.is_missing() => {
            end_grace(&admin.registry, &admin.index, &admin.context, admin.author(), &org).await?
        }
        Err(error) => return Err(error),
    };
    tracing::info!(org = %id, purge_at = %deleted.purge_at, "an organization was deleted");
    let purged = purged(&admin, id, &deleted).await;
    let DeletedOrgRecord { name, purge_at, .. } = deleted;
    Ok(Json(api::DeletedOrg { deleted: true, id: id.to_string(), name, purge_at, purged }))
}

/// Purges at once what is due at once. What is left, or fails, the sweep goes on with: deleted it is.
async fn purged(admin: &Admin, id: OrgId, deleted: &DeletedOrgRecord) -> bool {
    let now = admin.context.clock.now();
    if now < deleted.purge_at {
        return false;
    }
    let deletion = Deletion { org: id, name: deleted.name.clone(), due: deleted.purge_at };
    match purge_org(&admin.registry, &admin.index, deletion, now).await {
        Ok(purged) => purged == Purged::Gone,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a deleted organization is purged later"
            );
            false
        }
    }
}

pub(super) async fn restore(admin: Acting, org: Path<String>) -> Result<Json<api::Org>, Refused> {
    let restored = restore_org(&admin.registry, &admin.index, admin.author(), &org).await?;
    tracing::info!(org = %restored.0, "a deleted organization was restored");
    Ok(Json(shape(restored)))
}
