//! OAuth over HTTP: metadata, registration, tokens, revocation. Extract, call `flow` once, encode.
//!
//! Whoever is refused is told in OAuth's own words (RFC 6749 §5.2). Clients in a browser may call from any origin: nothing
//! here goes by cookies, and what is asked for has to be proved with what the page itself holds. The page that asks a
//! person is the dashboard's.

mod metadata;
mod register;
mod token;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub(super) use metadata::{authorization_server, resource};
pub(super) use register::register;
pub(super) use token::{revoke, token};

use super::body::{BodyError, discard};
use super::mcp::{REQUEST_ID, foreign};
use super::{Edge, Worker, bearer};
use crate::flow::OAuthError;
use crate::metrics::{Refusal as Counted, Route};
use crate::oauth::error::{Code, Refusal};
use crate::org::ChangeError;

/// Longest body of a request to one of these endpoints.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Answers a request under one of our names, counted and with its id.
async fn serve<'a, F, R>(
    request: &'a HttpRequest,
    payload: &'a mut Payload,
    worker: &'a Data<Worker>,
    route: Route,
    answer: F,
) -> HttpResponse
where
    F: FnOnce(&'a HttpRequest, &'a mut Payload, &'a Edge) -> R,
    R: Future<Output = Result<HttpResponse, Failed>>,
{
    let edge = &*worker.edge;
    let (started, id) = (edge.metrics.now(), worker.request_ids.next());
    let mut response = if edge.hosts.check_host(request.headers(), request.uri().authority()).is_err() {
        edge.metrics.refused(Counted::Foreign);
        foreign()
    } else if !edge.oauth.settings().enabled && route == Route::OAuth {
        return super::missing::path(request.clone(), worker.clone()).await;
    } else {
        match Box::pin(answer(request, payload, edge)).await {
            Ok(response) => response,
            Err(failed) => failed.response(request, edge, &id.to_string()),
        }
    };
    super::cors::open(response.headers_mut());
    response.headers_mut().insert(REQUEST_ID.clone(), id.header());
    edge.metrics.answered(route, response.status().as_u16(), started);
    response
}

/// Why a request was not answered as it wished.
enum Failed {
    Body(BodyError),
    OAuth(OAuthError),
}

impl From<BodyError> for Failed {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<OAuthError> for Failed {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::OAuth(refusal.into())
    }
}

impl Failed {
    fn response(self, request: &HttpRequest, edge: &Edge, id: &str) -> HttpResponse {
        match self {
            Self::Body(error) => {
                edge.metrics.refused(error.counted());
                error.response(BODY_BYTES_MAX)
            }
            Self::OAuth(OAuthError::Refused(refusal)) => {
                tracing::info!(request_id = id, path = request.path(), %refusal, "an OAuth client was refused");
                refused(request, &refusal)
            }
            Self::OAuth(OAuthError::Throttled(wait)) => {
                edge.metrics.refused(Counted::Throttled);
                let mut response = HttpResponse::TooManyRequests();
                response.insert_header(bearer::retry_after(wait));
                bearer::oauth_error(&mut response, Code::SlowDown.word(), "Too often from this address.")
            }
            Self::OAuth(OAuthError::TooFast(wait)) => {
                edge.metrics.refused(Counted::KeyRate);
                let mut response = HttpResponse::TooManyRequests();
                response.insert_header(bearer::retry_after(wait));
                let text =
                    "This app asks more often than it may in a minute; wait as long as Retry-After says.";
                bearer::oauth_error(&mut response, Code::SlowDown.word(), text)
            }
            Self::OAuth(OAuthError::Failed(error)) => failed(&error, id),
        }
    }
}

fn refused(request: &HttpRequest, refusal: &Refusal) -> HttpResponse {
    let mut response = HttpResponse::build(status(refusal.code.status()));
    if refusal.code == Code::InvalidClient && request.headers().contains_key(header::AUTHORIZATION) {
        response
            .insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sequel\"")));
    }
    if refusal.code == Code::TemporarilyUnavailable {
        response.insert_header(bearer::retry_after(std::time::Duration::from_secs(60)));
    }
    no_store(&mut response).json(refusal.body())
}

fn failed(error: &ChangeError, id: &str) -> HttpResponse {
    let (code, status) = match error {
        ChangeError::Busy
        | ChangeError::StoreUnavailable(_)
        | ChangeError::Conflict
        | ChangeError::TooFast { .. } => (Code::TemporarilyUnavailable, StatusCode::SERVICE_UNAVAILABLE),
        ChangeError::StoreFull => (Code::TemporarilyUnavailable, StatusCode::INSUFFICIENT_STORAGE),
        ChangeError::TimedOut | ChangeError::Unknown | ChangeError::Internal(_) => {
            (Code::ServerError, StatusCode::INTERNAL_SERVER_ERROR)
        }
        // What these say is told as a refusal where it can happen.
        ChangeError::NotFound(_)
        | ChangeError::NameTaken { .. }
        | ChangeError::Forbidden
        | ChangeError::Invalid(_)
        | ChangeError::Limit(_) => (Code::InvalidRequest, StatusCode::BAD_REQUEST),
    };
    let error = error as &dyn std::error::Error;
    tracing::warn!(request_id = id, error, "a request of an OAuth client could not be carried out");
    let mut response = HttpResponse::build(status);
    if code == Code::TemporarilyUnavailable {
        response.insert_header(bearer::retry_after(std::time::Duration::from_secs(1)));
    }
    bearer::oauth_error(&mut response, code.word(), "The server could not carry this out; try again.")
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What holds secrets is kept by nobody on its way (RFC 6749 §5.1).
fn no_store(response: &mut actix_web::HttpResponseBuilder) -> &mut actix_web::HttpResponseBuilder {
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::PRAGMA, HeaderValue::from_static("no-cache")))
}

/// Reads what is left of a body that nobody wants.
async fn let_go(request: &HttpRequest, payload: &mut Payload) {
    discard(request, payload, BODY_BYTES_MAX).await;
}
