//! Features that do not belong to the product, over the same transport and core.
//!
//! The official conformance tool wants tools, resources and prompts of fixed names and contents. A test-only build
//! mounts them here (`tests/conformance`); the product mounts none. What is mounted answers first, and what it
//! leaves alone is the product's.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Decision;
use super::call::{Call, ProgressToken, Task};
use super::era::{Era, Refusal, Settled};
use super::jsonrpc::{RequestId, result_reply, string};
use super::server::ServerFacts;
use super::tools::ToolCall;

/// What is mounted. Pure: it answers from what it is asked.
pub trait Injected: Debug + Send + Sync {
    /// The capabilities of the server, a JSON object, for this era.
    fn capabilities(&self, era: Era) -> String;

    /// Answers a request; `None` leaves it to the product.
    fn answer(&self, asked: &Asked<'_>) -> Option<InjectedAnswer>;
}

/// A request whose version and headers were settled.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The era.
    pub era: Era,
    /// The method.
    pub method: &'a str,
    /// `params.name`.
    pub name: Option<Cow<'a, str>>,
    /// `params.uri`.
    pub uri: Option<Cow<'a, str>>,
    /// `params.arguments`, as JSON.
    pub arguments: Option<&'a str>,
    /// `params._meta`'s client capabilities, as JSON; modern only.
    pub capabilities: Option<&'a str>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedAnswer {
    /// The members of a result object, without its braces; never none.
    Result(String),
    /// An error.
    Error {
        /// The HTTP status on the modern era; 200 on the legacy one.
        status: u16,
        /// Its code.
        code: i32,
        /// What to do about it.
        message: String,
        /// More of it, as JSON.
        data: Option<String>,
    },
    /// Carry the tool of this name out.
    Call(Box<str>),
}

/// The answer of what is mounted, if anything is and takes the request for its own.
pub(super) fn injected(
    id: &RequestId,
    method: &str,
    settled: &Settled<'_>,
    server: &ServerFacts,
) -> Option<Decision> {
    let mounted = server.injected.as_ref()?;
    let era = settled.version.era();
    let asked = Asked {
        era,
        method,
        name: settled.params.name.and_then(string),
        uri: settled.params.uri.and_then(string),
        arguments: settled.params.arguments.map(RawValue::get),
        capabilities: settled.meta.client_capabilities.map(RawValue::get),
    };
    Some(match mounted.answer(&asked)? {
        InjectedAnswer::Result(members) => {
            let result = server.result(settled.version, &members);
            Decision::Reply { status: 200, body: result_reply(id, result.as_bytes()) }
        }
        InjectedAnswer::Error { status, code, message, data } => {
            let status = if era == Era::Modern { status } else { 200 };
            Refusal { data, ..Refusal::new(status, code, message) }.decision(id)
        }
        InjectedAnswer::Call(name) => Decision::Call(Call {
            id: id.clone(),
            version: settled.version,
            task: Task::Tool(ToolCall::Injected(name)),
            progress_token: settled.meta.progress_token.and_then(ProgressToken::from_raw),
            meta: server.meta.clone(),
        }),
    })
}

/// What is mounted, as the server's facts hold it.
pub(super) type Mounted = Option<Arc<dyn Injected>>;
