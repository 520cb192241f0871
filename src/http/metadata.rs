//! RFC 9728: what the MCP endpoint says of itself as a protected resource.
//!
//! It names no authorization server as long as there is none; API keys are the way in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Worker;
use super::bearer::SCOPES;
use crate::metrics::{Refusal, Route};

pub(super) async fn resource(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let metrics = &worker.edge.metrics;
    let started = metrics.now();
    let response = describe(&request, &worker);
    metrics.answered(Route::Metadata, response.status().as_u16(), started);
    response
}

fn describe(request: &HttpRequest, worker: &Worker) -> HttpResponse {
    if worker.edge.hosts.check(request.headers(), request.uri().authority()).is_err() {
        worker.edge.metrics.refused(Refusal::Foreign);
        return super::mcp::foreign();
    }
    HttpResponse::Ok().json(json!({
        "resource": worker.edge.mcp_url,
        "resource_name": "Sequel",
        "bearer_methods_supported": ["header"],
        "scopes_supported": SCOPES.split(' ').collect::<Vec<_>>(),
    }))
}
