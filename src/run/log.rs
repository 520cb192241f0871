//! Log output: lines on standard error, as text or JSON. What is logged never holds a secret; the
//! types that do hold one hide it in `Debug`.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::traces::Traces;
use crate::config::{Log, LogFormat};
use crate::metrics::SPANS;

/// Installs the process's log, and what makes spans of traces where there is somebody to send them to. A
/// second call changes nothing.
pub(super) fn start(log: &Log, traces: Option<&Traces>) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| anyhow!("log.filter is not a filter: {error}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // Spans are for the collector alone.
    let spans_off = format!("{SPANS}=off").parse().expect("a target and a level are a directive");
    let filter = filter.add_directive(spans_off);
    // Tests start several servers in one process; the first one's log serves them all.
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer()).with_location(false);
        let spans = spans.with_threads(false).with_tracked_inactivity(false);
        let spans = spans.with_filter(tracing_subscriber::filter::filter_fn(|meta| meta.target() == SPANS));
        let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
        return Ok(());
    }
    let _ = traces;
    // One filter for all, not one for a layer: what is below its level then costs each place in the code one
    // comparison, and a request of tools/list a quarter of a microsecond less.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
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
