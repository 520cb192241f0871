//! Clients in a browser (Fetch, "CORS protocol"): any origin may read metadata, register and ask for tokens. Without
//! credentials in the sense of browsers: no cookie is sent along and none would be looked at.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::Worker;
use crate::metrics::Route;

/// Lets any origin read an answer.
pub(super) fn open(headers: &mut HeaderMap) {
    let set = |headers: &mut HeaderMap, name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate, Retry-After, X-Request-Id");
}

/// What a browser asks before it asks.
pub(in crate::http) async fn preflight(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let edge = &worker.edge;
    let started = edge.metrics.now();
    let mut response = if edge.hosts.check_host(request.headers(), request.uri().authority()).is_err() {
        crate::http::mcp::foreign()
    } else {
        HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"))
            .insert_header((
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Authorization, Content-Type, MCP-Protocol-Version",
            ))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
            .finish()
    };
    open(response.headers_mut());
    edge.metrics.answered(Route::OAuth, response.status().as_u16(), started);
    response
}
