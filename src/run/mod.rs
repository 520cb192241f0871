//! Starting Sequel: as a server, as the demo, or inside one command of the command line.
//!
//! Takes a checked configuration, opens the store under its lock, builds the registry of
//! organizations and serves. Everything that a start can fail by is one sentence for the operator.

mod alone;
mod assemble;
mod certificates;
mod data_dir;
mod demo;
mod embedded;
mod goodbye;
mod log;
mod memory;
mod metered;
mod monitor;
mod notify;
mod public;
mod serve;
mod set_up;
mod shutdown;
mod traces;

pub use alone::{copy, restore};
pub use assemble::registry_limits;
pub use demo::{DemoOptions, demo, demo_with};
pub use embedded::{Embedded, embedded};
pub use memory::share_arenas;
pub use serve::serve;

/// The OpenAPI document of the administration.
pub fn openapi() -> String {
    crate::http::api::text()
}
