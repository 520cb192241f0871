//! The pure core of MCP over streamable HTTP: from a request's head and body to what must be done,
//! and from a call's outcome to the bytes of the answer.
//!
//! Speaks both eras on one endpoint: modern (2026-07-28, stateless, every request says its version)
//! and legacy (2024-11-05 to 2025-11-25, `initialize` first; Sequel keeps no session). It owns
//! JSON-RPC, version agreement, header agreement, the definitions of tools, prompts and resources, and the shape of
//! results. It knows no clock, randomness, I/O, async, actor, store or connector; authentication, Origin, HTTP
//! methods and body size were settled before it is asked.
//!
//! The whole of it is one call, [`decide`], and [`Call::encode`] for what a call came to.
//!
//! **Invariant:** no body and no header makes it panic
//! (`properties::no_body_and_no_header_makes_it_panic`).
//! **Invariant:** every complete answer is one JSON document with the request's own id
//! (`properties::every_reply_is_json_rpc_with_the_id_that_was_asked`).

mod arguments;
mod call;
mod completion;
pub mod cursor;
mod decide;
mod era;
mod head;
mod injected;
pub mod json;
mod jsonrpc;
mod listen;
mod outcome;
mod pieces;
mod progress;
mod prompts;
mod resources;
mod rounds;
mod server;
mod tools;
pub mod uri;

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod listen_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod resource_tests;
#[cfg(test)]
mod snapshots;

pub use call::{Call, ProgressToken, Task};
pub use completion::Complete;
pub use decide::{Decision, decide, decide_telling, join_batch};
pub use era::{Era, Version};
pub use head::{HeaderField, RequestHead};
pub use injected::{Asked, Injected, InjectedAnswer};
pub use jsonrpc::{
    HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR,
    RESOURCE_NOT_FOUND, RequestId, UNSUPPORTED_PROTOCOL_VERSION, error_reply,
};
pub use listen::{Listen, RESOURCES_MAX};
pub use outcome::{Completions, DataSourceEntry, Outcome, ResourcePage, ToolOutcome};
pub use pieces::Pieces;
pub use progress::progress;
pub use resources::{Resource, ResourceUri};
pub use server::{Fact, ServerFacts, fact_reply};
pub use tools::{DescribeTable, Detail, ExplainQuery, Format, RunQuery, SearchSchema, TOOLS, ToolCall};
