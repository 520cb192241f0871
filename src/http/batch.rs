//! Batches (2025-03-26): several messages in one request, answered one after the other and all at once.
//!
//! **Invariant:** what the calls of a batch have read goes out under a running call of its credential only, and not
//! at all after a revoke (`tests/it/revocation.rs`): an answer of an earlier call waits here for the later ones.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Bytes;

use super::Edge;
use super::answer::{Answer, made};
use super::mcp::{NotBegun, begin, carry_out};
use super::request_id::RequestId;
use crate::credential::Credential;
use crate::mcp::{Call, Decision, INTERNAL_ERROR, Outcome, join_batch};
use crate::metrics::Refusal as Counted;
use crate::org::{CallGuard, CallKey, Principal, Stopped};

const REVOKED: &str = "The credential is no longer valid.";
const FORBIDDEN: &str = "This app was not authorized for that.";
const UNAVAILABLE: &str = "The server cannot answer right now; try again.";

/// Answers a batch one message after the other.
pub(super) async fn batch(
    edge: Arc<Edge>,
    principal: Principal,
    credential: Credential,
    decisions: Vec<Decision>,
    id: RequestId,
) -> HttpResponse {
    let is_answered = |decision: &Decision| matches!(decision, Decision::Reply { .. } | Decision::Call(_));
    if !decisions.iter().any(is_answered) {
        for decision in decisions {
            if let Decision::Cancelled { request_id } = decision {
                principal.cancel(&CallKey(request_id.as_json().into()));
            }
        }
        return HttpResponse::Accepted().finish();
    }
    let run = Run { edge, principal, credential, id, last: None, holds_rows: false, is_revoked: false };
    made(run.answered(decisions)).await
}

/// A batch that is worked off.
struct Run {
    edge: Arc<Edge>,
    principal: Principal,
    credential: Credential,
    id: RequestId,
    /// The last call that began. One of them runs at a time, and counts as one.
    last: Option<CallGuard>,
    /// An answer that was collected says something of a source.
    holds_rows: bool,
    /// Once seen, for good: the key may be switched on again before the batch ends.
    is_revoked: bool,
}

/// An answer that waits for the others, and the call that it is of.
type Collected = (Vec<Bytes>, Option<Call>);

impl Run {
    async fn answered(mut self, decisions: Vec<Decision>) -> Answer {
        let budget = self.edge.tools.batch_budget();
        let mut collected: Vec<Collected> = Vec::with_capacity(decisions.len());
        let mut bytes = 0;
        // The request itself has taken one of the rate, for the first of its calls.
        let mut is_paid = true;
        for decision in decisions {
            let (parts, call) = match decision {
                Decision::Reply { body, .. } => (vec![body], None),
                Decision::Call(call) => {
                    let parts = if budget.is_spent(bytes) {
                        vec![call.encode(budget.refusal())]
                    } else if !std::mem::take(&mut is_paid)
                        && self.edge.registry.charge(&self.credential).is_err()
                    {
                        self.edge.metrics.refused(Counted::KeyRate);
                        vec![call.encode(too_many())]
                    } else {
                        self.carry_out(&call).await
                    };
                    (parts, Some(call))
                }
                Decision::Cancelled { request_id } => {
                    self.principal.cancel(&CallKey(request_id.as_json().into()));
                    continue;
                }
                // The core never nests batches, puts facts into replies there, and has streams in no version with
                // batches.
                Decision::Accepted | Decision::Fact { .. } | Decision::Listen(_) | Decision::Batch(_) => {
                    continue;
                }
            };
            bytes += parts.iter().map(Bytes::len).sum::<usize>();
            collected.push((parts, call));
        }
        self.conclude(collected).await
    }

    async fn carry_out(&mut self, call: &Call) -> Vec<Bytes> {
        let error = |message| vec![call.encode_error(INTERNAL_ERROR, message)];
        match self.begin(call).await {
            Ok(guard) => {
                let outcome = carry_out(&self.edge, &self.principal, call, &guard, self.id).await;
                self.holds_rows |= !outcome.is_error();
                self.last = Some(guard);
                call.encode_parts(outcome)
            }
            Err(NotBegun::Outcome(outcome)) => vec![call.encode(outcome)],
            Err(NotBegun::Revoked(_)) => {
                self.is_revoked = true;
                error(REVOKED)
            }
            Err(NotBegun::Forbidden(_)) => error(FORBIDDEN),
            Err(NotBegun::Unavailable(_)) => error(UNAVAILABLE),
        }
    }

    /// Begins a call. The one before gives way to it, and stays where it does not begin.
    async fn begin(&mut self, call: &Call) -> Result<CallGuard, NotBegun> {
        let Self { edge, principal, credential, id, last, is_revoked, .. } = self;
        let mut give_way = || {
            // Its answer waits here for the others.
            let former = last.take().inspect(CallGuard::handed_over);
            *is_revoked |= former.as_ref().is_some_and(is_revoked_call);
            former.is_some()
        };
        let begun = begin(edge, principal, credential, call, *id, &mut give_way).await?;
        give_way();
        Ok(begun)
    }

    /// The answer to all of it, or refusals only.
    async fn conclude(mut self, collected: Vec<Collected>) -> Answer {
        self.is_revoked |= self.last.as_ref().is_some_and(is_revoked_call);
        let mut withheld = self.is_revoked.then_some(REVOKED);
        // The last call did not begin, or its client has ended it: what was collected needs another to go out under.
        let is_guarded = self.last.as_ref().is_some_and(|call| call.stopped().is_none());
        if withheld.is_none() && self.holds_rows && !is_guarded {
            let call = collected.iter().rev().find_map(|(_, call)| call.as_ref());
            withheld = match call {
                Some(call) => self.guard_again(call).await,
                None => Some(UNAVAILABLE),
            };
        }
        let Some(message) = withheld else {
            let parts = join_batch(collected.into_iter().map(|(parts, _)| parts).collect());
            return Answer { parts, call: self.last, tells_of_its_end: !self.holds_rows };
        };
        let refusals = collected.into_iter().map(|(parts, call)| match call {
            Some(call) => vec![call.encode_error(INTERNAL_ERROR, message)],
            // What the server says of itself.
            None => parts,
        });
        Answer { parts: join_batch(refusals.collect()), call: None, tells_of_its_end: true }
    }

    /// Begins something of this name that only holds the credential while the answer is sent; else says why nothing
    /// of it may be.
    async fn guard_again(&mut self, call: &Call) -> Option<&'static str> {
        match self.begin(call).await {
            // A revoke that came before it is seen in the call that has given way, and else in this one.
            Ok(_) if self.is_revoked => Some(REVOKED),
            Ok(guard) => {
                guard.concluded(0, false);
                self.last = Some(guard);
                None
            }
            Err(NotBegun::Revoked(_)) => Some(REVOKED),
            Err(NotBegun::Forbidden(_)) => Some(FORBIDDEN),
            Err(NotBegun::Unavailable(_) | NotBegun::Outcome(_)) => Some(UNAVAILABLE),
        }
    }
}

fn is_revoked_call(call: &CallGuard) -> bool {
    call.stopped() == Some(Stopped::Revoked)
}

fn too_many() -> Outcome {
    Outcome::Failed(
        "This call is one more than this API key or its organization may make in a minute. Wait a little and send it \
         again."
            .to_owned(),
    )
}
