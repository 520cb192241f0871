//! Multi round-trip requests (2026-07-28, basic/patterns/mrtr): Sequel never asks its client for input, so no
//! request of a client's answers such a question.
//!
//! A `requestState` that Sequel did not issue fails verification, whatever it is, and has to be refused. Answers
//! that nobody asked for are not recognized and are ignored, as long as they are answers at all.

use super::era::{Era, Settled, Shape};

/// Refuses what can only stem from a question of another server. The error is a sentence for the client.
pub(super) fn no_round_is_open(method: &str, settled: &Settled<'_>) -> Result<(), &'static str> {
    let (responses, state) = (settled.params.input_responses, settled.params.request_state);
    if (responses, state) == (Shape::Nothing, Shape::Nothing) || settled.version.era() == Era::Legacy {
        return Ok(());
    }
    if !matches!(method, "tools/call" | "resources/read" | "prompts/get") {
        return Ok(());
    }
    if state != Shape::Nothing {
        return Err(
            "params.requestState was not issued by this server, which never asks for input; send the request \
                    without it.",
        );
    }
    match responses {
        Shape::Other => Err("params.inputResponses must be an object."),
        Shape::Nothing | Shape::Object => Ok(()),
    }
}
