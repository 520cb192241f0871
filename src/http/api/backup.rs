//! `/backup`: the whole store as one stream.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;

use super::Admin;
use super::problem::Refused;
use crate::org::ChangeError;

pub(super) async fn get(admin: Data<Admin>) -> Result<HttpResponse, Refused> {
    let backup = admin.exporter.backup().await.map_err(ChangeError::from)?;
    tracing::info!("a backup is being made");
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(backup))
}
