//! `/mcp`: MCP over streamable HTTP. The order of checks is PROTOCOLS': Host and Origin, credential,
//! method, size, and then whatever the pure core decides.
//!
//! What touches a data source is answered with a body that is made while it is sent, so that a
//! client that goes away takes its query with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use tracing::field::Empty;
use tracing::{Instrument, trace_span};

use super::answer::{Answer, Parts, made};
use super::batch::batch;
use super::bearer::{Bearer, bearer, oauth_error, retry_after};
use super::body::{discard, read_json};
use super::listen::listen;
use super::request_id::RequestId;
use super::{Edge, Worker, cors, progress};
use crate::context::Timestamp;
use crate::credential::Credential;
use crate::mcp::{
    Call, Decision, HeaderField, Listen, Outcome, ProgressToken, RequestHead, Task, ToolCall, decide_telling,
    fact_reply,
};
use crate::metrics::{Method as Message, Refusal as Counted, Route, SPANS, Tool};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::org::{
    Admission, AuthError, BeginError, CallGuard, CallKey, Limited, Principal, Progress, RateOf, Refusal,
};
use crate::tools::Tools;

pub(in crate::http) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Made once: parsing a header's value for each answer is work for nothing.
static JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

/// How long a client that finds the server not able to decide should wait.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);

/// The endpoint, for every method.
pub(super) async fn endpoint(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    let id = worker.request_ids.next();
    let edge = &worker.edge;
    let bytes_max = edge.body_max_bytes;
    let clock = edge.metrics.clock();
    let started = clock.elapsed();
    let span = trace_span!(
        target: SPANS,
        "mcp request",
        otel.kind = "server",
        http.route = "/mcp",
        request_id = %id,
        http.response.status_code = Empty,
    );
    // Hardly ever is somebody there to tell; then a request is not made larger for it.
    let mut response = match span.is_disabled() {
        true => answer(&request, &mut payload, &worker, clock.at(started), id).await,
        false => {
            Box::pin(answer(&request, &mut payload, &worker, clock.at(started), id).instrument(span.clone()))
                .await
        }
    };
    if !response.status().is_success() {
        Box::pin(discard(&request, &mut payload, bytes_max)).await;
    }
    response.headers_mut().insert(REQUEST_ID.clone(), id.header());
    // Of a browser; what comes from a foreign one was refused.
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && edge.hosts.check(request.headers(), request.uri().authority()).is_ok()
    {
        cors::open_to(origin, response.headers_mut());
    }
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    edge.metrics.answered(Route::Mcp, status, started);
    response
}

async fn answer(
    request: &HttpRequest,
    payload: &mut Payload,
    worker: &Data<Worker>,
    now: Timestamp,
    id: RequestId,
) -> HttpResponse {
    let edge = &*worker.edge;
    if let Err(found) = edge.hosts.check(request.headers(), request.uri().authority()) {
        tracing::info!(request_id = %id, ?found, "a request under a foreign name was refused");
        edge.metrics.refused(Counted::Foreign);
        return foreign();
    }
    if cors::is_preflight(request) {
        return cors::granted();
    }
    let credential = match bearer(request.headers()) {
        Bearer::Missing => {
            edge.metrics.refused(Counted::Missing);
            return edge.challenge.missing();
        }
        Bearer::Malformed => {
            edge.metrics.refused(Counted::Malformed);
            return edge.challenge.invalid();
        }
        Bearer::Presented(credential) => credential,
    };
    // What is rare is boxed, here and below: a request's future is as large as its largest branch, and it is
    // moved and allocated for each of them.
    let admission =
        trace_span!(target: SPANS, "authenticate").in_scope(|| edge.registry.admit(&credential, now));
    match admission {
        Admission::Accepted => {}
        Admission::Limited(limited) => return slow_down(edge, limited, id),
        Admission::Undecided => {
            let span = trace_span!(target: SPANS, "authenticate by the store");
            let authenticated = authenticated(edge, request, &credential, id).instrument(span);
            if let Err(response) = Box::pin(authenticated).await {
                return response;
            }
            if let Err(limited) = edge.registry.charge(&credential) {
                return slow_down(edge, limited, id);
            }
        }
    }
    if request.method() != Method::POST {
        edge.metrics.refused(Counted::HttpMethod);
        let mut response = HttpResponse::MethodNotAllowed();
        response.insert_header((header::ALLOW, HeaderValue::from_static("POST")));
        return oauth_error(&mut response, "invalid_request", "This endpoint takes POST only.");
    }
    let body = match read_json(request, payload, edge.body_max_bytes, edge.body_timeout).await {
        Ok(body) => body,
        Err(error) => {
            edge.metrics.refused(error.counted());
            return error.response(edge.body_max_bytes);
        }
    };
    let tell = &mut |method: &str| edge.metrics.message(Message::named(method));
    let work = match decide_telling(&head(request.headers()), &body, &worker.facts, tell) {
        Decision::Reply { status, body } => return json(status, body),
        Decision::Fact { id, fact } => return known(fact_reply(&id, worker.facts.fact(fact))),
        Decision::Accepted => return HttpResponse::Accepted().finish(),
        Decision::Cancelled { request_id } => Work::Cancel(CallKey(request_id.as_json().into())),
        Decision::Call(call) => Work::Call(call),
        Decision::Listen(asked) => Work::Listen(asked),
        Decision::Batch(decisions) => Work::Batch(decisions),
    };
    Box::pin(act(request, Arc::clone(&worker.edge), credential, work, id)).await
}

