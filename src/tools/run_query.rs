//! `run_query`: one read-only statement on one data source, under limits.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::{Limits, OpenError, QueryError, Said, Truncated, words};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::encode::{QueryEncoder, fenced_error, truncation, without_fence};
use super::on_source::Asked;
use crate::context::Rng;
use crate::credential::Id;
use crate::mcp::{RunQuery, ToolOutcome};
use crate::metrics::{Ending, SPANS};
use crate::org::record::QueryOutcome;
use crate::org::{CallGuard, Source, Stopped};

/// How long after its own time limit a connector is waited for before the call is given up.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// Names of sources that an error lists; more would only fill a model's context.
const NAMES_SHOWN: usize = 20;

/// Limits of queries, as the operator configured them.
#[derive(Debug, Clone, Copy)]
pub struct QueryPolicy {
    /// Rows where the client asks for no number.
    pub rows_default: u32,
    /// Most rows.
    pub rows_max: u32,
    /// Most bytes of cells, in all.
    pub bytes_max: u64,
    /// Most bytes of one cell.
    pub cell_bytes_max: u64,
    /// Most columns.
    pub columns_max: u32,
    /// Longest run.
    pub time_max: Duration,
}

impl QueryPolicy {
    fn limits(&self, asked: Option<u32>) -> Limits {
        Limits {
            rows: u64::from(asked.unwrap_or(self.rows_default).min(self.rows_max)),
            bytes: self.bytes_max,
            cell_bytes: self.cell_bytes_max,
            columns: self.columns_max,
            time: self.time_max,
        }
    }

    /// Most bytes of an encoded answer: each cell stands in it twice, as structured content and as
    /// text, with room for quotes and commas. Escapes can only make it reach the cap sooner.
    pub(super) fn encoded_max(&self) -> usize {
        usize::try_from(self.bytes_max).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(64 * 1024)
    }
}

pub(super) async fn run(call: Asked<'_>, asked: &RunQuery) -> ToolOutcome {
    let Asked { tools, guard, request_id, .. } = call;
    let source = match choose(asked.source.as_deref(), guard) {
        Ok(source) => source,
        Err(message) => return ToolOutcome::error(&message),
    };
    call.touches(&source);
    let timer = tools.metrics.query();
    let span = tracing::trace_span!(
        target: SPANS,
        "query",
        otel.kind = "client",
        db.system.name = source.record().kind,
        db.namespace = source.record().name,
        request_id,
        outcome = tracing::field::Empty,
    );
    let querying = query(call, asked, &source).instrument(span.clone());
    let outcome = call.until_ended(&source, querying).await;
    let ending = ending(&outcome, guard);
    span.record("outcome", tracing::field::debug(ending));
    timer.ended(ending);
    call.told(&source, outcome).unwrap_or_else(|message| ToolOutcome::error(&message))
}

/// How it ended, to be counted.
fn ending(outcome: &Result<ToolOutcome, Failure>, guard: &CallGuard) -> Ending {
    match outcome {
        Ok(_) => Ending::Ok,
        Err(Failure::Open(_)) => Ending::CannotOpen,
        Err(Failure::Query(QueryError::Sql(_))) => Ending::Sql,
        Err(Failure::Query(QueryError::Refused(_))) => Ending::Refused,
        Err(Failure::Query(QueryError::Limit(_)) | Failure::Stuck) => Ending::Limit,
        Err(Failure::Query(QueryError::Cancelled)) if guard.stopped() == Some(Stopped::Revoked) => {
            Ending::Revoked
        }
        Err(Failure::Query(QueryError::Cancelled)) => Ending::Cancelled,
        Err(Failure::Query(QueryError::Unavailable(_))) => Ending::Unavailable,
        Err(Failure::Retired) => Ending::Revoked,
        Err(Failure::Random) => Ending::Internal,
    }
}

/// The source that the call means, or what to tell the model.
pub(super) fn choose(name: Option<&str>, guard: &CallGuard) -> Result<Arc<Source>, String> {
    let mut reached = guard.sources();
    let found = match name {
        Some(name) => guard.sources().find(|source| source.record().name == name),
        None => match (reached.next(), reached.next()) {
            (Some(only), None) => Some(only),
            (None, _) => None,
            (Some(_), Some(_)) => {
                return Err(format!(
                    "Several data sources are connected; name one as `source`: {}.",
                    names(guard)
                ));
            }
        },
    };
    if let Some(source) = found {
        return Ok(Arc::clone(source));
    }
    Err(match (guard.sources().next(), name) {
        (None, _) => "No data source is connected for this key. Ask an administrator of the organization to \
                      connect one."
            .to_owned(),
        (Some(_), Some(name)) => {
            let shown: String = name.chars().take(64).collect();
            format!("There is no data source {shown:?}. Use one of: {}.", names(guard))
        }
        (Some(_), None) => format!("Name a data source as `source`: {}.", names(guard)),
    })
}

fn names(guard: &CallGuard) -> String {
    let mut names: Vec<_> =
        guard.sources().take(NAMES_SHOWN + 1).map(|source| format!("{:?}", source.record().name)).collect();
    if names.len() > NAMES_SHOWN {
        names[NAMES_SHOWN] = "… (list_data_sources names all)".to_owned();
    }
    names.join(", ")
}

pub(super) enum Failure {
    Open(Arc<OpenError>),
    Query(QueryError),
    Retired,
    Stuck,
    Random,
}

