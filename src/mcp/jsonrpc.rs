//! JSON-RPC 2.0 as MCP narrows it: bounded parsing of one message or a batch, and error responses.
//!
//! Reads an envelope of borrowed raw values, so that a request costs no tree. Owns the rules on
//! ids, depth and duplicate members; knows no method and no version.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::era::Members;
use super::json;

/// The body is not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// The body is JSON, but no JSON-RPC message.
pub const INVALID_REQUEST: i32 = -32600;
/// No such method in this protocol version.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// The method's parameters are wrong.
pub const INVALID_PARAMS: i32 = -32602;
/// The server failed.
pub const INTERNAL_ERROR: i32 = -32603;
/// There is no such resource (before 2026-07-28).
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// Headers and body disagree (2026-07-28).
pub const HEADER_MISMATCH: i32 = -32020;
/// The protocol version is not spoken here (2026-07-28).
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;

/// Deepest nesting of arrays and objects in a body. The deepest legal request needs six.
const MAX_DEPTH: usize = 64;
/// Longest id: real ones are counters and UUIDs (36 bytes).
const MAX_ID_BYTES: usize = 256;
/// Longest number as an id: `i64::MIN` has 20 characters, a double at most 25.
const MAX_ID_DIGITS: usize = 32;
/// Most messages in a batch. Each may be a tool call, so this also bounds what one body can start.
const MAX_BATCH: usize = 32;

/// A request's id, as canonical JSON text: equal ids have equal text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id as JSON: a number, or a string with its quotes.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// A string of at most 256 bytes or a number; anything else is no id.
    pub(super) fn from_raw(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' if !text.contains('\\') => (text.len() - 2 <= MAX_ID_BYTES).then(|| Self(text.into())),
            b'"' => {
                let decoded: String = serde_json::from_str(text).ok()?;
                if decoded.len() > MAX_ID_BYTES {
                    return None;
                }
                Some(Self(serde_json::to_string(&decoded).ok()?.into()))
            }
            b'-' | b'0'..=b'9' => (text.len() <= MAX_ID_DIGITS).then(|| Self(text.into())),
            _ => None,
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a body holds.
#[expect(clippy::large_enum_variant, reason = "one message is what nearly every body is")]
#[derive(Debug)]
pub(super) enum Body<'a> {
    One(Message<'a>),
    Batch(Vec<&'a RawValue>),
}

/// One message.
#[derive(Debug)]
pub(super) enum Message<'a> {
    Request {
        id: RequestId,
        method: Cow<'a, str>,
        params: Given<'a>,
    },
    Notification {
        method: Cow<'a, str>,
        params: Given<'a>,
    },
    /// An answer to something that a server asked; Sequel never asks.
    Response,
}

/// Why a body is no message, with the id where it could be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Malformed {
    pub(super) id: Option<RequestId>,
    pub(super) code: i32,
    pub(super) message: &'static str,
}

impl Malformed {
    fn new(code: i32, message: &'static str) -> Self {
        Self { id: None, code, message }
    }

    /// The error response, always with HTTP status 400. `unnamed` writes one where no id could be read.
    pub(super) fn body(&self, unnamed: Unnamed) -> Bytes {
        match &self.id {
            Some(id) => error_reply(Some(id), self.code, self.message, None),
            None => unnamed.error(self.code, self.message, None),
        }
    }
}

/// A message's parameters.
#[expect(
    clippy::large_enum_variant,
    reason = "read together is what nearly all are, and a box costs more than moving it"
)]
#[derive(Debug)]
pub(super) enum Given<'a> {
    /// Read together with the message.
    Members(Members<'a>),
    /// As they stand, because they are not what they should be, or something around them is not.
    Raw(Option<&'a RawValue>),
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, P: Deserialize<'de>"))]
struct Envelope<'a, P> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(default = "none")]
    params: Option<P>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// For a member that is not there, whatever its type.
pub(super) fn none<P>() -> Option<P> {
    None
}

/// Keeps `null` apart from a member that is not there.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a body that is already within the size limit.
pub(super) fn parse(body: &[u8]) -> Result<Body<'_>, Malformed> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(Malformed::new(PARSE_ERROR, "The body is not UTF-8; send JSON in UTF-8."));
    };
    if deeper_than(text.as_bytes(), MAX_DEPTH) {
        return Err(Malformed::new(INVALID_REQUEST, "The body is nested too deeply; 64 levels are allowed."));
    }
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.starts_with('[') { batch(text).map(Body::Batch) } else { message(text).map(Body::One) }
}

/// Reads one message.
pub(super) fn message(text: &str) -> Result<Message<'_>, Malformed> {
    // Nearly every message is as it should be, and then one pass over it finds all that is in it.
    at_once(text).unwrap_or_else(|| by_and_by(text))
}

/// Reads a message together with its parameters; `None` where the shape of any of it is wrong.
pub(super) fn at_once(text: &str) -> Option<Result<Message<'_>, Malformed>> {
    let Object(envelope) = serde_json::from_str::<Object<Envelope<'_, Members<'_>>>>(text).ok()?;
    Some(of(envelope, |params| Given::Members(params.unwrap_or_default())))
}

/// Reads the envelope and leaves the parameters for later: what is wrong with the envelope comes first.
pub(super) fn by_and_by(text: &str) -> Result<Message<'_>, Malformed> {
    match object::<Envelope<'_, &RawValue>>(text) {
        Ok(envelope) => of(envelope, Given::Raw),
        Err(NotObject::Syntax) => {
            Err(Malformed::new(PARSE_ERROR, "The body is not JSON; send one JSON-RPC message."))
        }
        Err(NotObject::Shape) => Err(Malformed::new(
            INVALID_REQUEST,
            "The message is not one JSON object with each JSON-RPC member at most once.",
        )),
    }
}

