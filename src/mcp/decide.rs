//! From a request to what must be done: the order of checks and the methods of each era.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::call::{Call, ProgressToken, Task};
use super::completion::Complete;
use super::cursor::{UnknownCursor, after};
use super::era::{Era, Refusal, Settled, Version, quoted, settle, unnamed};
use super::head::RequestHead;
use super::injected::injected;
use super::jsonrpc::{
    self, Body, Given, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message, RequestId, Unnamed,
    error_reply, result_reply, string,
};
use super::listen::Listen;
use super::outcome::ToolOutcome;
use super::prompts::prompt;
use super::resources::{self, ResourceUri};
use super::rounds::no_round_is_open;
use super::server::{Fact, ServerFacts, fact_reply};
use super::tools::{BadCall, tool_call};

/// What to do with a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Answer with this JSON.
    Reply {
        /// The HTTP status.
        status: u16,
        /// One JSON-RPC response.
        body: Bytes,
    },
    /// Answer 200 with [`fact_reply`]: what the server says of itself, which is the same for everyone and is
    /// not copied for each.
    Fact {
        /// The request's id.
        id: RequestId,
        /// Which of them.
        fact: Fact,
    },
    /// Answer 202 without a body.
    Accepted,
    /// Stop this call of the same credential, if it still runs; answer 202 without a body. On the modern
    /// era a disconnect is the cancel; who sends this there all the same (`mcp-remote --protocol auto`
    /// keeps its connection) wants the call stopped no less.
    Cancelled {
        /// The id of the call to stop.
        request_id: RequestId,
    },
    /// Carry this call out; answer 200 with [`Call::encode`].
    Call(Call),
    /// Open a stream of change notices. Modern only.
    Listen(Box<Listen>),
    /// Do each of these, in any order; answer 200 with [`join_batch`] of the responses, or 202
    /// without a body where there are none. Never nested, never empty.
    Batch(Vec<Decision>),
}

/// The response to a batch: the responses of its [`Decision::Reply`]s and [`Decision::Call`]s, in any
/// order, each in consecutive parts. Nothing is copied. Empty where there are none and the answer is 202.
pub fn join_batch(responses: Vec<Vec<Bytes>>) -> Vec<Bytes> {
    let mut out = Vec::with_capacity(responses.iter().map(|parts| parts.len() + 1).sum::<usize>() + 1);
    for (at, parts) in responses.into_iter().enumerate() {
        out.push(Bytes::from_static(if at == 0 { b"[" } else { b"," }));
        out.extend(parts);
    }
    if !out.is_empty() {
        out.push(Bytes::from_static(b"]"));
    }
    out
}

/// Decides what a POST to the endpoint asks for. The caller has settled Origin, credential, HTTP
/// method and body size.
pub fn decide(head: &RequestHead<'_>, body: &[u8], server: &ServerFacts) -> Decision {
    decide_telling(head, body, server, &mut |_| ())
}

/// The same, and tells the method of each message as it is read, known or not, for whoever counts them.
pub fn decide_telling(
    head: &RequestHead<'_>,
    body: &[u8],
    server: &ServerFacts,
    tell: &mut dyn FnMut(&str),
) -> Decision {
    match jsonrpc::parse(body) {
        Err(malformed) => Decision::Reply { status: 400, body: malformed.body(unnamed(head)) },
        Ok(Body::One(message)) => one(head, message, server, tell),
        Ok(Body::Batch(items)) => batch(head, &items, server, tell),
    }
}

fn one(
    head: &RequestHead<'_>,
    message: Message<'_>,
    server: &ServerFacts,
    tell: &mut dyn FnMut(&str),
) -> Decision {
    if let Message::Request { method, .. } | Message::Notification { method, .. } = &message {
        tell(method);
    }
    match message {
        Message::Request { id, method, params } => request(head, id, &method, params, server),
        Message::Notification { method, params } => match settle(head, &method, params, false) {
            Ok(settled) => notification(&method, &settled),
            // There is nobody to tell but by status; parameters alone never make it an error.
            Err(refusal) if refusal.status == 200 => Decision::Accepted,
            Err(refusal) => refusal.unnamed(head),
        },
        Message::Response => response(head),
    }
}

