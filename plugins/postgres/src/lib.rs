//! Sequel's connector for PostgreSQL, 13 and later: read-only in layers.
//!
//! Owns how a database is reached under the operator's policy ([`Policy`]), opened and queried. It knows no
//! organization, no credential and no HTTP.
//!
//! The layers, each of which alone would do against most attacks: a text that leaves nothing to interpretation, and the
//! guard's parse tree over it, with a list of functions that are known to be harmless; the database's own word about all
//! other functions; one statement, by the part of the protocol that takes no more; a transaction that only reads and is
//! always rolled back; a session that is made clean before anybody else gets it; limits on time, ours and the
//! server's; a role that could do little anyway, or is refused.
//!
//! **Invariants:** nothing a query does changes anything in the database (`tests/writes.rs`) or is left to
//! another query (`tests/sessions.rs`); whatever a server sends, memory stays bounded (`tests/rogue.rs`,
//! `tests/stream.rs`); no connection goes to an address that the policy refuses (`tests/places.rs`).

mod connect;
mod fault;
mod functions;
mod link;
mod place;
mod plan;
mod pool;
mod probe;
mod pump;
mod schema;
mod source;
mod threads;
mod tls;
mod types;
mod wire;

pub use place::DECLARATION;
pub use source::{Policy, PostgresConnector};
