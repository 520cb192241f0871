//! How records are written: versioned JSON, once above every backend.
//!
//! Which records there are is said where they belong (`org::record`, `system`). A record of a newer
//! version is refused, never misread.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A stored value that cannot be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A newer Sequel wrote it.
    #[error("a {kind} record has version {found}; this server reads up to {known}")]
    Newer {
        /// Which record.
        kind: &'static str,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// It is not the JSON that it should be.
    #[error("a {kind} record is damaged")]
    Damaged {
        /// Which record.
        kind: &'static str,
        /// What the decoder met.
        #[source]
        source: serde_json::Error,
    },
}

/// A record type: its name in messages and its newest version.
pub trait Versioned: Serialize + DeserializeOwned {
    /// The record's name in messages.
    const KIND: &'static str;
    /// The newest version.
    const VERSION: u32;
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    v: u32,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Encodes a record: a JSON object whose first member `v` is the version.
pub fn encode<T: Versioned>(record: &T) -> Bytes {
    let json = serde_json::to_vec(&Envelope { v: T::VERSION, record });
    json.expect("records are plain structs; encoding them to memory cannot fail").into()
}

/// Decodes a record, refusing newer versions.
pub fn decode<T: Versioned>(value: &[u8]) -> Result<T, RecordError> {
    let damaged = |source| RecordError::Damaged { kind: T::KIND, source };
    let VersionOnly { v } = serde_json::from_slice(value).map_err(damaged)?;
    if v > T::VERSION {
        return Err(RecordError::Newer { kind: T::KIND, found: v, known: T::VERSION });
    }
    serde_json::from_slice(value).map_err(damaged)
}

macro_rules! versioned {
    ($($type:ty, $kind:literal, $version:literal;)*) => {
        $(impl $crate::record::Versioned for $type {
            const KIND: &'static str = $kind;
            const VERSION: u32 = $version;
        })*
    };
}

pub(crate) use versioned;

/// Whether two names are one.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Names differ when their lower-case forms do. A digest, because 100 characters may have 400 bytes.
pub(crate) fn name_digest(name: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.to_lowercase().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
