//! `/server` and `/orgs`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};

use super::Admin;
use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::OrgId;
use crate::flow::create_org::create_org;
use crate::flow::find_org::list_orgs;
use crate::org::record::OrgRecord;

pub(super) async fn server(admin: Data<Admin>) -> Json<api::Server> {
    Json(admin.server.clone())
}

fn shape((id, record): (OrgId, OrgRecord)) -> api::Org {
    api::Org { id: id.to_string(), name: record.name, created_at: record.created_at }
}

pub(super) async fn list(admin: Data<Admin>) -> Result<Json<api::Orgs>, Refused> {
    let orgs = list_orgs(&admin.registry, &admin.index).await?;
    Ok(Json(api::Orgs { orgs: orgs.into_iter().map(shape).collect() }))
}

pub(super) async fn create(admin: Acting, body: Json<api::CreateOrg>) -> Result<HttpResponse, Refused> {
    let created =
        create_org(&admin.registry, &admin.index, &admin.context, admin.author(), &body.name).await?;
    tracing::info!(org = %created.0, "an organization was created");
    Ok(HttpResponse::Created().json(shape(created)))
}