impl Failure {
    /// As what the query log has it: the outcome, and why in one word.
    pub(super) fn logged(&self, guard: &CallGuard) -> (QueryOutcome, Option<&'static str>) {
        let outcome = match self {
            Self::Open(_) => QueryOutcome::CannotOpen,
            Self::Query(QueryError::Refused(said)) => return (QueryOutcome::Refused, Some(said.word())),
            Self::Query(QueryError::Sql(_)) => QueryOutcome::SqlError,
            Self::Query(QueryError::Limit(said)) => match said.word() {
                words::TIME => QueryOutcome::TimedOut,
                words::BUSY => QueryOutcome::Busy,
                word => return (QueryOutcome::Limit, Some(word)),
            },
            Self::Query(QueryError::Cancelled) => match guard.stopped() {
                Some(Stopped::Revoked) => QueryOutcome::Revoked,
                Some(Stopped::Shutdown) => QueryOutcome::Shutdown,
                Some(Stopped::ByClient) | None => QueryOutcome::Cancelled,
            },
            Self::Query(QueryError::Unavailable(_)) => QueryOutcome::Unavailable,
            Self::Retired => QueryOutcome::SourceRemoved,
            Self::Stuck => QueryOutcome::TimedOut,
            Self::Random => QueryOutcome::Internal,
        };
        (outcome, None)
    }

    /// What the model reads. Driver text goes to the log, beside the request id that is handed out.
    pub(super) fn message(&self, source: &str, guard: &CallGuard, rng: &Rng, request_id: &str) -> String {
        let log = |error: &(dyn std::error::Error + 'static)| {
            tracing::warn!(request_id, source, error, "a data source failed");
        };
        match self {
            Self::Open(error) => {
                log(&**error);
                cannot_be_opened(source, request_id)
            }
            // The engine's own words: they may quote rows.
            Self::Query(QueryError::Sql(message)) => match Id::<16>::mint(rng) {
                Ok(nonce) => fenced_error(message, nonce.as_str()),
                Err(_) => Self::Random.message(source, guard, rng, request_id),
            },
            Self::Query(QueryError::Refused(message) | QueryError::Limit(message)) => {
                without_fence(message).into_owned()
            }
            Self::Query(QueryError::Cancelled) => match guard.stopped() {
                Some(Stopped::Revoked) => "The API key was revoked, so the query was stopped.".to_owned(),
                Some(Stopped::Shutdown) => "The server is restarting; ask again in a moment.".to_owned(),
                Some(Stopped::ByClient) | None => "The query was cancelled.".to_owned(),
            },
            Self::Query(QueryError::Unavailable(error)) => {
                log(&**error);
                let first: &(dyn std::error::Error + 'static) = &**error;
                // It was open, and would not be opened any more.
                if std::iter::successors(Some(first), |error| error.source())
                    .any(|error| error.is::<OpenError>())
                {
                    return cannot_be_opened(source, request_id);
                }
                format!(
                    "The data source {source:?} is not available right now; try again (request {request_id})."
                )
            }
            Self::Retired => format!("The data source {source:?} was removed, so the query was stopped."),
            Self::Stuck => {
                tracing::error!(request_id, source, "a connector did not keep its time limit");
                "The query ran longer than it may and was given up. Ask for less.".to_owned()
            }
            Self::Random => format!("Internal error (request {request_id})."),
        }
    }
}

fn cannot_be_opened(source: &str, request_id: &str) -> String {
    format!(
        "The data source {source:?} cannot be opened right now. Try again later, or ask an administrator to test it \
         (request {request_id})."
    )
}

async fn query(call: Asked<'_>, asked: &RunQuery, source: &Arc<Source>) -> Result<ToolOutcome, Failure> {
    let Asked { tools, guard, .. } = call;
    let started = tools.context.clock.elapsed();
    let handle = call.open(source).await?;
    // Dropping this future, for whatever reason, stops the query.
    let stop = CancellationToken::new();
    let _stop_on_drop = stop.clone().drop_guard();
    let limits = tools.query.limits(asked.row_limit);
    let query = call.query(&asked.sql, handle.dialect(), limits, stop);
    let mut rows = handle.query(query).await.map_err(Failure::Query)?;
    let nonce: Id<16> = Id::mint(&tools.context.rng).map_err(|_| Failure::Random)?;
    let name = &source.record().name;
    let mut encoder = QueryEncoder::new(name, rows.columns(), asked.format, nonce.as_str());
    let encoded_max = tools.query.encoded_max();
    if encoder.size() > encoded_max {
        return Err(Failure::Query(QueryError::Limit(Said::new(
            words::COLUMNS,
            "The names of the result's columns alone are longer than an answer may be. Give the columns shorter names \
             with AS, or select fewer of them.",
        ))));
    }
    let mut truncated = None;
    while let Some(batch) = rows.next_batch().await.map_err(Failure::Query)? {
        if !encoder.push(&batch, encoded_max) {
            truncated = Some(Truncated::Bytes);
            break;
        }
        if let Some(progress) = guard.progress() {
            progress.rows(encoder.rows());
        }
    }
    let truncated = truncated.or(rows.ending().and_then(|ending| ending.truncated));
    let elapsed = tools.context.clock.elapsed() - started;
    guard.answered_rows(encoder.rows());
    if let Some(reason) = truncated {
        guard.ended(QueryOutcome::Truncated, Some(truncation(reason)));
    }
    let (rows, cut) = (encoder.rows(), truncated.is_some());
    let outcome = encoder.finish(truncated, elapsed);
    tools.metrics.answered_rows(rows, outcome.size() as u64, cut);
    Ok(outcome)
}
