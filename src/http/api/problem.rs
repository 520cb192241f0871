//! Errors of the administration as problem details (RFC 9457).

use std::fmt;

use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::api::Problem;
use crate::http::sentence::sentence;
use crate::org::ChangeError;

/// A refused request: an error that knows its HTTP form.
#[derive(Debug)]
pub(super) struct Refused(ChangeError);

impl Refused {
    /// Whether there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.0, ChangeError::NotFound(_))
    }
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Self {
        Self(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Status, code and title of each error: the whole mapping, exhaustively.
fn form(error: &ChangeError) -> (StatusCode, &'static str, &'static str) {
    match error {
        ChangeError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "Not found"),
        ChangeError::NameTaken { .. } => (StatusCode::CONFLICT, "name_taken", "The name is taken"),
        ChangeError::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        ChangeError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
        ChangeError::Limit(_) => (StatusCode::CONFLICT, "limit_reached", "A limit is reached"),
        ChangeError::TooFast { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_fast", "Too many at once"),
        ChangeError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
        ChangeError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out", "No answer in time"),
        ChangeError::StoreFull => (StatusCode::INSUFFICIENT_STORAGE, "store_full", "The disk is full"),
        ChangeError::StoreUnavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "The store is not available")
        }
        ChangeError::Conflict => (StatusCode::CONFLICT, "conflict", "Changed elsewhere"),
        ChangeError::Unknown => {
            (StatusCode::INTERNAL_SERVER_ERROR, "outcome_unknown", "The outcome is unknown")
        }
        ChangeError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        form(&self.0).0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, title) = form(&self.0);
        if status.is_server_error() {
            tracing::error!(error = &self.0 as &dyn std::error::Error, code, "a change failed");
        }
        let mut response = problem(status, code, title, sentence(&self.0.to_string()));
        let wait = match &self.0 {
            ChangeError::TooFast { wait, .. } => Some(*wait),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(std::time::Duration::from_secs(1)),
        };
        if let Some(wait) = wait {
            let (name, value) = crate::http::bearer::retry_after(wait);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn problem(status: StatusCode, code: &str, title: &str, detail: String) -> HttpResponse {
    HttpResponse::build(status).content_type("application/problem+json").json(Problem {
        title: title.to_owned(),
        status: status.as_u16(),
        code: code.to_owned(),
        detail,
    })
}

/// The answer to a body that is not what the route takes.
pub(super) fn bad_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let (status, code) = match &error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
        }
        JsonPayloadError::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
        _ => (StatusCode::BAD_REQUEST, "bad_json"),
    };
    let response = problem(status, code, "The body cannot be read", sentence(&error.to_string()));
    actix_web::error::InternalError::from_response(error, response).into()
}

/// The answer to parameters after the question mark that the route does not take.
pub(super) fn bad_query(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    let detail = sentence(&error.to_string());
    let response = problem(StatusCode::BAD_REQUEST, "bad_query", "The parameters cannot be read", detail);
    actix_web::error::InternalError::from_response(error, response).into()
}

/// The answer to a method that a path does not have.
pub(super) async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let methods: Vec<_> = request
        .match_pattern()
        .map(|pattern| {
            let of_path = |operation: &&super::Operation| {
                pattern.strip_prefix(crate::api::BASE) == Some(operation.path)
            };
            super::OPERATIONS.iter().filter(of_path).map(|operation| operation.method).collect()
        })
        .unwrap_or_default();
    let allow = methods.join(", ");
    let detail = format!("There is no {} {} in this API, only {allow}.", request.method(), request.path());
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", "Not that way", detail);
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The answer to an unknown path.
pub(super) async fn no_such_path(request: HttpRequest) -> HttpResponse {
    let detail = format!("There is no {} {} in this API.", request.method(), request.path());
    problem(StatusCode::NOT_FOUND, "no_such_path", "Not found", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_507_and_a_missing_store_503() {
        assert_eq!(Refused(ChangeError::StoreFull).status_code().as_u16(), 507);
        assert_eq!(Refused(ChangeError::StoreUnavailable("away".into())).status_code().as_u16(), 503);
    }
}
