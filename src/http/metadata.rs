//! RFC 9728: what the MCP endpoint says of itself as a protected resource.
//!
//! It names no authorization server as long as there is none; API keys are the way in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Worker;
use super::bearer::SCOPES;

pub(super) async fn resource(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if worker.edge.hosts.check(request.headers(), request.uri().authority()).is_err() {
        return super::mcp::foreign();
    }
    HttpResponse::Ok().json(json!({
        "resource": worker.edge.mcp_url,
        "resource_name": "Sequel",
        "bearer_methods_supported": ["header"],
        "scopes_supported": SCOPES.split(' ').collect::<Vec<_>>(),
    }))
}
