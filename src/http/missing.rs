//! What is asked for and not there: a path that nothing is served at, or a method that does nothing at a path.
//!
//! A person in a browser gets a page, a program the error that programs read. A browser is told by what it says that it
//! takes; paths of protocols answer programs alone.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{Worker, accept, dashboard};
use crate::metrics::Route as Counted;
use crate::pages::FailureKind;

/// Where only programs ask. Also where nothing is served: an empty or a friendly answer there would mislead them.
const FOR_PROGRAMS: &[&str] = &[
    "/mcp",
    "/.well-known",
    "/api",
    "/healthz",
    "/readyz",
    "/oauth/register",
    "/oauth/token",
    "/oauth/revoke",
    "/register",
    "/token",
];

/// A real 404, also for well-known paths.
pub(super) async fn path(request: HttpRequest, worker: Data<Worker>) -> HttpResponse {
    tracing::debug!(path = request.path(), "no such path");
    let text = "There is nothing at this path. MCP clients connect to /mcp.";
    answer(&request, &worker, FailureKind::NotFound, ("not_found", text))
}

/// 405, with the methods that do something at the path.
pub(super) async fn method(request: HttpRequest, worker: Data<Worker>, allowed: &[&str]) -> HttpResponse {
    let text = "This method does nothing at this path.";
    let mut response = answer(&request, &worker, FailureKind::FormsOnly, ("method_not_allowed", text));
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn answer(
    request: &HttpRequest,
    worker: &Worker,
    kind: FailureKind,
    (error, text): (&str, &str),
) -> HttpResponse {
    let metrics = &worker.edge.metrics;
    metrics.answered(Counted::Other, kind.status(), metrics.now());
    let mut response = match is_browser(request) {
        true => dashboard::failure(kind),
        false => {
            let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::NOT_FOUND);
            let body = serde_json::json!({ "error": error, "error_description": text });
            HttpResponse::build(status).json(body)
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Whether somebody looks: whoever navigates asks for HTML by name, programs do not.
fn is_browser(request: &HttpRequest) -> bool {
    let is_at =
        |own: &&str| request.path().strip_prefix(*own).is_some_and(|rest| !rest.starts_with(|c| c != '/'));
    let is_for_programs = FOR_PROGRAMS.iter().any(is_at);
    !is_for_programs && accept::names(request.headers(), header::ACCEPT, "text/html")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn whoever_asks_for_html_by_name_looks_with_a_browser() {
        let asks = |path: &str, accept: &str| {
            is_browser(&TestRequest::with_uri(path).insert_header(("Accept", accept)).to_http_request())
        };
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(asks("/nowhere", chromium) && asks("/mcpx", chromium));
        for accept in ["*/*", "application/json, text/event-stream", ""] {
            assert!(!asks("/nowhere", accept), "{accept}");
        }
        for path in ["/mcp", "/mcp/x", "/.well-known/openid-configuration", "/api", "/api/v1", "/healthz"] {
            assert!(!asks(path, chromium), "{path}");
        }
    }
}
