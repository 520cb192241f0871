//! Which protocol version a message speaks, and whether its headers agree with it.
//!
//! 2026-07-28, basic/versioning and basic/transports/streamable-http ("Server Validation"). The era
//! is judged by the version that the body's `_meta` claims, else by `MCP-Protocol-Version`, never by
//! `Mcp-Method`: there are legacy clients that send it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::head::{HeaderField, RequestHead};
use super::jsonrpc::{
    Given, HEADER_MISMATCH, INVALID_PARAMS, Object, RequestId, UNSUPPORTED_PROTOCOL_VERSION, Unnamed,
    error_reply, none, object, present, string,
};
use super::{Decision, json};

/// The two ways of speaking MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Stateless; every request carries its version.
    Modern,
    /// `initialize` first.
    Legacy,
}

/// A protocol version that Sequel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// The modern one.
    V2026_07_28,
    /// The newest legacy one.
    V2025_11_25,
    /// Legacy; brought structured results.
    V2025_06_18,
    /// Legacy; what a request without the version header speaks, and the only one with batches.
    V2025_03_26,
    /// Legacy; from before streamable HTTP, still spoken by some clients' first probe.
    V2024_11_05,
}

impl Version {
    /// All of them, newest first.
    pub const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// What `initialize` settles on where it asks for a version that is not spoken here.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// As it is written in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2026_07_28 => "2026-07-28",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2024_11_05 => "2024-11-05",
        }
    }

    /// From its written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// Its era.
    pub fn era(self) -> Era {
        if self == Self::V2026_07_28 { Era::Modern } else { Era::Legacy }
    }

    /// Whether a body may be a batch.
    pub(super) fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26 | Self::V2024_11_05)
    }
}

/// `params` with its `_meta`, read in one pass.
pub(super) type Members<'a> = Object<Params<'a, Object<Meta<'a>>>>;

/// The members of `params` that any method here reads.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a, M: Deserialize<'de>"))]
pub(super) struct Params<'a, M = ()> {
    #[serde(default = "none", rename = "_meta")]
    meta: Option<M>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) uri: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) cursor: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "protocolVersion")]
    pub(super) protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "requestId")]
    pub(super) request_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "ref")]
    pub(super) reference: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) argument: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) notifications: Option<&'a RawValue>,
    // Of these two it is only asked what they are: they are never of use here.
    #[serde(default, rename = "inputResponses")]
    pub(super) input_responses: Shape,
    #[serde(default, rename = "requestState")]
    pub(super) request_state: Shape,
}

/// What a member is, where its value does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// Not there, or `null`, which some clients write for what they have not got.
    #[default]
    Nothing,
    Object,
    Other,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match <&RawValue>::deserialize(deserializer)?.get() {
            "null" => Self::Nothing,
            text if text.starts_with('{') => Self::Object,
            _ => Self::Other,
        })
    }
}

impl<M> Default for Params<'_, M> {
    fn default() -> Self {
        Self {
            meta: None,
            name: None,
            uri: None,
            arguments: None,
            cursor: None,
            protocol_version: None,
            request_id: None,
            reference: None,
            argument: None,
            context: None,
            notifications: None,
            input_responses: Shape::Nothing,
            request_state: Shape::Nothing,
        }
    }
}

impl<'a, M> Params<'a, M> {
    /// The parameters and what stood in their `_meta`.
    fn apart(self) -> (Params<'a>, Option<M>) {
        let Self { meta, name, uri, arguments, cursor, protocol_version, request_id, .. } = self;
        let Self { reference, argument, context, notifications, input_responses, request_state, .. } = self;
        let params = Params {
            meta: None,
            name,
            uri,
            arguments,
            cursor,
            protocol_version,
            request_id,
            reference,
            argument,
            context,
            notifications,
            input_responses,
            request_state,
        };
        (params, meta)
    }
}

