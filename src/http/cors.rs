//! Clients in a browser (Fetch, "CORS protocol"). Without credentials in the sense of browsers: no cookie is sent along and
//! none would be looked at.
//!
//! Any origin may read metadata, register and ask for tokens. `/mcp` answers those that the operator allows; the others
//! are refused before anything else (`origin`).

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Worker;
use crate::metrics::Route;

/// Headers of answers that a page may look at.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Retry-After, X-Request-Id");
/// Headers of requests that a page may send.
const ALLOWED: &str = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID";

/// Lets any origin read an answer.
pub(super) fn open(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Lets the origin of a request that was let in read the answer.
pub(super) fn open_to(origin: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}

/// Whether a browser asks whether its page may ask.
pub(super) fn is_preflight(request: &HttpRequest) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that.
pub(super) fn granted() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

/// What a browser asks before it asks for anything of OAuth's.
pub(super) async fn preflight(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let edge = &worker.edge;
    let started = edge.metrics.now();
    let mut response = match edge.hosts.check_host(request.headers(), request.uri().authority()) {
        Err(_) => super::mcp::foreign(),
        Ok(()) => granted(),
    };
    open(response.headers_mut());
    edge.metrics.answered(Route::OAuth, response.status().as_u16(), started);
    response
}