/// What takes more than an answer that is known.
enum Work {
    Cancel(CallKey),
    Call(Call),
    Listen(Box<Listen>),
    Batch(Vec<Decision>),
}

/// Acts in the credential's organization.
async fn act(
    request: &HttpRequest,
    edge: Arc<Edge>,
    credential: Credential,
    work: Work,
    id: RequestId,
) -> HttpResponse {
    let principal = match edge.registry.authenticate_active(&credential) {
        Some(principal) => principal,
        None => match authenticated(&edge, request, &credential, id).await {
            Ok(principal) => principal,
            Err(response) => return response,
        },
    };
    match work {
        Work::Cancel(call) => {
            principal.cancel(&call);
            HttpResponse::Accepted().finish()
        }
        Work::Call(call) => {
            if edge.dashboard.first_calls.is_anybody_waiting() {
                let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
                let key = (credential.org, credential.id);
                let now = edge.tools.context.clock.now();
                edge.dashboard.first_calls.note(key, agent.unwrap_or_default(), call.task.name(), now);
            }
            let told = progress::token(request.headers(), &call);
            call_alone(edge, principal, credential, call, told, id).await
        }
        Work::Listen(asked) => listen(&edge, principal, credential, asked, id).await,
        Work::Batch(decisions) => batch(edge, principal, credential, decisions, id).await,
    }
}

/// Verifies a credential whose organization may have to be loaded first.
async fn authenticated(
    edge: &Edge,
    request: &HttpRequest,
    credential: &Credential,
    id: RequestId,
) -> Result<Principal, HttpResponse> {
    let from = edge.peers.address(request);
    let verdict = edge.registry.authenticate(credential, from).await;
    verdict.map_err(|error| refused(edge, &error, credential, from, id))
}

fn head(headers: &HeaderMap) -> RequestHead<'_> {
    let field = |name: &HeaderName| HeaderField::collect(headers.get_all(name).map(HeaderValue::as_bytes));
    RequestHead {
        protocol_version: field(&PROTOCOL_VERSION),
        mcp_method: field(&MCP_METHOD),
        mcp_name: field(&MCP_NAME),
    }
}

/// The answer to a foreign `Host` or `Origin`.
pub(super) fn foreign() -> HttpResponse {
    let text = "The request's Host or Origin is not one of this server's. An operator allows others by \
                server.allowed_hosts and server.allowed_origins.";
    oauth_error(&mut HttpResponse::Forbidden(), "forbidden", text)
}