/// The members of `params._meta` that any method here reads.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/protocolVersion"
    )]
    protocol_version: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        rename = "io.modelcontextprotocol/clientCapabilities"
    )]
    pub(super) client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "progressToken")]
    pub(super) progress_token: Option<&'a RawValue>,
}

/// A message that is refused before its method is looked at.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: i32,
    pub(super) message: Cow<'static, str>,
    pub(super) data: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    pub(super) fn decision(&self, id: &RequestId) -> Decision {
        let body = error_reply(Some(id), self.code, &self.message, self.data.as_deref());
        Decision::Reply { status: self.status, body }
    }

    /// As the answer to what has no id.
    pub(super) fn unnamed(&self, head: &RequestHead<'_>) -> Decision {
        let body = unnamed(head).error(self.code, &self.message, self.data.as_deref());
        Decision::Reply { status: self.status, body }
    }
}

/// How an error without an id is written for whoever sent this head.
pub(super) fn unnamed(head: &RequestHead<'_>) -> Unnamed {
    match head.protocol_version.text().map(Version::parse) {
        None => Unnamed::Null,
        Some(Some(Version::V2024_11_05 | Version::V2025_03_26 | Version::V2025_06_18)) => Unnamed::Null,
        // Also a version that is not known: it is a newer one.
        Some(Some(Version::V2025_11_25 | Version::V2026_07_28) | None) => Unnamed::Left,
    }
}

/// What is known of a message before its method is looked at.
#[derive(Debug)]
pub(super) struct Settled<'a> {
    pub(super) version: Version,
    pub(super) params: Params<'a>,
    pub(super) meta: Meta<'a>,
}

/// Reads `params` and settles the version, and on the modern era that the headers agree.
pub(super) fn settle<'a>(
    head: &RequestHead<'_>,
    method: &str,
    given: Given<'a>,
    is_request: bool,
) -> Result<Settled<'a>, Refusal> {
    let (params, meta) = members(head, given)?;
    let version = match meta.protocol_version {
        Some(claim) => claimed(head, claim)?,
        None => unclaimed(head, method, is_request)?,
    };
    if version.era() == Era::Modern && is_request {
        if !meta.client_capabilities.is_some_and(|raw| raw.get().starts_with('{')) {
            return Err(Refusal::new(
                400,
                INVALID_PARAMS,
                "params._meta must carry io.modelcontextprotocol/clientCapabilities, an object.",
            ));
        }
        headers_agree(head, method, &params)?;
    }
    Ok(Settled { version, params, meta })
}

fn members<'a>(head: &RequestHead<'_>, given: Given<'a>) -> Result<(Params<'a>, Meta<'a>), Refusal> {
    let params = match given {
        Given::Members(Object(params)) => {
            let (params, meta) = params.apart();
            return Ok((params, meta.unwrap_or_default().0));
        }
        Given::Raw(params) => params,
    };
    // Where the version cannot be read from the body, only the header tells the era.
    let modern =
        head.protocol_version.text().and_then(Version::parse).is_some_and(|v| v.era() == Era::Modern);
    let refuse =
        |message: &'static str| Refusal::new(if modern { 400 } else { 200 }, INVALID_PARAMS, message);
    let params: Params<'a, &'a RawValue> = match params.map(RawValue::get) {
        None | Some("null") => Params::default(),
        Some(text) => {
            object(text).map_err(|_| refuse("params must be an object with each member at most once."))?
        }
    };
    let (params, meta) = params.apart();
    let meta = match meta.map(RawValue::get) {
        None | Some("null") => Meta::default(),
        Some(text) => object(text)
            .map_err(|_| refuse("params._meta must be an object with each member at most once."))?,
    };
    Ok((params, meta))
}

