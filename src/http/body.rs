//! Request bodies, read under a limit and a deadline.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;

use crate::metrics::Refusal;

/// A body that was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More bytes than allowed.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke, or the framing did.
    Broken,
    /// It is compressed; nothing here inflates what a stranger sends.
    Encoded,
    /// It says that it is something else than JSON.
    NotJson,
    /// It is no form.
    NotForm,
}

impl BodyError {
    /// What it counts as.
    pub(super) fn counted(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::BodyTooLarge,
            Self::TooSlow => Refusal::BodyTooSlow,
            Self::Broken | Self::Encoded | Self::NotJson | Self::NotForm => Refusal::BodyUnreadable,
        }
    }

    pub(super) fn response(self, bytes_max: usize) -> HttpResponse {
        let (mut response, text) = match self {
            Self::TooLarge => {
                (HttpResponse::PayloadTooLarge(), format!("The body may have {bytes_max} bytes."))
            }
            Self::TooSlow => (HttpResponse::RequestTimeout(), "The body did not arrive in time.".to_owned()),
            Self::Broken => (HttpResponse::BadRequest(), "The body could not be read.".to_owned()),
            Self::Encoded => {
                (HttpResponse::UnsupportedMediaType(), "Send the body without a Content-Encoding.".to_owned())
            }
            Self::NotJson => {
                (HttpResponse::UnsupportedMediaType(), "Send the body as application/json.".to_owned())
            }
            Self::NotForm => (
                HttpResponse::UnsupportedMediaType(),
                "Send the body as application/x-www-form-urlencoded.".to_owned(),
            ),
        };
        // What is left of the body may be long: the connection is not used again.
        response.force_close();
        super::bearer::oauth_error(&mut response, "invalid_request", &text)
    }
}

/// Reads a JSON body of at most `bytes_max` bytes within `timeout`.
pub(super) async fn read_json(
    request: &HttpRequest,
    payload: &mut Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    // A body that does not say what it is passes for JSON.
    if !is_of_type(request, b"application/json").unwrap_or(true) {
        return Err(BodyError::NotJson);
    }
    read(request, payload, bytes_max, timeout).await
}

/// Reads what a form sends, of at most `bytes_max` bytes within `timeout`.
pub(super) async fn read_form(
    request: &HttpRequest,
    payload: &mut Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    if is_of_type(request, b"application/x-www-form-urlencoded") != Some(true) {
        return Err(BodyError::NotForm);
    }
    read(request, payload, bytes_max, timeout).await
}

/// Whether a body says that it is of a type; `None` where it says nothing.
fn is_of_type(request: &HttpRequest, wanted: &[u8]) -> Option<bool> {
    let kind = request.headers().get(header::CONTENT_TYPE)?;
    let essence = kind.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    Some(essence.eq_ignore_ascii_case(wanted))
}

async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let headers = request.headers();
    let is_plain = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).all(is_plain) {
        return Err(BodyError::Encoded);
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(BodyError::TooLarge);
    }
    let mut read = std::pin::pin!(collect(payload, bytes_max));
    // Most bodies came with their head: those need no timer.
    if let Some(read) = futures_util::future::poll_immediate(&mut read).await {
        return read;
    }
    tokio::time::timeout(timeout, read).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn collect(payload: &mut Payload, bytes_max: usize) -> Result<Bytes, BodyError> {
    let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|_| BodyError::Broken)?;
    if first.len() > bytes_max {
        return Err(BodyError::TooLarge);
    }
    let Some(second) = payload.next().await else { return Ok(first) };
    let mut body = BytesMut::from(&first[..]);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if body.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
        next = payload.next().await;
    }
    Ok(body.freeze())
}

/// How long what is left of a refused request's body is waited for.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads what is left of a refused request's body and forgets it.
///
/// Closing a connection with unread bytes makes the kernel send a reset, which can take the answer
/// away from a client that is still writing. Bounded in bytes and time; a client that waits for
/// `100 Continue` has sent nothing and is not asked to.
pub(super) async fn discard(request: &HttpRequest, payload: &mut Payload, bytes_max: usize) {
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut left = bytes_max;
    let discarding = async {
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, discarding).await;
}
