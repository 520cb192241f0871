//! The text: names, help and units of everything, in the order in which it is told. OpenMetrics 1.0.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{App, Change, Ending, Method, Refusal, Route, StoreOperation, StoreOutcome, Tool};
use super::process::Process;
use super::shard::{BOUNDS, CLASSES, Histogram, Shard};
use super::{Metrics, Readings};

/// What the text is, for `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const STATUS: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const OUTCOME: [&str; 2] = ["ok", "error"];

pub(super) fn encode(metrics: Metrics, readings: Readings) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { metrics, readings }));
    let mut text = String::with_capacity(64 * 1024);
    prometheus_client::encoding::text::encode(&mut text, &registry)
        .expect("a string takes everything that is written to it");
    text
}

/// One scrape.
#[derive(Debug)]
struct Scrape {
    metrics: Metrics,
    readings: Readings,
}

type Told = Result<(), fmt::Error>;

/// Writes one metric after the other.
struct Teller<'a, 'e> {
    encoder: DescriptorEncoder<'e>,
    metrics: &'a Metrics,
}

impl Teller<'_, '_> {
    fn family(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<&Unit>,
        kind: MetricType,
        tell: impl FnOnce(MetricEncoder<'_>) -> Told,
    ) -> Told {
        tell(self.encoder.encode_descriptor(name, help, unit, kind)?)
    }

    fn count(&mut self, about: (&str, &str), of: impl Fn(&Shard) -> u64) -> Told {
        self.count_in(about, None, of)
    }

    fn count_in(&mut self, about: (&str, &str), unit: Option<&Unit>, of: impl Fn(&Shard) -> u64) -> Told {
        let count = self.metrics.sum(of);
        self.family(about, unit, MetricType::Counter, |mut encoder| counter(&mut encoder, &count))
    }

    /// A counter with one label.
    fn counts<L: Copy>(
        &mut self,
        about: (&str, &str),
        label: &'static str,
        values: &[L],
        name: impl Fn(L) -> &'static str,
        of: impl Fn(&Shard, L) -> u64,
    ) -> Told {
        let metrics = self.metrics;
        self.family(about, None, MetricType::Counter, |mut encoder| {
            for value in values {
                let count = metrics.sum(|shard| of(shard, *value));
                counter(&mut encoder.encode_family(&[(label, name(*value))])?, &count)?;
            }
            Ok(())
        })
    }

    /// A counter with two labels.
    fn table<L: Copy>(
        &mut self,
        about: (&str, &str),
        labels: (&'static str, &'static str),
        rows: &[L],
        name: impl Fn(L) -> &'static str,
        columns: &[&'static str],
        of: impl Fn(&Shard, L, usize) -> u64,
    ) -> Told {
        let metrics = self.metrics;
        self.family(about, None, MetricType::Counter, |mut encoder| {
            for row in rows {
                for (at, column) in columns.iter().enumerate() {
                    let count = metrics.sum(|shard| of(shard, *row, at));
                    let set = [(labels.0, name(*row)), (labels.1, *column)];
                    counter(&mut encoder.encode_family(&set)?, &count)?;
                }
            }
            Ok(())
        })
    }

    /// Histograms of seconds with one label.
    fn times<L: Copy>(
        &mut self,
        about: (&str, &str),
        label: &'static str,
        values: &[L],
        name: impl Fn(L) -> &'static str,
        of: impl Fn(&Shard, L) -> &Histogram,
    ) -> Told {
        let metrics = self.metrics;
        self.family(about, Some(&Unit::Seconds), MetricType::Histogram, |mut encoder| {
            for value in values {
                let set = [(label, name(*value))];
                histogram(metrics, &mut encoder.encode_family(&set)?, |shard| of(shard, *value))?;
            }
            Ok(())
        })
    }

    fn gauge(&mut self, about: (&str, &str), value: usize) -> Told {
        self.family(about, None, MetricType::Gauge, |mut encoder| encoder.encode_gauge(&value))
    }

    fn requests(&mut self) -> Told {
        self.table(
            ("sequel_http_requests", "Requests of clients that were answered"),
            ("route", "status"),
            Route::ALL,
            Route::label,
            &STATUS,
            |shard, route, class| shard.requests[route as usize][class].get(),
        )?;
        self.times(
            ("sequel_http_request_duration", "From a request's head to the beginning of its answer"),
            "route",
            Route::ALL,
            Route::label,
            |shard, route| &shard.request_seconds[route as usize],
        )?;
        self.counts(
            ("sequel_http_refusals", "Requests that were refused before anything was done, by reason"),
            "reason",
            Refusal::ALL,
            Refusal::label,
            |shard, refusal| shard.refusals[refusal as usize].get(),
        )?;
        self.count(("sequel_connections", "Connections that clients made"), |s| s.connections_opened.get())?;
        // Closed first: a connection that comes and goes meanwhile must not be told as fewer than none.
        let closed = self.metrics.sum(|shard| shard.connections_closed.get());
        let opened = self.metrics.sum(|shard| shard.connections_opened.get());
        let open = usize::try_from(opened.saturating_sub(closed)).unwrap_or(usize::MAX);
        self.gauge(("sequel_connections_open", "Connections of clients that are open"), open)
    }

    fn calls(&mut self) -> Told {
        self.counts(
            ("sequel_mcp_messages", "MCP messages by method"),
            "method",
            Method::ALL,
            Method::label,
            |shard, method| shard.messages[method as usize].get(),
        )?;
        self.table(
            (
                "sequel_tool_calls",
                "Calls of tools that ended; of resources and completions under the method's name",
            ),
            ("tool", "outcome"),
            Tool::ALL,
            Tool::label,
            &OUTCOME,
            |shard, tool, outcome| shard.calls[tool as usize][outcome].get(),
        )?;
        self.times(
            ("sequel_tool_call_duration", "How long these calls took"),
            "tool",
            Tool::ALL,
            Tool::label,
            |shard, tool| &shard.call_seconds[tool as usize],
        )?;
        self.counts(
            ("sequel_queries", "Statements that data sources were given, by how they ended"),
            "outcome",
            Ending::ALL,
            Ending::label,
            |shard, ending| shard.queries[ending as usize].get(),
        )?;
        let metrics = self.metrics;
        let about = ("sequel_query_duration", "How long statements took");
        self.family(about, Some(&Unit::Seconds), MetricType::Histogram, |mut encoder| {
            histogram(metrics, &mut encoder, |shard| &shard.query_seconds)
        })?;
        let ended = self.metrics.sum(|shard| shard.queries.iter().map(|ending| ending.get()).sum());
        let begun = self.metrics.sum(|shard| shard.queries_begun.get());
        let running = usize::try_from(begun.saturating_sub(ended)).unwrap_or(usize::MAX);
        let about =
            ("sequel_queries_running", "Statements that run or wait for a connection to their data source");
        self.gauge(about, running)?;
        self.count(("sequel_query_rows", "Rows of answers"), |shard| shard.query_rows.get())?;
        let about = ("sequel_query_answer", "Bytes of answers with rows");
        self.count_in(about, Some(&Unit::Bytes), |shard| shard.query_bytes.get())?;
        self.count(("sequel_query_answers_cut", "Answers that were cut by a limit"), |s| s.query_cuts.get())?;
        self.count(("sequel_query_log_entries", "Entries of the query log that were written"), |shard| {
            shard.query_entries_written.get()
        })?;
        self.count(("sequel_query_log_lost", "Entries of the query log that found no room"), |shard| {
            shard.query_entries_lost.get()
        })
    }

    fn organizations(&mut self, readings: &Readings) -> Told {
        self.gauge(("sequel_ready", "Whether requests are served"), usize::from(readings.ready))?;
        self.gauge(("sequel_orgs_active", "Organizations in memory"), readings.orgs_active)?;
        self.gauge(("sequel_orgs_active_max", "Most organizations in memory"), readings.orgs_active_max)?;
        self.count(("sequel_org_loads", "Organizations that were loaded"), |shard| shard.org_loads.get())?;
        self.count(("sequel_org_evictions", "Organizations that left memory"), |s| s.org_evictions.get())?;
        self.gauge(("sequel_calls_running", "Tool calls that run"), readings.calls_running)?;
        self.gauge(
            ("sequel_streams_open", "Streams of change notices that are open"),
            readings.streams_open,
        )?;
        self.counts(
            ("sequel_changes", "Changes of organizations, by outcome"),
            "outcome",
            Change::ALL,
            Change::label,
            |shard, change| shard.changes[change as usize].get(),
        )?;
        self.counts(
            ("sequel_apps", "What became of apps that people authorize"),
            "step",
            App::ALL,
            App::label,
            |shard, step| shard.apps[step as usize].get(),
        )?;
        let about =
            ("sequel_changes_waiting", "Changes that wait for their organizations' actors or are made");
        self.gauge(about, readings.changes_waiting)?;
        let about =
            ("sequel_changes_waiting_most", "Changes that wait in the organization with most of them");
        self.gauge(about, readings.changes_waiting_most)?;
        let about = ("sequel_changes_waiting_max", "Most changes that may wait in one organization");
        self.gauge(about, readings.changes_waiting_max)?;
        self.gauge(("sequel_sources_open", "Data sources that are open"), readings.sources_open)?;
        self.gauge(
            ("sequel_sources_open_max", "Most data sources that may be open"),
            readings.sources_open_max,
        )
    }

    fn store(&mut self) -> Told {
        let outcomes: Vec<_> = StoreOutcome::ALL.iter().map(|outcome| outcome.label()).collect();
        self.table(
            ("sequel_store_operations", "Operations of the store that ended, by outcome"),
            ("operation", "outcome"),
            StoreOperation::ALL,
            StoreOperation::label,
            &outcomes,
            |shard, operation, outcome| shard.store_ended[operation as usize][outcome].get(),
        )?;
        self.times(
            ("sequel_store_operation_duration", "How long the store took; a commit is durable when it ends"),
            "operation",
            StoreOperation::ALL,
            StoreOperation::label,
            |shard, operation| &shard.store_seconds[operation as usize],
        )?;
        let metrics = self.metrics;
        let about = ("sequel_store_operations_running", "Operations of the store that are waited for");
        self.family(about, None, MetricType::Gauge, |mut encoder| {
            for operation in StoreOperation::ALL {
                let at = *operation as usize;
                let ended =
                    metrics.sum(|shard| shard.store_ended[at].iter().map(|outcome| outcome.get()).sum());
                let begun = metrics.sum(|shard| shard.store_begun[at].get());
                let set = [("operation", operation.label())];
                encoder.encode_family(&set)?.encode_gauge(&begun.saturating_sub(ended))?;
            }
            Ok(())
        })
    }

    /// Under the names that every Prometheus client library has for them.
    fn process(&mut self) -> Told {
        let process = Process::read();
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            self.family((name, help), unit, MetricType::Gauge, |mut encoder| encoder.encode_gauge(&value))
        };
        let whole = |value: Option<u64>| value.map(|value| value as f64);
        let (bytes, seconds) = (Some(&Unit::Bytes), Some(&Unit::Seconds));
        gauge("process_resident_memory", "Memory in use", bytes, whole(process.resident_bytes))?;
        gauge("process_virtual_memory", "Address space", bytes, whole(process.virtual_bytes))?;
        gauge("process_open_fds", "Open files and sockets", None, whole(process.open_fds))?;
        gauge("process_max_fds", "Most open files and sockets", None, whole(process.max_fds))?;
        gauge("process_threads", "Threads", None, whole(process.threads))?;
        gauge("process_start_time", "Start since the epoch", seconds, process.started_seconds)?;
        let Some(cpu) = process.cpu_seconds else { return Ok(()) };
        let about = ("process_cpu", "Time on processors");
        self.family(about, seconds, MetricType::Counter, |mut encoder| {
            encoder.encode_counter::<NoLabelSet, f64, f64>(&cpu, None)
        })
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Told {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let about = ("sequel_build", "The running program");
        encoder.encode_descriptor(about.0, about.1, None, MetricType::Info)?.encode_info(&version)?;
        let mut teller = Teller { encoder, metrics: &self.metrics };
        teller.requests()?;
        teller.calls()?;
        teller.organizations(&self.readings)?;
        teller.store()?;
        teller.process()
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, count: &u64) -> Told {
    encoder.encode_counter::<NoLabelSet, u64, f64>(count, None)
}

fn histogram(metrics: &Metrics, encoder: &mut MetricEncoder<'_>, of: impl Fn(&Shard) -> &Histogram) -> Told {
    let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds
        .enumerate()
        .map(|(at, bound)| (bound, metrics.sum(|shard| of(shard).buckets[at].get())))
        .collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    let seconds = metrics.sum(|shard| of(shard).nanoseconds.get()) as f64 / 1e9;
    encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
}
