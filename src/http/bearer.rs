//! The bearer credential of a request (RFC 6750 §2.1), and the answer to one that is missing or not
//! accepted (RFC 6750 §3, RFC 9728 §5.1).
//!
//! Only the `Authorization` header counts; a credential in a query string or body is never read.
//!
//! **Invariant:** every well-formed credential that is not accepted gets the same bytes, whatever the
//! reason.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::credential::{Credential, Malformed};
use crate::oauth::scope::ScopeSet;

/// What stands in the `Authorization` header.
#[derive(Debug)]
pub(super) enum Bearer {
    /// Nothing.
    Missing,
    /// Something that is no credential of ours.
    Malformed,
    /// A well-formed credential, not verified.
    Presented(Credential),
}

/// The challenge of a 401, made once.
#[derive(Debug, Clone)]
pub struct Challenge {
    missing: HeaderValue,
    invalid: HeaderValue,
    metadata: String,
}

impl Challenge {
    /// Points to the resource's metadata beneath the public URL.
    pub fn new(public_url: &str) -> Self {
        let metadata = format!("resource_metadata=\"{public_url}/.well-known/oauth-protected-resource/mcp\"");
        let value = |text: String| HeaderValue::try_from(text).expect("a checked URL is visible ASCII");
        let scopes = ScopeSet::ALL.words();
        Self {
            missing: value(format!("Bearer {metadata}, scope=\"{scopes}\"")),
            invalid: value(format!("Bearer error=\"invalid_token\", {metadata}, scope=\"{scopes}\"")),
            metadata,
        }
    }

    /// No credential was sent.
    pub(super) fn missing(&self) -> HttpResponse {
        let text =
            "Send an API key as 'Authorization: Bearer sql_…'. Keys are made under Settings → API Keys.";
        unauthorized(&self.missing, "missing_token", text)
    }

    /// A credential was sent and is not accepted.
    pub(super) fn invalid(&self) -> HttpResponse {
        let text = "The API key or access token is not valid: it is mistyped, expired, disabled, deleted or revoked. Make \
                    another key under Settings → API Keys, or authorize the app again.";
        unauthorized(&self.invalid, "invalid_token", text)
    }

    /// A credential was accepted and may not do this (RFC 6750 §3.1). Names all that a client has to ask for: what it has
    /// already and what it lacks, because a grant takes the place of the one before.
    pub(super) fn insufficient(&self, scopes: ScopeSet) -> HttpResponse {
        let (metadata, scopes) = (&self.metadata, scopes.words());
        let text = format!("This app was not authorized for that; it takes the scopes {scopes}.");
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\", {metadata}");
        let mut response = HttpResponse::Forbidden();
        response.insert_header((header::WWW_AUTHENTICATE, challenge));
        oauth_error(&mut response, "insufficient_scope", &text)
    }
}

fn unauthorized(challenge: &HeaderValue, error: &str, description: &str) -> HttpResponse {
    let mut response = HttpResponse::Unauthorized();
    response.insert_header((header::WWW_AUTHENTICATE, challenge.clone()));
    oauth_error(&mut response, error, description)
}

/// An error in OAuth's form: JSON with `error` and `error_description`.
pub(super) fn oauth_error(
    response: &mut HttpResponseBuilder,
    error: &str,
    description: &str,
) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(serde_json::json!({ "error": error, "error_description": description }))
}

/// Whole seconds, rounded up, at least one: for `Retry-After`.
pub(super) fn retry_after(wait: Duration) -> (HeaderName, HeaderValue) {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    (header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)))
}

/// Reads the credential of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = match (values.next(), values.next()) {
        (None, _) => return Bearer::Missing,
        (Some(value), None) => value,
        // Two of them: whoever stands between may have looked at the other one.
        (Some(_), Some(_)) => return Bearer::Malformed,
    };
    let text = value.as_bytes().trim_ascii();
    let Some((scheme, token)) = text.split_at_checked("bearer ".len()) else { return Bearer::Malformed };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Bearer::Malformed;
    }
    match Credential::parse_bytes(token.trim_ascii_start()) {
        Ok(credential) => Bearer::Presented(credential),
        Err(Malformed) => Bearer::Malformed,
    }
}