/// The version that the body claims: modern by that alone, so the header must say the same.
fn claimed(head: &RequestHead<'_>, claim: &RawValue) -> Result<Version, Refusal> {
    let Some(claim) = string(claim) else {
        return Err(Refusal::new(
            400,
            INVALID_PARAMS,
            "params._meta[\"io.modelcontextprotocol/protocolVersion\"] must be a string.",
        ));
    };
    match head.protocol_version {
        HeaderField::Absent => {
            return Err(Refusal::new(
                400,
                HEADER_MISMATCH,
                "The header MCP-Protocol-Version is missing; send the version of params._meta.",
            ));
        }
        field if field.text() != Some(&*claim) => {
            return Err(Refusal::new(
                400,
                HEADER_MISMATCH,
                "The header MCP-Protocol-Version differs from the version in params._meta.",
            ));
        }
        _ => {}
    }
    match Version::parse(&claim) {
        Some(version) if version.era() == Era::Modern => Ok(version),
        // A legacy version is spoken without these `_meta` members, after `initialize`.
        _ => Err(unsupported(&claim)),
    }
}

/// The version of a message whose body claims none.
fn unclaimed(head: &RequestHead<'_>, method: &str, is_request: bool) -> Result<Version, Refusal> {
    let initialize = is_request && method == "initialize";
    let header = match head.protocol_version {
        HeaderField::Absent => return Ok(Version::V2025_03_26),
        HeaderField::Repeated => {
            return Err(Refusal::new(400, HEADER_MISMATCH, "Send the header MCP-Protocol-Version once."));
        }
        field => field.text().unwrap_or_default(),
    };
    match Version::parse(header) {
        Some(version) if version.era() == Era::Legacy || !is_request => Ok(version),
        Some(_) if initialize => Err(Refusal::new(
            400,
            HEADER_MISMATCH,
            "initialize is legacy, but the header MCP-Protocol-Version names a version without it.",
        )),
        Some(_) => Err(Refusal::new(
            400,
            INVALID_PARAMS,
            "params._meta must carry io.modelcontextprotocol/protocolVersion and \
             io.modelcontextprotocol/clientCapabilities.",
        )),
        // initialize negotiates in its body; what an unknown client puts in the header decides nothing.
        None if initialize => Ok(Version::V2025_03_26),
        None => Err(unsupported(header)),
    }
}

fn unsupported(requested: &str) -> Refusal {
    let supported: Vec<_> = Version::ALL.iter().map(|version| version.as_str()).collect();
    // An echo is bounded; a version has ten characters.
    let echo: String = requested.chars().take(64).collect();
    let data = serde_json::json!({ "supported": supported, "requested": echo }).to_string();
    Refusal {
        data: Some(data),
        ..Refusal::new(400, UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version.")
    }
}

/// `Mcp-Method`, and `Mcp-Name` where the method bears a name, must say what the body says.
fn headers_agree(head: &RequestHead<'_>, method: &str, params: &Params<'_>) -> Result<(), Refusal> {
    let mismatch = |message: &'static str| Err(Refusal::new(400, HEADER_MISMATCH, message));
    match head.mcp_method {
        HeaderField::Absent => return mismatch("The header Mcp-Method is missing; send the body's method."),
        field if field.text() != Some(method) => {
            return mismatch("The header Mcp-Method differs from the body's method.");
        }
        _ => {}
    }
    let named = match method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" => params.uri,
        _ => return Ok(()),
    };
    // A body without a name is refused for that, with the parameters.
    let Some(name) = named.and_then(string) else { return Ok(()) };
    match head.mcp_name {
        HeaderField::Absent => {
            mismatch("The header Mcp-Name is missing; send the name that the body's params carry.")
        }
        field if field.decoded().as_deref() != Some(&*name) => {
            mismatch("The header Mcp-Name differs from the name in the body's params.")
        }
        _ => Ok(()),
    }
}

/// A client's word inside one of our messages: bounded, control characters gone.
pub(super) fn quoted(word: &str) -> String {
    let mut out = Vec::new();
    let short: String = word.chars().filter(|c| !c.is_control()).take(64).collect();
    json::string_into(&mut out, &short);
    String::from_utf8(out).unwrap_or_default()
}
