//! `[metrics]`: where Prometheus finds the metrics.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::key::{Key, text};

/// The `[metrics]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// IP address and port; empty: nowhere.
    pub listen: String,
}

pub(super) const KEYS: &[Key] =
    &[text("metrics.listen", "empty, or an IP address and a port, such as \"127.0.0.1:9700\"", |text| {
        text.is_empty() || text.parse::<SocketAddr>().is_ok()
    })];

impl Metrics {
    /// Where they are served, if anywhere.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}
