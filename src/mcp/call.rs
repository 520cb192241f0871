//! One request to carry out, and the response that it ends with.
//!
//! 2026-07-28: every result says `resultType` and who answers, and what can be kept how long ("Caching"); legacy
//! results say none of it. A missing resource is -32602 there and -32002 before (server/resources, "Error
//! Handling").

use bytes::Bytes;
use serde_json::value::RawValue;

use super::completion::Complete;
use super::era::{Era, Version};
use super::json::{escape_into, string_into};
use super::jsonrpc::{
    INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, RequestId, error_reply, result_head,
};
use super::outcome::{Completions, Outcome, ResourcePage, ToolOutcome};
use super::resources::{JSON_MIME_TYPE, ResourceUri};
use super::tools::ToolCall;

/// What a client wants its progress notifications to carry, as JSON (a string or a number).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressToken(Box<str>);

impl ProgressToken {
    /// The token as JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    // A token has an id's bounds, so it is read as one.
    pub(super) fn from_raw(raw: &RawValue) -> Option<Self> {
        RequestId::from_raw(raw).map(|id| Self(id.as_json().into()))
    }
}

/// How long a client may keep what tells of data sources: a minute, since nobody notices what another program does
/// to a schema, and less would only make clients ask more.
const SOURCES_TTL_MS: u32 = 60_000;

/// What is asked for, its parameters checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// `tools/call`.
    Tool(ToolCall),
    /// `resources/list`, behind the data source of this name.
    ListResources(Option<String>),
    /// `resources/read`.
    ReadResource(ResourceUri),
    /// `completion/complete`.
    Complete(Complete),
}

impl Task {
    /// The tool's name, or else the method.
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(tool) => tool.name(),
            Self::ListResources(_) => "resources/list",
            Self::ReadResource(_) => "resources/read",
            Self::Complete(_) => "completion/complete",
        }
    }
}

/// One request to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The request's id: unique among the calls of one client only.
    pub id: RequestId,
    /// The version that the answer must speak.
    pub version: Version,
    /// What to do.
    pub task: Task,
    /// Where the client asks for progress.
    pub progress_token: Option<ProgressToken>,
    /// `_meta` of a modern result.
    pub(super) meta: Bytes,
}

impl Call {
    /// The era of the answer. On [`Era::Modern`] a disconnect cancels the call.
    pub fn era(&self) -> Era {
        self.version.era()
    }

    /// The whole JSON-RPC response.
    pub fn encode(&self, outcome: impl Into<Outcome>) -> Bytes {
        let parts = self.encode_parts(outcome);
        let mut out = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
        for part in &parts {
            out.extend_from_slice(part);
        }
        out.into()
    }

    /// The whole JSON-RPC response as consecutive parts: what [`Call::encode`] gives without a copy
    /// of the rows, for a body that is streamed.
    pub fn encode_parts(&self, outcome: impl Into<Outcome>) -> Vec<Bytes> {
        match outcome.into() {
            Outcome::Tool(outcome) => self.tool_result(outcome),
            Outcome::Resources(page) => vec![self.resources(&page)],
            Outcome::Resource(escaped_text) => self.contents(escaped_text),
            Outcome::Completions(found) => vec![self.completions(&found)],
            Outcome::NoResource => vec![self.no_resource()],
            Outcome::Failed(message) => match self.task {
                Task::Tool(_) => self.tool_result(ToolOutcome::error(&message)),
                _ => vec![self.encode_error(INTERNAL_ERROR, &message)],
            },
        }
    }

    fn tool_result(&self, outcome: ToolOutcome) -> Vec<Bytes> {
        let modern = self.era() == Era::Modern;
        let mut head = self.head();
        head.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":\"");
        let mut tail = Vec::with_capacity(32 + self.meta.len());
        tail.extend_from_slice(if outcome.is_error { b",\"isError\":true" } else { b",\"isError\":false" });
        if modern {
            tail.extend_from_slice(b",\"_meta\":");
            tail.extend_from_slice(&self.meta);
        }
        tail.extend_from_slice(b"}}");
        let mut parts = vec![head.into()];
        outcome.escaped_text.append_to(&mut parts);
        parts.push(Bytes::from_static(b"\"}]"));
        if let Some(structured) = outcome.structured {
            parts.push(Bytes::from_static(b",\"structuredContent\":"));
            structured.append_to(&mut parts);
        }
        parts.push(tail.into());
        parts
    }

    fn resources(&self, page: &ResourcePage) -> Bytes {
        let mut out = self.head();
        out.extend_from_slice(b"\"resources\":");
        out.extend_from_slice(page.resources_json());
        if let Some(cursor) = page.next_cursor() {
            out.extend_from_slice(b",\"nextCursor\":");
            string_into(&mut out, &cursor);
        }
        self.tail(&mut out, Some(SOURCES_TTL_MS));
        out.into()
    }

    fn contents(&self, escaped_text: Vec<u8>) -> Vec<Bytes> {
        let Task::ReadResource(resource) = &self.task else {
            return vec![self.encode_error(INTERNAL_ERROR, "Internal error.")];
        };
        let mut head = self.head();
        head.extend_from_slice(b"\"contents\":[{\"uri\":");
        string_into(&mut head, &resource.uri);
        head.extend_from_slice(b",\"mimeType\":\"");
        escape_into(&mut head, JSON_MIME_TYPE.as_bytes());
        head.extend_from_slice(b"\",\"text\":\"");
        let mut tail = b"\"}]".to_vec();
        self.tail(&mut tail, Some(SOURCES_TTL_MS));
        vec![head.into(), escaped_text.into(), tail.into()]
    }

    fn completions(&self, found: &Completions) -> Bytes {
        let mut out = self.head();
        out.extend_from_slice(b"\"completion\":");
        out.extend_from_slice(&found.json());
        self.tail(&mut out, None);
        out.into()
    }

    /// The same for what is not there and what this credential does not reach.
    fn no_resource(&self) -> Bytes {
        let Task::ReadResource(resource) = &self.task else {
            return self.encode_error(INTERNAL_ERROR, "Internal error.");
        };
        let code = if self.era() == Era::Modern { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
        let mut data = b"{\"uri\":".to_vec();
        string_into(&mut data, &resource.uri);
        data.push(b'}');
        let data = String::from_utf8(data).unwrap_or_default();
        error_reply(Some(&self.id), code, "Resource not found.", Some(&data))
    }

    /// The response up to the first member of a result that is the method's own.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(128 + self.id.as_json().len());
        result_head(&mut head, &self.id);
        head.push(b'{');
        if self.era() == Era::Modern {
            head.extend_from_slice(b"\"resultType\":\"complete\",");
        }
        head
    }

    /// The response behind the members of a result that are the method's own.
    fn tail(&self, out: &mut Vec<u8>, ttl_ms: Option<u32>) {
        if self.era() == Era::Modern {
            if let Some(ttl_ms) = ttl_ms {
                let cache = format!(",\"ttlMs\":{ttl_ms},\"cacheScope\":\"private\"");
                out.extend_from_slice(cache.as_bytes());
            }
            out.extend_from_slice(b",\"_meta\":");
            out.extend_from_slice(&self.meta);
        }
        out.extend_from_slice(b"}}");
    }

    /// A protocol error instead of a result, for instance [`INTERNAL_ERROR`](super::INTERNAL_ERROR).
    /// What a model could mend is a [`ToolOutcome::error`], not this.
    pub fn encode_error(&self, code: i32, message: &str) -> Bytes {
        error_reply(Some(&self.id), code, message, None)
    }
}
