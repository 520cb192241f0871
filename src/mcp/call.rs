//! One tool call to carry out, and the response that it ends with.
//!
//! 2026-07-28: every result says `resultType` and who answers; legacy results say neither.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::era::{Era, Version};
use super::jsonrpc::{RequestId, error_reply, result_head};
use super::outcome::ToolOutcome;
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

/// One tool call, its arguments checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The request's id: unique among the calls of one client only.
    pub id: RequestId,
    /// The version that the answer must speak.
    pub version: Version,
    /// What to do.
    pub tool: ToolCall,
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
    pub fn encode(&self, outcome: ToolOutcome) -> Bytes {
        let parts = self.encode_parts(outcome);
        let mut out = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
        for part in &parts {
            out.extend_from_slice(part);
        }
        out.into()
    }

    /// The whole JSON-RPC response as consecutive parts: what [`Call::encode`] gives without a copy
    /// of the rows, for a body that is streamed.
    pub fn encode_parts(&self, outcome: ToolOutcome) -> Vec<Bytes> {
        let modern = self.era() == Era::Modern;
        let mut head = Vec::with_capacity(128 + self.id.as_json().len());
        result_head(&mut head, &self.id);
        head.push(b'{');
        if modern {
            head.extend_from_slice(b"\"resultType\":\"complete\",");
        }
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

    /// A protocol error instead of a result, for instance [`INTERNAL_ERROR`](super::INTERNAL_ERROR).
    /// What a model could mend is a [`ToolOutcome::error`], not this.
    pub fn encode_error(&self, code: i32, message: &str) -> Bytes {
        error_reply(Some(&self.id), code, message, None)
    }
}
