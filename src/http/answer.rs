//! Answers of calls: bodies that own what they wait for and what they were made of.
//!
//! actix-web runs a plain handler to its end when the client goes away, but drops a body that it
//! streams. Whatever the body owns, a query for instance, ends with the connection.
//!
//! **Invariant:** a call counts as running until the last byte of its answer was handed over: a revoke
//! ends the sending too, and a shutdown waits for it (`tests/it/revocation.rs`, `tests/it/faults.rs`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use thiserror::Error;

use crate::mcp::{Call, Outcome};
use crate::org::CallGuard;

/// How long a handler itself waits for an answer before it lets the response begin. Most queries are
/// done by then, and their answer goes out in one piece with its length; a client that goes away keeps
/// its query for so much longer at most.
const HEAD_START: Duration = Duration::from_millis(20);

/// The bytes of an answer, and the call that made them, or the last one of a batch: a revoke ends all calls
/// of its credential.
pub(super) struct Answer {
    /// In order.
    pub(super) parts: Vec<Bytes>,
    /// Kept until the last part is handed over.
    pub(super) call: Option<CallGuard>,
    /// Nothing of a source is in it: where the call was ended, this says so, and may go out.
    pub(super) tells_of_its_end: bool,
}

impl Answer {
    /// What one call came to.
    pub(super) fn of(call: &Call, outcome: Outcome, guard: CallGuard) -> Self {
        let tells_of_its_end = outcome.is_error();
        Self { parts: call.encode_parts(outcome), call: Some(guard), tells_of_its_end }
    }

    /// Under what the answer goes out. A call can be ended after its tool has looked for the last time: that a
    /// call was ended does not mean that its answer says so.
    pub(super) fn guard(&mut self) -> Option<CallGuard> {
        let has_told = |call: &CallGuard| self.tells_of_its_end && call.stopped().is_some();
        self.call.take().filter(|call| !has_told(call))
    }
}

/// An answer that was cut off: the credential was revoked, or the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the call was ended while its answer was sent")]
pub(super) struct CutOff;

/// Answers 200 with the JSON that `making` makes: at once where that is quick, else while it is sent.
pub(super) async fn made<F: Future<Output = Answer> + 'static>(making: F) -> HttpResponse {
    let mut making = Box::pin(making);
    let body = match tokio::time::timeout(HEAD_START, &mut making).await {
        Ok(answer) => LazyBody::made(answer),
        Err(_) => {
            LazyBody { making: Some(making), parts: VecDeque::new(), call: None, size: BodySize::Stream }
        }
    };
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// A body in two parts, both there already.
pub(super) struct Parts {
    left: std::array::IntoIter<Bytes, 2>,
    size: u64,
}

impl Parts {
    pub(super) fn new(parts: [Bytes; 2]) -> Self {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        Self { left: parts.into_iter(), size }
    }
}

impl MessageBody for Parts {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.left.next().map(Ok))
    }
}

/// A body that may still be in the making when the response begins.
struct LazyBody<F> {
    making: Option<Pin<Box<F>>>,
    parts: VecDeque<Bytes>,
    call: Option<CallGuard>,
    size: BodySize,
}

impl<F> LazyBody<F> {
    fn made(answer: Answer) -> Self {
        let size = BodySize::Sized(answer.parts.iter().map(|part| part.len() as u64).sum());
        let mut body = Self { making: None, parts: VecDeque::new(), call: None, size };
        body.take(answer);
        body
    }

    fn take(&mut self, mut answer: Answer) {
        self.call = answer.guard();
        // An empty chunk would be the end of a chunked body.
        self.parts = answer.parts.into_iter().filter(|part| !part.is_empty()).collect();
    }
}

impl<F: Future<Output = Answer>> MessageBody for LazyBody<F> {
    type Error = CutOff;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        let this = self.get_mut();
        if let Some(making) = &mut this.making {
            match making.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(answer) => {
                    this.making = None;
                    this.take(answer);
                }
            }
        }
        if this.call.as_ref().is_some_and(|call| call.token().is_cancelled()) {
            this.parts.clear();
            return Poll::Ready(Some(Err(CutOff)));
        }
        let part = this.parts.pop_front();
        if this.parts.is_empty() {
            this.call.take().inspect(CallGuard::handed_over);
        }
        Poll::Ready(part.map(Ok))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
