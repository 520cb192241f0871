//! OAuth 2.0 as decisions: one file for each feature, named by its RFC. PURE.
//!
//! What comes in are parameters, records, times and digests; what goes out are values that say what to do. Nothing here
//! knows a clock, randomness, a store, an actor or HTTP; whoever calls brings the SHA-256 of a verifier, the verdict about
//! a digest, the time.
//!
//! Seams for what is not here yet: an authorization request comes as parameters, so one that was pushed (RFC 9126) or
//! begun by a device (RFC 8628) is another way to have them; a client comes as [`Client`](client::Client), so one that is
//! described by a document at its own URL is another way to have one.

pub mod authorize;
pub mod client;
pub mod error;
pub mod grant;
pub mod issuer;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod resource;
pub mod revocation;
pub mod scope;
pub mod token;

#[cfg(test)]
mod input_tests;
