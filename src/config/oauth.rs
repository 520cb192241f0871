//! `[oauth]`: apps that people authorize, and the tokens that these get.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, Kind, integer};

/// The `[oauth]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// Whether people may authorize apps; otherwise there is no authorization server, and API keys are the only way in.
    pub apps: Apps,
    /// How long an access token lives.
    pub access_seconds: u64,
    /// How long an app that does not refresh its tokens stays authorized.
    pub refresh_days: u32,
    /// How long a used refresh token is answered.
    pub refresh_replay: RefreshReplay,
    /// How long an authorization code waits.
    pub code_seconds: u64,
    /// Most registered clients.
    pub clients_max: usize,
    /// After how many days a client that nobody has authorized is forgotten.
    pub client_unused_days: u32,
    /// Registrations from one source address in a minute.
    pub registrations_per_minute_per_source: u32,
}

/// Whether people may authorize apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Apps {
    /// They may.
    Allowed,
    /// They may not.
    Never,
}

/// How long a used refresh token is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefreshReplay {
    /// A day.
    Lenient,
    /// Half a minute.
    Strict,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            apps: Apps::Allowed,
            access_seconds: 3_600,
            refresh_days: 90,
            refresh_replay: RefreshReplay::Lenient,
            code_seconds: 60,
            clients_max: 10_000,
            client_unused_days: 90,
            registrations_per_minute_per_source: 30,
        }
    }
}

const LENIENT: Duration = Duration::from_secs(86_400);
const STRICT: Duration = Duration::from_secs(30);

pub(super) const KEYS: &[Key] = &[
    Key { path: "oauth.apps", kind: Kind::Choice(&["allowed", "never"]), secret: false },
    integer("oauth.access_seconds", 1, 86_400),
    integer("oauth.refresh_days", 1, 3_650),
    Key { path: "oauth.refresh_replay", kind: Kind::Choice(&["lenient", "strict"]), secret: false },
    integer("oauth.code_seconds", 1, 60),
    integer("oauth.clients_max", 1, 1_000_000),
    integer("oauth.client_unused_days", 1, 3_650),
    integer("oauth.registrations_per_minute_per_source", 1, 100_000),
];

impl OAuth {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::at_most(
            ("oauth.access_seconds", self.access_seconds),
            ("oauth.refresh_days", self.refresh().as_secs()),
        )
    }

    /// `access_seconds` as a duration.
    pub fn access(&self) -> Duration {
        Duration::from_secs(self.access_seconds)
    }

    /// `refresh_days` as a duration.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_days) * 86_400)
    }

    /// `refresh_replay` as a duration.
    pub fn replay(&self) -> Duration {
        match self.refresh_replay {
            RefreshReplay::Lenient => LENIENT,
            RefreshReplay::Strict => STRICT,
        }
    }

    /// `code_seconds` as a duration.
    pub fn code(&self) -> Duration {
        Duration::from_secs(self.code_seconds)
    }

    /// `client_unused_days` as a duration.
    pub fn client_unused(&self) -> Duration {
        Duration::from_secs(u64::from(self.client_unused_days) * 86_400)
    }
}
