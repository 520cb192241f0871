//! What the benchmarks share: stores with many keys, servers as processes of their own, a load generator.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod cluster;
pub(crate) mod fixture;
pub(crate) mod load;
pub(crate) mod process;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::fixture::Secret;
use self::load::Plan;

/// What every request of the modern era carries.
pub(crate) const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}"#;

/// The body of a `tools/list`.
pub(crate) fn list_body() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}"#)
}

/// `tools/list` with the credentials of `secrets` in turn, from `first` in steps of `step`.
pub(crate) fn list_plan(path: &str, secrets: Arc<Vec<Secret>>, first: usize, step: usize) -> Plan {
    let headers = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
    Plan::new(path, headers, &list_body(), secrets, first, step)
}

/// The middle value; of an even number the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (n, middle) if n % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        (_, middle) => values[middle],
    }
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// How often the disk under `folder` makes an appended block durable, a second.
pub(crate) fn syncs(folder: &Path, time: Duration) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("syncs"))?;
    let (started, mut done) = (Instant::now(), 0u64);
    while started.elapsed() < time {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        done += 1;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}
