//! Log output: lines on standard error, as text or JSON. What is logged never holds a secret; the
//! types that do hold one hide it in `Debug`.
//!
//! A server's lines are written by a thread of their own. Standard error is often a pipe, and who reads it may stop:
//! a worker that wrote there by itself would wait for them, with everything that it serves and every revoke
//! (`faults::a_log_that_nobody_reads_keeps_nobody_waiting`).

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::anyhow;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::traces::Traces;
use crate::config::{Log, LogFormat};
use crate::metrics::SPANS;

/// Lines that wait for the thread that writes them, a megabyte or so; what comes when so many wait is dropped and counted.
const WAITING_MAX: usize = 8_192;
/// How often the log is told how many lines it lacks.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The thread that writes a server's log. Dropped last: it writes down what waits, for a second at most.
pub(super) struct Writing {
    dropped: ErrorCounter,
    _thread: WorkerGuard,
}

impl Writing {
    /// Says in the log how much it lacks, as long as it is polled.
    pub(super) fn tell_dropped(&self) -> impl Future<Output = ()> + use<> {
        let dropped = self.dropped.clone();
        async move {
            let mut told = 0;
            loop {
                tokio::time::sleep(TELL_EVERY).await;
                let lines = dropped.dropped_lines();
                if lines > told {
                    tracing::warn!(
                        lines = lines - told,
                        "the log lacks lines: what reads standard error is too slow"
                    );
                    told = lines;
                }
            }
        }
    }
}

/// The same for a server, which must not wait for whoever reads its log.
pub(super) fn start_apart(log: &Log, traces: Option<&Traces>) -> anyhow::Result<Writing> {
    let (writer, thread) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_MAX)
        .thread_name("sequel-log")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    install(log, traces, writer)?;
    Ok(Writing { dropped, _thread: thread })
}

/// Installs the process's log, and what makes spans of traces where there is somebody to send them to. A
/// second call changes nothing.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    install(log, None, std::io::stderr)
}

fn install<W>(log: &Log, traces: Option<&Traces>, writer: W) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| anyhow!("log.filter is not a filter: {error}"))?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(std::io::stderr().is_terminal());
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
