//! `[auth]`: how much guessing one source address may do, and by which way people may sign in.

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind, integer};

/// The `[auth]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Unknown credentials a minute from one source address before it is told to wait. A known
    /// credential is never counted.
    pub failures_per_minute: u32,
    /// Tries to sign in to one account in a minute, from networks where it is not signed in.
    pub sign_ins_per_minute_per_account: u32,
    /// Tries to sign in from one source address in a minute.
    pub sign_ins_per_minute_per_source: u32,
    /// Whether people may sign in over plain http from other machines.
    pub plain_http: PlainHttp,
}

/// Whether people may sign in over plain http from other machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainHttp {
    /// From this machine alone.
    #[default]
    Never,
    /// From wherever they like.
    Allowed,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            failures_per_minute: 60,
            sign_ins_per_minute_per_account: 10,
            sign_ins_per_minute_per_source: 30,
            plain_http: PlainHttp::default(),
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("auth.failures_per_minute", 1, 100_000),
    integer("auth.sign_ins_per_minute_per_account", 1, 100_000),
    integer("auth.sign_ins_per_minute_per_source", 1, 100_000),
    Key { path: "auth.plain_http", kind: Kind::Choice(&["never", "allowed"]), secret: false },
];
