//! Server-sent events (WHATWG HTML, "Server-sent events"), as far as MCP uses them: one JSON document an event,
//! comments that keep a connection alive, no ids, since no stream can be taken up again.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;

/// What stands before an event's JSON. Ours never holds a line break: it is escaped.
pub(super) const BEFORE: Bytes = Bytes::from_static(b"event: message\ndata: ");
/// What stands after it.
pub(super) const AFTER: Bytes = Bytes::from_static(b"\n\n");
/// A line that says nothing, so that nobody between takes a quiet stream for a dead one.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// How long a stream that has nothing but its beginning to send waits with its head. A proxy that is written in Go
/// (Caddy, Traefik) closes the request when it passes on the head of a stream; where it has not looked for the request's
/// end by then, it breaks off the whole exchange, and some tell their client that the stream came to its end. Without
/// the wait that met three streams in a thousand through Caddy 2.6 on a busy machine (golang/go#40747).
pub(super) const HEAD_START: Duration = Duration::from_millis(250);

/// A response that begins a stream of events. nginx and its like are told not to hold it back.
pub(super) fn response() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")));
    response
}

/// One event around a document in one piece.
pub(super) fn event(json: &[u8]) -> Bytes {
    [&BEFORE[..], json, &AFTER[..]].concat().into()
}

/// Whether the client says that it takes events. A wildcard does not say so: who sends one wants an answer in
/// whatever form, and JSON is the simpler one.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_events = parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/event-stream"));
        let refused = |part: &str| {
            let (name, weight) = part.split_once('=').unwrap_or((part, ""));
            name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|q| q <= 0.0)
        };
        is_events && !parts.any(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        is_accepted(&headers)
    }

    #[test]
    fn events_are_accepted_by_name_only() {
        assert!(accepts(&["application/json, text/event-stream"]));
        assert!(accepts(&["Text/Event-Stream;q=0.5"]));
        assert!(accepts(&["application/json", "text/event-stream"]));
        assert!(accepts(&["text/event-stream; charset=utf-8"]));
        assert!(!accepts(&[]));
        assert!(!accepts(&["*/*"]));
        assert!(!accepts(&["application/json"]));
        assert!(!accepts(&["text/event-stream;q=0"]));
        assert!(!accepts(&["text/event-streams"]));
    }
}