/// The message that an envelope makes.
fn of<'a, P>(
    envelope: Envelope<'a, P>,
    given: impl FnOnce(Option<P>) -> Given<'a>,
) -> Result<Message<'a>, Malformed> {
    let id = match envelope.id.map(|raw| RequestId::from_raw(raw).ok_or(())) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(())) => {
            return Err(Malformed::new(
                INVALID_REQUEST,
                "The id must be a string of at most 256 bytes or a number; null is none.",
            ));
        }
    };
    let refuse = |id, message| Err(Malformed { id, code: INVALID_REQUEST, message });
    if envelope.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return refuse(id, "The member jsonrpc must be \"2.0\".");
    }
    let Some(method) = envelope.method else {
        if envelope.result.is_some() || envelope.error.is_some() {
            return Ok(Message::Response);
        }
        return refuse(id, "The message has no method; send a request or a notification.");
    };
    let Some(method) = string(method) else {
        return refuse(id, "The method must be a string.");
    };
    Ok(match id {
        Some(id) => Message::Request { id, method, params: given(envelope.params) },
        None => Message::Notification { method, params: given(envelope.params) },
    })
}

/// Why a text is not the object that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotObject {
    /// No JSON.
    Syntax,
    /// JSON, but no object, or a known member twice.
    Shape,
}

/// An object read into a struct, where serde would also take an array for one.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads an object into a struct of raw members. serde would also take an array for a struct.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NotObject> {
    let read = if text.starts_with('{') {
        serde_json::from_str::<T>(text)
    } else {
        // Only to tell broken JSON from JSON that is something else.
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => return Err(NotObject::Shape),
            Err(error) => Err(error),
        }
    };
    read.map_err(|error| if error.is_data() { NotObject::Shape } else { NotObject::Syntax })
}

/// A raw value as a string; `None` where it is something else or holds a lone surrogate.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Whether arrays and objects nest deeper than `limit`, judged without recursion.
fn deeper_than(text: &[u8], limit: usize) -> bool {
    // Nothing nests deeper than it has opening brackets, and counting bytes is next to free where the count of each
    // piece fits into a byte: then many are counted at a time.
    let openings = |piece: &[u8]| piece.iter().map(|b| u8::from(matches!(b, b'{' | b'['))).sum::<u8>();
    if text.chunks(255).map(|piece| usize::from(openings(piece))).sum::<usize>() <= limit {
        return false;
    }
    let (mut depth, mut at) = (0usize, 0usize);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

fn batch(text: &str) -> Result<Vec<&RawValue>, Malformed> {
    struct Bounded;
    impl<'de> DeserializeSeed<'de> for Bounded {
        type Value = Option<Vec<&'de RawValue>>;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    impl<'de> Visitor<'de> for Bounded {
        type Value = Option<Vec<&'de RawValue>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a batch")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut batch = Vec::new();
            let mut fits = true;
            while let Some(item) = items.next_element::<&RawValue>()? {
                fits &= batch.len() < MAX_BATCH;
                if fits {
                    batch.push(item);
                }
            }
            Ok(fits.then_some(batch))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Bounded.deserialize(&mut deserializer).and_then(|batch| deserializer.end().map(|()| batch));
    match read {
        Err(_) => Err(Malformed::new(PARSE_ERROR, "The body is not JSON; send one JSON-RPC message.")),
        Ok(None) => Err(Malformed::new(INVALID_REQUEST, "The batch is too long; 32 messages are allowed.")),
        Ok(Some(batch)) if batch.is_empty() => Err(Malformed::new(INVALID_REQUEST, "The batch is empty.")),
        Ok(Some(batch)) => Ok(batch),
    }
}

/// How an error is written that answers no request that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// `"id":null`, as JSON-RPC 2.0 has it.
    Null,
    /// Without an id: since 2025-11-25 the schema takes nothing but a string or a number.
    Left,
}

impl Unnamed {
    pub(super) fn error(self, code: i32, message: &str, data: Option<&str>) -> Bytes {
        match self {
            Self::Null => error_reply(None, code, message, data),
            Self::Left => {
                let mut out = b"{\"jsonrpc\":\"2.0\"".to_vec();
                error_into(&mut out, code, message, data);
                out.into()
            }
        }
    }
}

/// An error response. Without an id it says `"id":null`; `data` is JSON.
pub fn error_reply(id: Option<&RequestId>, code: i32, message: &str, data: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(96 + message.len() + data.map_or(0, str::len));
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or("null", RequestId::as_json).as_bytes());
    error_into(&mut out, code, message, data);
    out.into()
}

/// What follows the id of an error response.
fn error_into(out: &mut Vec<u8>, code: i32, message: &str, data: Option<&str>) {
    out.extend_from_slice(b",\"error\":{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    json::string_into(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.extend_from_slice(b"}}");
}

/// A result response around a ready-made result object.
pub(super) fn result_reply(id: &RequestId, result: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(40 + id.as_json().len() + result.len());
    result_head(&mut out, id);
    out.extend_from_slice(result);
    out.push(b'}');
    out.into()
}

/// The beginning of a result response, up to where the result object starts.
pub(super) fn result_head(out: &mut Vec<u8>, id: &RequestId) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(b",\"result\":");
}
