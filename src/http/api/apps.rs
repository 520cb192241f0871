//! `/orgs/{org}/apps` and `/orgs/{org}/app-policy`: authorized apps.

use std::sync::Arc;

use actix_web::web::{Json, Path};

use super::acting::Acting;
use super::problem::Refused;
use super::sources::names_of;
use crate::api;
use crate::context::Timestamp;
use crate::credential::GrantId;
use crate::oauth::scope::Scope;
use crate::org::apps::ListedApp;
use crate::org::grants::AppEdit;
use crate::org::record::{AppPolicyRecord, AppStatus, HttpsPolicy};
use crate::org::{ChangeError, Org, Source};

pub(super) async fn list(admin: Acting, org: Path<String>) -> Result<Json<api::Apps>, Refused> {
    let org = admin.org(&org).await?;
    let (sources, now) = (org.list_sources()?, admin.context.clock.now());
    let apps = org.list_apps(None).await?.into_iter().map(|app| shape(&sources, app, now)).collect();
    Ok(Json(api::Apps { apps }))
}

fn shape(sources: &[Arc<Source>], app: ListedApp, now: Timestamp) -> api::App {
    let ListedApp { id, record, email, last_used_at } = app;
    api::App {
        id: id.to_string(),
        ends_at: record.ends_at(),
        status: status(record.status(now)),
        name: record.client.name,
        uri: record.client.uri,
        client: record.client.id.to_string(),
        redirect: record.client.kind.word().to_owned(),
        host: record.client.host,
        user: email,
        scopes: record.scopes.iter().map(Scope::word).map(str::to_owned).collect(),
        sources: record.sources.as_deref().map(|ids| names_of(sources, ids)),
        created_at: record.created_at,
        last_used_at,
        seen_from: record.seen_from,
        expires_at: record.expires_at,
    }
}

fn status(status: AppStatus) -> api::AppStatus {
    match status {
        AppStatus::Active => api::AppStatus::Active,
        AppStatus::Pending => api::AppStatus::Pending,
        AppStatus::Expired => api::AppStatus::Expired,
    }
}

async fn find(admin: &Acting, path: &(String, String)) -> Result<(Org, GrantId), Refused> {
    let org = admin.org(&path.0).await?;
    let app = org.find_app(&path.1).await?;
    Ok((org, app))
}

pub(super) async fn get(admin: Acting, path: Path<(String, String)>) -> Result<Json<api::App>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    shown(&admin, &org, id).await
}

async fn shown(admin: &Acting, org: &Org, id: GrantId) -> Result<Json<api::App>, Refused> {
    Ok(Json(shape(&org.list_sources()?, org.app(id).await?, admin.context.clock.now())))
}

pub(super) async fn change(
    admin: Acting,
    path: Path<(String, String)>,
    body: Json<api::ChangeApp>,
) -> Result<Json<api::App>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    let api::ChangeApp { sources, expires_at } = body.into_inner();
    org.edit_app(id, AppEdit { sources, expires_at }).await?;
    tracing::info!(org = %org.id(), app = %id, "an authorized app was changed");
    shown(&admin, &org, id).await
}

pub(super) async fn revoke(
    admin: Acting,
    path: Path<(String, String)>,
) -> Result<Json<api::Deleted>, Refused> {
    let (org, id) = find(&admin, &path).await?;
    let record = org.revoke_app(id).await?;
    tracing::info!(org = %org.id(), app = %id, "an authorized app was revoked");
    Ok(Json(api::Deleted { deleted: true, id: id.to_string(), name: record.client.name }))
}

pub(super) async fn policy(admin: Acting, org: Path<String>) -> Result<Json<api::AppPolicy>, Refused> {
    let org = admin.org(&org).await?;
    Ok(Json(policy_shape(org.app_policy().await?, None)))
}

pub(super) async fn change_policy(
    admin: Acting,
    org: Path<String>,
    body: Json<api::ChangeAppPolicy>,
) -> Result<Json<api::AppPolicy>, Refused> {
    let org = admin.org(&org).await?;
    let policy = changed(org.app_policy().await?, body.into_inner())?;
    let ended = org.set_app_policy(policy).await?;
    tracing::info!(org = %org.id(), ended, "other apps may be authorized than before");
    Ok(Json(policy_shape(org.app_policy().await?, Some(ended))))
}

fn changed(
    mut policy: AppPolicyRecord,
    change: api::ChangeAppPolicy,
) -> Result<AppPolicyRecord, ChangeError> {
    let api::ChangeAppPolicy { loopback, private_schemes, https, https_hosts } = change;
    policy.loopback = loopback.unwrap_or(policy.loopback);
    policy.private_schemes = private_schemes.unwrap_or(policy.private_schemes);
    policy.https = match (https.as_deref(), https_hosts) {
        (None, None) => policy.https,
        (Some("any"), None) => HttpsPolicy::Any,
        (Some("none"), None) => HttpsPolicy::None,
        (Some("hosts") | None, Some(hosts)) => HttpsPolicy::Hosts(hosts),
        _ => {
            return Err(ChangeError::Invalid(
                "https is any, none, or hosts, and https_hosts goes with the last of these alone".into(),
            ));
        }
    };
    Ok(policy)
}

fn policy_shape(policy: AppPolicyRecord, apps_ended: Option<usize>) -> api::AppPolicy {
    let AppPolicyRecord { loopback, private_schemes, https } = policy;
    let (https, https_hosts) = match https {
        HttpsPolicy::Any => ("any", Vec::new()),
        HttpsPolicy::None => ("none", Vec::new()),
        HttpsPolicy::Hosts(hosts) => ("hosts", hosts),
    };
    api::AppPolicy { loopback, private_schemes, https: https.to_owned(), https_hosts, apps_ended }
}