fn batch(
    head: &RequestHead<'_>,
    items: &[&RawValue],
    server: &ServerFacts,
    tell: &mut dyn FnMut(&str),
) -> Decision {
    let refuse = |message| Refusal::new(400, INVALID_REQUEST, message).unnamed(head);
    // As for one message without `_meta`: the header, or 2025-03-26 without one.
    match settle(head, "", Given::Raw(None), false) {
        Err(refusal) => return refusal.unnamed(head),
        Ok(settled) if !settled.version.has_batches() => {
            return refuse("This protocol version has no batches; send one message a request.");
        }
        Ok(_) => {}
    }
    let decisions = items.iter().map(|item| match jsonrpc::message(item.get()) {
        Err(malformed) => Decision::Reply { status: 200, body: malformed.body(Unnamed::Null) },
        Ok(Message::Request { id, method, .. }) if method == "initialize" => {
            let body =
                error_reply(Some(&id), INVALID_REQUEST, "initialize must not be part of a batch.", None);
            Decision::Reply { status: 200, body }
        }
        Ok(message) => match one(head, message, server, tell) {
            Decision::Reply { body, .. } => Decision::Reply { status: 200, body },
            Decision::Fact { id, fact } => {
                Decision::Reply { status: 200, body: fact_reply(&id, server.fact(fact)).concat().into() }
            }
            decision => decision,
        },
    });
    Decision::Batch(decisions.collect())
}

/// A response to a question that Sequel never asked.
fn response(head: &RequestHead<'_>) -> Decision {
    match settle(head, "", Given::Raw(None), false) {
        Err(refusal) => refusal.unnamed(head),
        Ok(settled) if settled.version.era() == Era::Modern => {
            Refusal::new(400, INVALID_REQUEST, "Responses cannot be sent to this endpoint.").unnamed(head)
        }
        Ok(_) => Decision::Accepted,
    }
}

fn notification(method: &str, settled: &Settled<'_>) -> Decision {
    if method == "notifications/cancelled"
        && let Some(request_id) = settled.params.request_id.and_then(RequestId::from_raw)
    {
        return Decision::Cancelled { request_id };
    }
    Decision::Accepted
}

fn request(
    head: &RequestHead<'_>,
    id: RequestId,
    method: &str,
    params: Given<'_>,
    server: &ServerFacts,
) -> Decision {
    let settled = match settle(head, method, params, true) {
        Ok(settled) => settled,
        Err(refusal) => return refusal.decision(&id),
    };
    let era = settled.version.era();
    if let Err(message) = no_round_is_open(method, &settled) {
        return Refusal::new(200, INVALID_PARAMS, message).decision(&id);
    }
    // Nothing is mounted in the product: one look.
    if let Some(decision) = injected(&id, method, &settled, server) {
        return decision;
    }
    match (era, method) {
        (_, "tools/call") => call(id, &settled, server),
        (_, "tools/list") => list(id, method, &settled, Fact::Tools(era)),
        (_, "resources/list") => list_resources(id, &settled, server),
        (_, "resources/templates/list") => list(id, method, &settled, Fact::Templates(era)),
        (_, "resources/read") => read_resource(id, &settled, server),
        (_, "prompts/list") => list(id, method, &settled, Fact::Prompts(era)),
        (_, "prompts/get") => get_prompt(&id, &settled, server),
        (_, "completion/complete") => complete(id, &settled, server),
        (Era::Modern, "server/discover") => Decision::Fact { id, fact: Fact::Discover },
        (Era::Modern, "subscriptions/listen") => listen(id, &settled, server),
        (Era::Legacy, "initialize") => initialize(id, &settled),
        (Era::Legacy, "ping") => Decision::Reply { status: 200, body: result_reply(&id, b"{}") },
        _ => {
            let status = if era == Era::Modern { 404 } else { 200 };
            Refusal::new(status, METHOD_NOT_FOUND, format!("Method not found: {}.", quoted(method)))
                .decision(&id)
        }
    }
}

