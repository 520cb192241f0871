//! A POST to `/mcp` behind authentication: three headers and a body (JSON-RPC 2.0, MCP of all versions).
//!
//! Input: up to three lines for the headers (an empty one is a header that is not sent, `!` one that is sent
//! twice), then the body. Whatever it is, the answer is a bounded JSON-RPC response with an allowed status, and
//! it is the same when asked again.

use std::sync::LazyLock;

use sequel::mcp::{Decision, HeaderField, RequestHead, ServerFacts, ToolOutcome, decide};
use serde_json::Value;

/// More than any answer to a request that runs nothing, beside what it repeats of the request.
const FIXED_BYTES_MAX: usize = 64 * 1024;

/// Made once, as the server does.
static FACTS: LazyLock<ServerFacts> = LazyLock::new(ServerFacts::sequel);

/// Panics where it does not hold.
pub fn holds(data: &[u8]) {
    let mut rest = data;
    let mut headers = [HeaderField::Absent; 3];
    for header in &mut headers {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
        *header = match &rest[..end] {
            b"" => HeaderField::Absent,
            b"!" => HeaderField::Repeated,
            value => HeaderField::One(value),
        };
        rest = &rest[end + 1..];
    }
    let head = RequestHead { protocol_version: headers[0], mcp_method: headers[1], mcp_name: headers[2] };
    let decision = decide(&head, rest, &FACTS);
    assert_eq!(decision, decide(&head, rest, &FACTS), "the same question has the same answer");
    check(decision, rest, true);
}

fn check(decision: Decision, body: &[u8], outermost: bool) {
    match decision {
        Decision::Reply { status, body: answer } => {
            assert!([200, 400, 404].contains(&status), "status {status}");
            response(&answer, body);
        }
        Decision::Call(call) => response(&call.encode(ToolOutcome::error("no")), body),
        Decision::Batch(decisions) => {
            assert!(outermost && !decisions.is_empty(), "a batch is neither empty nor nested");
            decisions.into_iter().for_each(|decision| check(decision, body, false));
        }
        // Both answer without a body.
        Decision::Accepted | Decision::Cancelled { .. } => {}
        // What later versions add is an answer of some kind, too.
        #[allow(unreachable_patterns)]
        _ => {}
    }
}

fn response(answer: &[u8], body: &[u8]) {
    assert!(answer.len() <= FIXED_BYTES_MAX + 8 * body.len(), "{} bytes for {}", answer.len(), body.len());
    let json: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    assert_eq!(json["jsonrpc"], "2.0");
    // An error may have been found before the id was; only some versions have a null for that.
    assert!(json.get("id").is_some() || json["error"].is_object(), "a result names the request");
    assert!(json["result"].is_object() != json["error"].is_object(), "a result or an error");
}
