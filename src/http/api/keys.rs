//! `/orgs/{org}/keys`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Json, Path};

use super::acting::Acting;
use super::problem::Refused;
use super::sources::names_of;
use crate::api;
use crate::context::Timestamp;
use crate::credential::{KeyId, prefix};
use crate::flow::keys::alter_as_operator;
use crate::org::keys::{ListedKey, NewKey};
use crate::org::record::{KeyStatus, Owner};
use crate::org::{ChangeError, Org, Source};

pub(super) async fn create(
    admin: Acting,
    org: Path<String>,
    body: Json<api::CreateKey>,
) -> Result<HttpResponse, Refused> {
    let org = admin.org(&org).await?;
    let api::CreateKey { name, expires_at, sources } = body.into_inner();
    let minted = org.create_key(NewKey { name, expires_at, sources, made_for: None }).await?;
    tracing::info!(org = %org.id(), key = prefix(&minted.id), "an API key was created");
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(api::CreatedKey {
        id: minted.id.to_string(),
        name: minted.record.name,
        prefix: prefix(&minted.id),
        key: minted.plain.reveal().to_owned(),
        org: org.id().to_string(),
        expires_at: minted.record.expires_at,
    }))
}

pub(super) async fn list(admin: Acting, org: Path<String>) -> Result<Json<api::Keys>, Refused> {
    let org = admin.org(&org).await?;
    let now = admin.context.clock.now();
    let sources = org.list_sources()?;
    let owners = owners(&org).await?;
    let keys = org.list_keys().await?.into_iter().map(|key| shape((&sources, &owners), key, now)).collect();
    Ok(Json(api::Keys { keys }))
}

/// The members' addresses by their ids.
async fn owners(org: &Org) -> Result<HashMap<String, String>, ChangeError> {
    let members = org.list_members().await?;
    Ok(members.into_iter().map(|member| (member.user.to_string(), member.record.email)).collect())
}

fn shape(
    (sources, owners): (&[Arc<Source>], &HashMap<String, String>),
    key: ListedKey,
    now: Timestamp,
) -> api::Key {
    let ListedKey { id, record, last_used_at } = key;
    api::Key {
        id: id.to_string(),
        prefix: prefix(&id),
        owner: match &record.owner {
            Owner::Org => None,
            Owner::User { id } => Some(owners.get(id).unwrap_or(id).clone()),
        },
        created_at: record.created_at,
        last_used_at,
        expires_at: record.expires_at,
        enabled: record.enabled,
        suspended_at: record.suspended.map(|suspension| suspension.at),
        sources: record.sources.as_deref().map(|ids| names_of(sources, ids)),
        previous_valid_until: record.overlaps(now).collect(),
        status: status(record.status(now)),
        name: record.name,
    }
}

fn status(status: KeyStatus) -> api::KeyStatus {
    match status {
        KeyStatus::Active => api::KeyStatus::Active,
        KeyStatus::Expired => api::KeyStatus::Expired,
        KeyStatus::Disabled => api::KeyStatus::Disabled,
        KeyStatus::Suspended => api::KeyStatus::Suspended,
    }
}

async fn find(admin: &Acting, path: &(String, String)) -> Result<(Org, KeyId), Refused> {
    let org = admin.org(&path.0).await?;
    let key = org.find_key(&path.1).await?;
    Ok((org, key))
}

pub(super) async fn get(admin: Acting, path: Path<(String, String)>) -> Result<Json<api::Key>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    shown(&admin, &org, id).await
}

async fn shown(admin: &Acting, org: &Org, id: KeyId) -> Result<Json<api::Key>, Refused> {
    let (key, owners) = (org.key(id).await?, owners(org).await?);
    Ok(Json(shape((&org.list_sources()?, &owners), key, admin.context.clock.now())))
}

pub(super) async fn change(
    admin: Acting,
    path: Path<(String, String)>,
    body: Json<api::ChangeKey>,
) -> Result<Json<api::Key>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    let api::ChangeKey { name, enabled } = body.into_inner();
    alter_as_operator(&admin.people, &org, id, (name, enabled)).await?;
    tracing::info!(org = %org.id(), key = prefix(&id), enabled, "an API key was changed");
    shown(&admin, &org, id).await
}

pub(super) async fn rotate(
    admin: Acting,
    path: Path<(String, String)>,
    body: Json<api::RotateKey>,
) -> Result<HttpResponse, Refused> {
    let overlap = body.overlap_seconds.map_or(admin.rotate_overlap, Duration::from_secs);
    if overlap > admin.rotate_overlap_max {
        let most = admin.rotate_overlap_max.as_secs();
        return Err(ChangeError::Invalid(format!("the overlap is at most {most} seconds here")).into());
    }
    let (org, id) = find(&admin, &path).await?;
    let minted = org.rotate_key(id, overlap).await?;
    tracing::info!(org = %org.id(), key = prefix(&id), overlap_seconds = overlap.as_secs(), "an API key was rotated");
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(api::RotatedKey {
        id: id.to_string(),
        prefix: prefix(&id),
        key: minted.plain.reveal().to_owned(),
        previous_valid_until: minted.record.previous.first().map(|previous| previous.valid_until),
        name: minted.record.name,
    }))
}

pub(super) async fn delete(
    admin: Acting,
    path: Path<(String, String)>,
) -> Result<Json<api::Deleted>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    let record = org.delete_key(id).await?;
    tracing::info!(org = %org.id(), key = prefix(&id), "an API key was deleted");
    Ok(Json(api::Deleted { deleted: true, id: id.to_string(), name: record.name }))
}
