//! `[log]`: what is logged and how.

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind, text};

/// The `[log]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines there are, in the syntax of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,actix_http=off".to_owned() }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key { path: "log.format", kind: Kind::Choice(&["text", "json"]), secret: false },
    text("log.filter", "a log filter, such as \"info\" or \"warn,sequel=debug\"", |text| {
        // The filter's own parser takes any word as a module's name; a bare word that is no level
        // would silence everything without a word about it.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let bare =
            |part: &str| part.contains(['=', '[', ':']) || levels.contains(&part.to_lowercase().as_str());
        tracing_subscriber::EnvFilter::try_new(text).is_ok() && text.split(',').all(|part| bare(part.trim()))
    }),
];
