//! RFC 9728 and RFC 8414: what the MCP endpoint says of itself as a protected resource, and what the authorization server
//! says of itself, in each of the places where clients look.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde_json::Value;

use super::serve;
use crate::http::Worker;
use crate::metrics::Route;
use crate::oauth::metadata;

/// How long a client may keep what hardly ever changes.
const KEPT: &str = "max-age=300";

fn document(value: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, KEPT)).json(value)
}

pub(in crate::http) async fn resource(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    serve(&request, &mut payload, &worker, Route::Metadata, |_, _, edge| async {
        let issuer = edge.oauth.settings().enabled.then(|| edge.oauth.issuer());
        Ok(document(&metadata::protected_resource(&edge.oauth.resource(), issuer)))
    })
    .await
}

pub(in crate::http) async fn authorization_server(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    serve(&request, &mut payload, &worker, Route::OAuth, |_, _, edge| async {
        Ok(document(&metadata::authorization_server(edge.oauth.issuer())))
    })
    .await
}
