//! `subscriptions/listen`: streams of change notices (2026-07-28, basic/patterns/subscriptions).
//!
//! A stream holds a credential's place among the open ones (`org::Listening`) and sends what `mcp::Listen` writes.
//! Nothing is queued for a slow reader: what changed meanwhile is told as one change when it reads again.
//!
//! **Invariant:** the acknowledgement comes first, and a stream ends at once with its credential, at its longest
//! time and at a shutdown (`tests/it/listening.rs`).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::BodyStream;
use actix_web::web::Bytes;
use futures_util::stream::unfold;
use tokio::time::{Sleep, sleep};

use super::bearer::retry_after;
use super::mcp::{counted, refused, unavailable};
use super::request_id::RequestId;
use super::{Edge, sse};
use crate::credential::Credential;
use crate::mcp::{Listen, error_reply};
use crate::metrics::Refusal as Counted;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::org::{BeginError, CallKey, Listening, Over, Principal, Stopped};

/// How streams of change notices are bounded in time.
#[derive(Debug, Clone, Copy)]
pub struct StreamTimes {
    /// After so long a stream is ended; its client opens another.
    pub longest: Duration,
    /// How often a quiet stream says that it is alive.
    pub keep_alive: Duration,
}

/// The code of an error that asks a client to come back later. JSON-RPC and MCP have none and leave what lies
/// outside of their ranges to servers (2026-07-28, basic, "Error Codes"); this is the HTTP status.
const TOO_MANY: i32 = 429;
/// How long until it is worth trying again: a place is free when some client leaves.
const TOO_MANY_FOR: Duration = Duration::from_secs(30);

/// Opens a stream, or says why not.
pub(super) async fn listen(
    edge: &Edge,
    principal: Principal,
    credential: Credential,
    asked: Box<Listen>,
    id: RequestId,
) -> HttpResponse {
    let key = CallKey(asked.id.as_json().into());
    let opened = match principal.listen(key.clone()) {
        Err(BeginError::Closed) => match edge.registry.authenticate(&credential, None).await {
            Ok(again) => again.listen(key),
            Err(error) => return refused(edge, &error, &credential, None, id),
        },
        opened => opened,
    };
    let opened = opened.inspect_err(|error| edge.metrics.refused(counted(error)));
    let listening = match opened {
        Ok(listening) => listening,
        Err(BeginError::Revoked) => return edge.challenge.invalid(),
        Err(BeginError::Closed | BeginError::Draining) => return unavailable(),
        Err(BeginError::OrgBusy { limit }) => return too_many(&asked, "the organization", limit),
        Err(BeginError::KeyBusy { limit }) => return too_many(&asked, "this key", limit),
    };
    let needed = ScopeSet::only(Scope::SchemaRead);
    if !listening.scopes().covers(needed) {
        edge.metrics.refused(Counted::Scope);
        return edge.challenge.insufficient(listening.scopes().with(needed));
    }
    tracing::debug!(request_id = %id, key = principal.prefix(), "a stream of change notices was opened");
    let stream = Stream {
        out: VecDeque::from([sse::event(&asked.acknowledged())]),
        listening,
        asked,
        times: edge.streams,
        deadline: Box::pin(sleep(edge.streams.longest)),
        ended: false,
    };
    // Its place is taken, so no change is missed meanwhile.
    sleep(sse::HEAD_START).await;
    sse::response().body(BodyStream::new(Box::pin(unfold(stream, |mut stream| async move {
        let chunk = stream.chunk().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    }))))
}

fn too_many(asked: &Listen, who: &str, limit: usize) -> HttpResponse {
    let message = format!("Too many streams at once: {who} has {limit} open. Close one, or try again later.");
    let body = error_reply(Some(&asked.id), TOO_MANY, &message, None);
    let mut response = HttpResponse::TooManyRequests();
    response.insert_header(retry_after(TOO_MANY_FOR)).content_type("application/json").body(body)
}

struct Stream {
    listening: Listening,
    asked: Box<Listen>,
    times: StreamTimes,
    deadline: Pin<Box<Sleep>>,
    out: VecDeque<Bytes>,
    // Nothing follows what is still in `out`.
    ended: bool,
}

impl Stream {
    /// The next bytes; `None` at the end.
    async fn chunk(&mut self) -> Option<Bytes> {
        loop {
            // At once and without a word: the credential is gone, or the client does not want to hear any more.
            if matches!(self.listening.stopped(), Some(Stopped::Revoked | Stopped::ByClient)) {
                return None;
            }
            if let Some(chunk) = self.out.pop_front() {
                return Some(chunk);
            }
            if self.ended {
                return None;
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let stopped = self.listening.token().clone();
        let pause = self.times.keep_alive.min(self.listening.expires_in());
        tokio::select! {
            biased;
            () = stopped.cancelled() => self.close(),
            () = &mut self.deadline => self.close(),
            changed = self.listening.changed() => match changed {
                Ok(names) => self.tell(&names),
                Err(over) => self.over(over),
            },
            () = sleep(pause) => match self.listening.verify() {
                Ok(()) => self.out.push_back(sse::KEEP_ALIVE),
                Err(over) => self.over(over),
            },
        }
    }

    fn tell(&mut self, names: &[String]) {
        if self.asked.wants_resource_list() {
            self.out.push_back(sse::event(&self.asked.resource_list_changed()));
        }
        for uri in self.asked.watched(names) {
            self.out.push_back(sse::event(&self.asked.updated(uri)));
        }
    }

    fn over(&mut self, over: Over) {
        match over {
            // As a revoke does.
            Over::Refused => self.ended = true,
            Over::Unloaded => self.close(),
        }
    }

    /// Ends the stream by its result: the client may open another.
    fn close(&mut self) {
        self.out.push_back(sse::event(&self.asked.closed()));
        self.ended = true;
    }
}
