//! Errors of OAuth as values: RFC 6749 §4.1.2.1 (authorization) and §5.2 (token), RFC 7591 §3.2.2 (registration),
//! RFC 8707 §2 (`invalid_target`), RFC 6750 §3.1 (`insufficient_scope`).

use std::fmt;

use serde_json::{Value, json};

/// An error's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Malformed: something is missing, twice, or not understood.
    InvalidRequest,
    /// The client is unknown or did not prove who it is.
    InvalidClient,
    /// The code or token is none, is over, was used, or is another client's.
    InvalidGrant,
    /// The client may not use this kind of grant.
    UnauthorizedClient,
    /// The token endpoint knows no such kind of grant.
    UnsupportedGrantType,
    /// The authorization endpoint answers with codes only.
    UnsupportedResponseType,
    /// A scope that does not exist, or is more than was granted.
    InvalidScope,
    /// A resource that is not this server's.
    InvalidTarget,
    /// The person said no.
    AccessDenied,
    /// A redirect URI that cannot be registered.
    InvalidRedirectUri,
    /// Something else that a client says of itself cannot be registered.
    InvalidClientMetadata,
    /// Too often.
    SlowDown,
    /// Not now.
    TemporarilyUnavailable,
    /// A fault of the server.
    ServerError,
}

impl Code {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::SlowDown => "slow_down",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// The status of an answer that is no redirect.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::SlowDown => 429,
            Self::TemporarilyUnavailable => 503,
            Self::ServerError => 500,
            _ => 400,
        }
    }
}

/// A request that is refused: the word, and a sentence for whoever looks into a client's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word.
    pub code: Code,
    /// What is wrong, without the end of the sentence. Ours alone: it repeats nothing of what was sent but names of
    /// parameters, so that it can stand in a header or a URL.
    pub description: String,
}

impl Refusal {
    /// Puts both together.
    pub fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        json!({ "error": self.code.word(), "error_description": self.description })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.word(), self.description)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_form_of_rfc_6749() {
        let refusal = Refusal::new(Code::InvalidClient, "the client is not known");
        assert_eq!(
            refusal.body(),
            json!({"error": "invalid_client", "error_description": "the client is not known"})
        );
        assert_eq!(refusal.code.status(), 401);
        assert_eq!(Code::InvalidGrant.status(), 400);
    }
}
