//! RFC 9728: what the MCP endpoint says of itself as a protected resource.
//!
//! It names no authorization server as long as there is none; API keys are the way in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Edge;
use super::bearer::SCOPES;

pub(super) async fn resource(request: HttpRequest, edge: web::Data<Edge>) -> HttpResponse {
    if edge.hosts.check(request.headers(), request.uri().authority()).is_err() {
        return super::mcp::foreign();
    }
    HttpResponse::Ok().json(json!({
        "resource": edge.mcp_url,
        "resource_name": "Sequel",
        "bearer_methods_supported": ["header"],
        "scopes_supported": SCOPES.split(' ').collect::<Vec<_>>(),
    }))
}