pub(super) fn refused(
    edge: &Edge,
    error: &AuthError,
    credential: &Credential,
    from: Option<IpAddr>,
    id: RequestId,
) -> HttpResponse {
    edge.metrics.refused(match error {
        AuthError::Invalid(Refusal::Unknown) => Counted::Unknown,
        AuthError::Invalid(Refusal::Disabled) => Counted::Disabled,
        AuthError::Invalid(Refusal::Expired) => Counted::Expired,
        AuthError::Invalid(Refusal::Audience) => Counted::Audience,
        AuthError::Throttled(_) => Counted::Throttled,
        AuthError::Unavailable(_) => Counted::Unavailable,
    });
    match error {
        AuthError::Invalid(refusal) => {
            let key = credential.prefix();
            tracing::info!(request_id = %id, key, ?from, reason = ?refusal, "a credential was refused");
            edge.challenge.invalid()
        }
        AuthError::Throttled(wait) => {
            let mut response = HttpResponse::TooManyRequests();
            response.insert_header(retry_after(*wait));
            oauth_error(&mut response, "slow_down", "Too many invalid credentials came from this address.")
        }
        AuthError::Unavailable(error) => {
            tracing::error!(request_id = %id, error = error as &dyn std::error::Error, "a credential could not be verified");
            unavailable()
        }
    }
}

/// The answer to who has used up the rate of the key or the organization. Nothing was done.
fn slow_down(edge: &Edge, limited: Limited, id: RequestId) -> HttpResponse {
    edge.metrics.refused(match limited.of {
        RateOf::Key => Counted::KeyRate,
        RateOf::Org => Counted::OrgRate,
    });
    // A flood must not flood the log as well.
    tracing::debug!(request_id = %id, %limited, "a request was refused for its rate");
    let mut response = HttpResponse::TooManyRequests();
    response.insert_header(retry_after(limited.wait));
    let text = match limited.of {
        RateOf::Key => {
            "This API key or app makes more requests than it may in a minute; wait as long as Retry-After says."
        }
        RateOf::Org => {
            "This organization makes more requests than it may in a minute; wait as long as Retry-After says."
        }
    };
    oauth_error(&mut response, "slow_down", text)
}

pub(super) fn unavailable() -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header(retry_after(UNAVAILABLE_FOR));
    oauth_error(&mut response, "temporarily_unavailable", "The server cannot answer right now; try again.")
}

fn json(status: u16, body: Bytes) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).insert_header(JSON.clone()).body(body)
}

/// An answer of which nearly all is kept ready.
fn known(parts: [Bytes; 2]) -> HttpResponse {
    HttpResponse::Ok().insert_header(JSON.clone()).body(Parts::new(parts))
}

/// Why a call did not begin.
pub(super) enum NotBegun {
    /// The credential is gone: the whole request is refused.
    Revoked(HttpResponse),
    /// The credential may not do that.
    Forbidden(HttpResponse),
    /// It cannot be decided, or nothing is begun any more.
    Unavailable(HttpResponse),
    /// The answer says what to do.
    Outcome(Outcome),
}

/// Registers a call; where the organization was reloaded meanwhile, authenticates again, once. Where too many run,
/// `make_room` may end one, and says whether it did.
pub(super) async fn begin(
    edge: &Edge,
    principal: &Principal,
    credential: &Credential,
    call: &Call,
    id: RequestId,
    make_room: &mut dyn FnMut() -> bool,
) -> Result<CallGuard, NotBegun> {
    let key = CallKey(call.id.as_json().into());
    let mut enter = |principal: &Principal| match principal.begin(key.clone()) {
        Err(BeginError::OrgBusy { .. } | BeginError::KeyBusy { .. }) if make_room() => {
            principal.begin(key.clone())
        }
        begun => begun,
    };
    let begun = match enter(principal) {
        Err(BeginError::Closed) => match edge.registry.authenticate(credential, None).await {
            Ok(again) => enter(&again),
            Err(error) => {
                let response = refused(edge, &error, credential, None, id);
                return Err(match error {
                    AuthError::Invalid(_) => NotBegun::Revoked(response),
                    AuthError::Throttled(_) | AuthError::Unavailable(_) => NotBegun::Unavailable(response),
                });
            }
        },
        begun => begun,
    };
    let begun = begun.inspect_err(|error| edge.metrics.refused(counted(error)));
    let begun = begun.map_err(|error| match error {
        BeginError::Revoked => NotBegun::Revoked(edge.challenge.invalid()),
        BeginError::Closed | BeginError::Draining => NotBegun::Unavailable(unavailable()),
        BeginError::OrgBusy { .. } | BeginError::KeyBusy { .. } => NotBegun::Outcome(Outcome::Failed(
            format!("Too many calls at once: {error}. Wait for one to end."),
        )),
    });
    let guard = begun?;
    let needed = needed(&call.task);
    if guard.scopes().covers(needed) {
        return Ok(guard);
    }
    edge.metrics.refused(Counted::Scope);
    guard.concluded(0, true);
    Err(NotBegun::Forbidden(edge.challenge.insufficient(guard.scopes().with(needed))))
}

