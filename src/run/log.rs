//! Log output: lines on standard error, as text or JSON. What is logged never holds a secret; the
//! types that do hold one hide it in `Debug`.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Installs the process's log. A second call changes nothing.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| anyhow!("log.filter is not a filter: {error}"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Tests start several servers in one process; the first one's log serves them all.
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}

/// For what prints its own answer: of the log only warnings, unless the operator asked for more.
pub(super) fn quiet(log: &Log) -> Log {
    let mut log = log.clone();
    if log == Log::default() {
        log.filter = "warn".into();
    }
    log
}
