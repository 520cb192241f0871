//! Sequel's connector for SQLite files: read-only in layers.
//!
//! Owns how an SQLite file is found under the operator's policy ([`Policy`]), opened and queried. It
//! knows no organization, no credential and no HTTP.
//!
//! The layers, each of which alone would do against most attacks: the guard's parse tree; open flags
//! (read-only, no symlink, no URI); an authorizer that denies by default; `query_only`,
//! `DEFENSIVE` and `trusted_schema=OFF`; the prepared statement's own `readonly`; size limits; a progress handler
//! with deadline and cancellation; a limit on the heap.
//!
//! **Invariants:** no file outside the allowed folders and no file of the server's own store is ever
//! opened (`tests/places.rs`); nothing a query does changes a byte of the database or makes a file
//! (`tests/hostile.rs`), not even for what it sorts, and all of them together take bounded memory
//! (`tests/memory.rs`); functions over long texts are stopped in their midst (`tests/hostile.rs`).

mod authorizer;
mod comments;
mod connection;
mod error;
mod linear;
mod memory;
mod patterns;
mod place;
mod plan;
mod pool;
mod pump;
mod schema;
mod source;
mod threads;
mod turns;
mod watch;

pub use place::Policy;
pub use pool::CONNECTIONS_MAX;
pub use source::{DECLARATION, SqliteConnector};
