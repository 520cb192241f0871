//! `[telemetry]`: where traces are sent, in a build with OpenTelemetry.

use serde::{Deserialize, Serialize};

use super::key::{Key, integer, text};

/// The `[telemetry]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// URL of an OTLP collector; empty: nowhere.
    pub endpoint: String,
    /// What the server is called there.
    pub service_name: String,
    /// How many of a hundred requests are traced.
    pub sample_percent: u8,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { endpoint: String::new(), service_name: "sequel".to_owned(), sample_percent: 100 }
    }
}

pub(super) const KEYS: &[Key] = &[
    text(
        "telemetry.endpoint",
        "empty, or the http:// URL of a collector, such as \"http://127.0.0.1:4318/v1/traces\"",
        is_endpoint,
    ),
    text("telemetry.service_name", "a name of 1 to 100 characters", |name| {
        (1..=100).contains(&name.chars().count())
    }),
    integer("telemetry.sample_percent", 0, 100),
];

fn is_endpoint(text: &str) -> bool {
    text.is_empty()
        || url::Url::parse(text).is_ok_and(|url| {
            url.scheme() == "http"
                && url.host().is_some()
                && url.username().is_empty()
                && url.password().is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_http_url_without_credentials() {
        for good in ["", "http://127.0.0.1:4318/v1/traces", "http://collector:4318/v1/traces"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in ["127.0.0.1:4318", "https://collector/v1/traces", "http://u:p@collector/", "grpc://c"] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
