//! Organizations: each is an actor that owns its records and publishes a view that readers share.
//!
//! A request becomes a [`Principal`] through the [`Registry`], which is the only place that turns an
//! organization's id into a handle. Below it nothing takes an id: holding an [`Org`] *is* the
//! permission to act in it. This module knows nothing of HTTP, pages or other organizations' data.
//!
//! **Invariant:** an org's records are changed only by its actor, one message at a time, and each
//! change is durable before it is published and published before it is answered
//! (`tests::a_revoke_is_durable_then_published_then_answered`).
//! **Invariant:** a dead actor closes its view (`tests::a_panicking_actor_closes_its_view_and_the_next_request_finds_a_fresh_one`).
//! **Invariant:** a forged credential neither loads nor evicts an org
//! (`tests::a_forged_credential_neither_loads_nor_evicts_an_org`).

mod active_orgs;
mod actor;
pub mod apps;
pub mod audit;
mod authenticate;
mod call;
mod deleted;
mod entry;
mod error;
mod evict;
pub mod grants;
mod grants_sweep;
mod handle;
mod id_map;
mod inflight;
mod keyring;
pub mod keys;
mod lifecycle;
mod listen;
mod load;
mod member;
pub mod members;
pub mod names;
mod open;
mod org_store;
pub mod permission;
mod progress;
pub mod queries;
pub mod query_pages;
mod rate;
pub mod record;
mod registry;
mod secrets;
pub mod sources;
mod tally;
mod throttle;
mod unwritten;
mod upkeep;
pub mod usage;
mod view;

pub(crate) use apps::Authorizing;
pub use authenticate::{Admission, Place};
pub use call::{CallGuard, Principal};
pub use error::{AuthError, BeginError, ChangeError, Limited, RateOf, ResolveError};
pub use handle::Org;
pub use inflight::{CallKey, Stopped};
pub use lifecycle::Purged;
pub use listen::{Listening, Over};
pub use member::{Member, Person};
pub use open::{Had, OpenSources, Source, SourceInUse, Tried};
pub use progress::{Progress, Step};
pub use registry::{Registry, RegistryLimits, RegistryParts};
pub(crate) use throttle::block_of;
pub use upkeep::Retention;
pub use view::{KeyView, Refusal, View};

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod members_tests;
#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod usage_tests;
