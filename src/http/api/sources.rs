//! `/orgs/{org}/sources`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Json, Path};

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::SourceId;
use crate::org::record::SourceRecord;
use crate::org::sources::{NewSource, SourceEdit};
use crate::org::{Source, Tried};

fn shape(id: SourceId, record: SourceRecord) -> api::Source {
    let SourceRecord { name, kind, settings, secrets, description, created_at } = record;
    // By name alone: nothing gives a secret out.
    let secrets = secrets.map(|sealed| sealed.names).unwrap_or_default();
    api::Source { id: id.to_string(), name, kind, settings, secrets, description, created_at }
}

/// What data sources are called; one that was removed by its id.
pub(super) fn names_of(sources: &[Arc<Source>], ids: &[SourceId]) -> Vec<String> {
    let name_of = |id: &SourceId| {
        let found = sources.iter().find(|source| source.id() == *id);
        found.map_or_else(|| id.to_string(), |source| source.record().name.clone())
    };
    ids.iter().map(name_of).collect()
}

pub(super) async fn list(admin: Acting, org: Path<String>) -> Result<Json<api::Sources>, Refused> {
    let org = admin.org(&org).await?;
    let sources = org.list_sources()?;
    let sources = sources.iter().map(|source| shape(source.id(), source.record().clone())).collect();
    Ok(Json(api::Sources { sources }))
}

pub(super) async fn get(admin: Acting, path: Path<(String, String)>) -> Result<Json<api::Source>, Refused> {
    let source = admin.org(&path.0).await?.find_source(&path.1)?;
    Ok(Json(shape(source.id(), source.record().clone())))
}

pub(super) async fn change(
    admin: Acting,
    path: Path<(String, String)>,
    body: Json<api::ChangeSource>,
) -> Result<Json<api::Source>, Refused> {
    let org = admin.org(&path.0).await?;
    let source = org.find_source(&path.1)?;
    let api::ChangeSource { name, settings, description } = body.into_inner();
    let record = org.alter_source(&source, SourceEdit { name, settings, description }).await?;
    tracing::info!(org = %org.id(), source = %source.id(), "a data source was changed");
    Ok(Json(shape(source.id(), record)))
}

pub(super) async fn add(
    admin: Acting,
    org: Path<String>,
    body: Json<api::AddSource>,
) -> Result<HttpResponse, Refused> {
    let org = admin.org(&org).await?;
    let api::AddSource { name, kind, settings, description } = body.into_inner();
    let (id, record) = org.add_source(NewSource { name, kind, settings, description }).await?;
    tracing::info!(org = %org.id(), source = %id, kind = record.kind, "a data source was added");
    Ok(HttpResponse::Created().json(shape(id, record)))
}

pub(super) async fn test(admin: Acting, path: Path<(String, String)>) -> Result<Json<api::Tested>, Refused> {
    let source = admin.org(&path.0).await?.find_source(&path.1)?;
    let Tried { error, warnings, elapsed_ms } = source.try_out(admin.test_timeout).await;
    Ok(Json(api::Tested { ok: error.is_none(), elapsed_ms, error, warnings }))
}

pub(super) async fn remove(
    admin: Acting,
    path: Path<(String, String)>,
) -> Result<Json<api::Deleted>, Refused> {
    let org = admin.org(&path.0).await?;
    let id = org.find_source(&path.1)?.id();
    let record = org.remove_source(id).await?;
    tracing::info!(org = %org.id(), source = %id, "a data source was removed");
    Ok(Json(api::Deleted { deleted: true, id: id.to_string(), name: record.name }))
}