/// What a grant has to be good for.
fn needed(task: &Task) -> ScopeSet {
    ScopeSet::only(match task {
        Task::Tool(ToolCall::RunQuery(_) | ToolCall::ExplainQuery(_) | ToolCall::Injected(_)) => {
            Scope::QueryRun
        }
        Task::Tool(ToolCall::ListDataSources | ToolCall::SearchSchema(_) | ToolCall::DescribeTable(_))
        | Task::ListResources(_)
        | Task::ReadResource(_)
        | Task::Complete(_) => Scope::SchemaRead,
    })
}

/// As what something that did not begin is counted.
pub(super) fn counted(error: &BeginError) -> Counted {
    match error {
        BeginError::Revoked => Counted::Revoked,
        BeginError::Closed => Counted::Unavailable,
        BeginError::Draining => Counted::Draining,
        BeginError::OrgBusy { .. } => Counted::OrgBusy,
        BeginError::KeyBusy { .. } => Counted::KeyBusy,
    }
}

async fn call_alone(
    edge: Arc<Edge>,
    principal: Principal,
    credential: Credential,
    call: Call,
    told: Option<ProgressToken>,
    id: RequestId,
) -> HttpResponse {
    let guard = match begin(&edge, &principal, &credential, &call, id, &mut || false).await {
        Ok(guard) => guard,
        Err(
            NotBegun::Revoked(response) | NotBegun::Forbidden(response) | NotBegun::Unavailable(response),
        ) => return response,
        Err(NotBegun::Outcome(outcome)) => return json(200, call.encode(outcome)),
    };
    if !Tools::touches_a_source(&call.task) {
        let outcome = carry_out(&edge, &principal, &call, &guard, id).await;
        return json(200, call.encode(outcome));
    }
    if let Some(token) = told {
        let (progress, clock) = (Arc::new(Progress::default()), edge.tools.context.clock.clone());
        let guard = guard.heard_by(Arc::clone(&progress));
        let making = async move {
            let outcome = carry_out(&edge, &principal, &call, &guard, id).await;
            Answer::of(&call, outcome, guard)
        };
        return progress::told(token, progress, clock, making).await;
    }
    made(async move {
        let outcome = carry_out(&edge, &principal, &call, &guard, id).await;
        Answer::of(&call, outcome, guard)
    })
    .await
}

pub(super) async fn carry_out(
    edge: &Edge,
    principal: &Principal,
    call: &Call,
    guard: &CallGuard,
    id: RequestId,
) -> Outcome {
    let started = edge.tools.context.clock.elapsed();
    let span = trace_span!(
        target: SPANS,
        "tool call",
        otel.name = call.task.name(),
        mcp.tool.name = call.task.name(),
        request_id = %id,
        is_error = Empty,
        bytes = Empty,
    );
    let told = span.clone();
    let outcome = edge.tools.carry_out(&call.task, guard, &id.to_string()).instrument(span).await;
    told.record("is_error", outcome.is_error()).record("bytes", outcome.size());
    guard.concluded(outcome.size(), outcome.is_error());
    let elapsed = edge.tools.context.clock.elapsed() - started;
    edge.metrics.called(Tool::named(call.task.name()), outcome.is_error(), elapsed);
    let elapsed_ms = elapsed.as_millis();
    // Each call at `debug` only: a line costs more than verifying the key, and a busy server has many.
    tracing::debug!(
        request_id = %id,
        key = principal.prefix(),
        task = call.task.name(),
        is_error = outcome.is_error(),
        bytes = outcome.size(),
        elapsed_ms,
        "a call was carried out"
    );
    outcome
}
