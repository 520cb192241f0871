//! Answers of calls whose client wants to hear how far they are: events, first of progress, then the response,
//! and nothing after it.
//!
//! Where the request carries a progress token and accepts events, a tool that touches a source answers so. The
//! body owns the query as every answer's does (`answer`): a client that goes away takes it with it. On the modern
//! era that is the cancel; on the legacy one a disconnect is none by the specification, but there is nobody left
//! whom the answer could reach, since streams cannot be taken up again, and so the query ends there too.
//!
//! **Invariant:** values only ever grow, and none comes after the response (`tests/it/progress.rs`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::BodyStream;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use futures_util::stream::unfold;
use tokio::time::{Sleep, sleep};

use super::answer::{Answer, CutOff};
use super::sse;
use crate::context::Clock;
use crate::mcp::{Call, ProgressToken, progress};
use crate::org::{CallGuard, Progress, Step, Stopped};

/// When a call is first heard of: most are done by then, and say nothing but their answer.
const FIRST: Duration = sse::HEAD_START;
/// How often afterwards. Clients that extend their patience by it wait for minutes.
const EVERY: Duration = Duration::from_secs(1);

/// The token of a call that is answered with events.
pub(super) fn token(headers: &HeaderMap, call: &Call) -> Option<ProgressToken> {
    call.progress_token.clone().filter(|_| sse::is_accepted(headers))
}

/// Answers 200 with events, the last of which is what `making` makes. The response begins with its first event: see
/// [`sse::HEAD_START`]. A client that goes away before keeps its query until then.
pub(super) async fn told<F>(
    token: ProgressToken,
    progress: Arc<Progress>,
    clock: Clock,
    making: F,
) -> HttpResponse
where
    F: Future<Output = Answer> + 'static,
{
    let mut telling = Telling {
        making: Some(Box::pin(making)),
        parts: VecDeque::new(),
        call: None,
        token,
        progress,
        next: Box::pin(sleep(FIRST)),
        started: clock.elapsed(),
        clock,
        last: f64::NEG_INFINITY,
        is_stepped: false,
    };
    telling.gather().await;
    sse::response().body(BodyStream::new(Box::pin(unfold(telling, |mut telling| async move {
        let chunk = telling.chunk().await?;
        Some((chunk, telling))
    }))))
}

struct Telling<F> {
    making: Option<Pin<Box<F>>>,
    // What is sent next: a note, or the response once it is made.
    parts: VecDeque<Bytes>,
    call: Option<CallGuard>,
    token: ProgressToken,
    progress: Arc<Progress>,
    next: Pin<Box<Sleep>>,
    clock: Clock,
    started: Duration,
    // The last value that was sent.
    last: f64,
    // The call has a measure of its own, so time is none.
    is_stepped: bool,
}

impl<F: Future<Output = Answer>> Telling<F> {
    /// The next bytes; `None` at the end.
    async fn chunk(&mut self) -> Option<Result<Bytes, CutOff>> {
        self.gather().await;
        self.part()
    }

    /// Waits until there is something to send, or nothing more to come. Dropping the future loses nothing.
    async fn gather(&mut self) {
        while self.parts.is_empty()
            && let Some(making) = &mut self.making
        {
            let note = tokio::select! {
                biased;
                answer = making => {
                    self.take(answer);
                    continue;
                }
                step = self.progress.stepped() => {
                    self.is_stepped = true;
                    self.note(step)
                }
                () = &mut self.next => {
                    self.next = Box::pin(sleep(EVERY));
                    if self.is_stepped { Some(sse::KEEP_ALIVE) } else { self.note(self.elapsed()) }
                }
            };
            self.parts.extend(note);
        }
    }

    fn part(&mut self) -> Option<Result<Bytes, CutOff>> {
        if self.call.as_ref().is_some_and(|call| call.token().is_cancelled()) {
            self.parts.clear();
            self.call = None;
            return Some(Err(CutOff));
        }
        let part = self.parts.pop_front();
        if self.parts.is_empty() {
            self.call.take().inspect(CallGuard::handed_over);
        }
        part.map(Ok)
    }

    fn take(&mut self, mut answer: Answer) {
        self.making = None;
        let stopped = answer.call.as_ref().and_then(CallGuard::stopped);
        if stopped == Some(Stopped::ByClient) {
            // A request that its client has cancelled gets no response (2025-03-26 and later, "Cancellation").
            return;
        }
        self.call = answer.guard();
        self.parts.push_back(sse::BEFORE);
        self.parts.extend(answer.parts.into_iter().filter(|part| !part.is_empty()));
        self.parts.push_back(sse::AFTER);
    }

    /// For a call without a measure of its own: seconds, and its rows.
    fn elapsed(&self) -> Step {
        let seconds = (self.clock.elapsed() - self.started).as_secs_f64();
        let rows = match self.progress.rows_so_far() {
            0 => String::new(),
            1 => ", 1 row so far".to_owned(),
            rows => format!(", {rows} rows so far"),
        };
        let done = (seconds * 1_000.0).round() / 1_000.0;
        Step { done, total: None, message: format!("Running for {seconds:.1} s{rows}.") }
    }

    fn note(&mut self, step: Step) -> Option<Bytes> {
        // Also what is no number is not greater.
        if !(step.done > self.last && step.done.is_finite()) {
            return None;
        }
        self.last = step.done;
        Some(sse::event(&progress(&self.token, step.done, step.total, &step.message)))
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