fn initialize(id: RequestId, settled: &Settled<'_>) -> Decision {
    let Some(asked) = settled.params.protocol_version.and_then(string) else {
        return Refusal::new(200, INVALID_PARAMS, "initialize needs params.protocolVersion, a string.")
            .decision(&id);
    };
    let version = Version::parse(&asked).filter(|v| v.era() == Era::Legacy).unwrap_or(Version::NEWEST_LEGACY);
    Decision::Fact { id, fact: Fact::Initialize(version) }
}

/// A list that fits one page, so that no cursor was ever given out.
fn list(id: RequestId, method: &str, settled: &Settled<'_>, fact: Fact) -> Decision {
    match after(method, settled.params.cursor) {
        Ok(None) => Decision::Fact { id, fact },
        Ok(Some(_)) | Err(UnknownCursor) => invalid(&id, UnknownCursor.to_string()),
    }
}

fn invalid(id: &RequestId, message: impl Into<std::borrow::Cow<'static, str>>) -> Decision {
    Refusal::new(200, INVALID_PARAMS, message).decision(id)
}

fn list_resources(id: RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match after(resources::LIST, settled.params.cursor) {
        Ok(after) => carry_out(id, settled, server, Task::ListResources(after)),
        Err(unknown) => invalid(&id, unknown.to_string()),
    }
}

fn read_resource(id: RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match ResourceUri::read(settled.params.uri) {
        Ok(resource) => carry_out(id, settled, server, Task::ReadResource(resource)),
        Err(message) => invalid(&id, message),
    }
}

fn complete(id: RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match Complete::read(&settled.params) {
        Ok(wanted) => carry_out(id, settled, server, Task::Complete(wanted)),
        Err(message) => invalid(&id, message),
    }
}

fn get_prompt(id: &RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match prompt(settled.params.name, settled.params.arguments) {
        Ok(members) => {
            let result = server.result(settled.version, &members);
            Decision::Reply { status: 200, body: result_reply(id, result.as_bytes()) }
        }
        Err(message) => invalid(id, message),
    }
}

fn carry_out(id: RequestId, settled: &Settled<'_>, server: &ServerFacts, task: Task) -> Decision {
    Decision::Call(to_carry_out(id, settled, server, task))
}

fn to_carry_out(id: RequestId, settled: &Settled<'_>, server: &ServerFacts, task: Task) -> Call {
    Call {
        id,
        version: settled.version,
        task,
        progress_token: settled.meta.progress_token.and_then(ProgressToken::from_raw),
        meta: server.meta.clone(),
    }
}

fn listen(id: RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match Listen::read(id.clone(), settled.params.notifications, &server.meta) {
        Ok(listen) => Decision::Listen(Box::new(listen)),
        Err(message) => Refusal::new(200, INVALID_PARAMS, message).decision(&id),
    }
}

fn call(id: RequestId, settled: &Settled<'_>, server: &ServerFacts) -> Decision {
    match tool_call(settled.params.name, settled.params.arguments) {
        Ok(tool) => carry_out(id, settled, server, Task::Tool(tool)),
        Err(BadCall::Protocol(message)) => invalid(&id, message),
        Err(BadCall::Arguments(message)) => {
            // Which tool it was makes no difference to how a failure is written.
            let any = Task::Tool(super::ToolCall::ListDataSources);
            let body = to_carry_out(id, settled, server, any).encode(ToolOutcome::error(&message));
            Decision::Reply { status: 200, body }
        }
    }
}
