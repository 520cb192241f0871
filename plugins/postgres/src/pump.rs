//! Hands the rows of a statement over while they arrive.
//!
//! Owns the clock and the token of a running query, and what of a large row is kept. What counts as a row, a byte and a
//! cut cell is the connectors' common [`Intake`].

use std::time::Duration;

use bytes::Bytes;
use sequel_connector::{Ending, Intake, OpenError, QueryError, RowSender, Said, words};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::link::{Link, Next};
use crate::threads::now;
use crate::types::{Shape, cell, enough};
use crate::wire::{MESSAGE_BYTES_MAX, take, unexpected};

/// Rows of a slow query do not wait for a full batch longer than this.
const BATCH_AGE: Duration = Duration::from_millis(50);

/// When a query has to stop.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) stop: CancellationToken,
    deadline: Instant,
    time: Duration,
}

/// Why an exchange ended before its time.
pub(crate) enum Halt {
    /// On a connection.
    Fault(Fault),
    /// No connection was to be had.
    Shut(Fault),
    Query(QueryError),
}

impl Halt {
    /// For who wanted to open the source.
    pub(crate) fn on_opening(self) -> OpenError {
        match self {
            Self::Fault(fault) | Self::Shut(fault) => fault.on_opening(),
            Self::Query(error) => OpenError::Unavailable(Box::new(error)),
        }
    }

    /// For who wanted a query; `before` are the characters that stand before the statement in what was sent.
    pub(crate) fn on_query(self, sql: &str, before: usize) -> QueryError {
        match self {
            Self::Query(error) => error,
            Self::Fault(fault) => fault.on_query(sql, before),
            Self::Shut(fault) => match fault.on_opening() {
                OpenError::Unavailable(cause) => QueryError::Unavailable(cause),
                lasting => QueryError::Unavailable(Box::new(lasting)),
            },
        }
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Fault(Fault::Broken(error))
    }
}

impl Watch {
    pub(crate) fn new(stop: CancellationToken, time: Duration) -> Self {
        Self { stop, deadline: now() + time, time }
    }

    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(now())
    }

    /// How much of its time a query has used.
    pub(crate) fn used(&self) -> Duration {
        self.time.saturating_sub(self.left())
    }

    /// Waits for something, unless the query has to stop first.
    pub(crate) async fn guard<T, E>(&self, what: impl Future<Output = Result<T, E>>) -> Result<T, Halt>
    where
        Halt: From<E>,
    {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Query(QueryError::Cancelled)),
            () = sleep_until(self.deadline) => Err(Halt::Query(self.late("The query ran"))),
            done = what => Ok(done?),
        }
    }

    pub(crate) fn late(&self, what: &str) -> QueryError {
        let limit = if self.time < Duration::from_secs(1) {
            format!("{} ms", self.time.as_millis())
        } else {
            format!("{} s", self.time.as_secs())
        };
        QueryError::Limit(Said::new(
            words::TIME,
            format!(
                "{what} longer than the limit of {limit} and was stopped. Make it cheaper: filter earlier, join on indexed \
             columns, aggregate fewer rows, or bound a recursive WITH."
            ),
        ))
    }
}

/// The rows of the statement that is executed on a link.
pub(crate) async fn run(
    link: &mut Link,
    shapes: &[Shape],
    mut intake: Intake,
    watch: &Watch,
    sender: &RowSender,
) -> Result<Ending, Halt> {
    let mut batch_since = now();
    loop {
        let next = match link.arrived()? {
            Some(next) => next,
            None => {
                // Nothing more for now: what there is goes out if it has waited long enough.
                let due = batch_since + BATCH_AGE;
                let waited = watch.guard(async {
                    tokio::select! {
                        biased;
                        more = link.more() => more.map(|()| true),
                        () = sleep_until(due) => Ok::<_, Fault>(false),
                    }
                });
                if !waited.await? {
                    flush(&mut intake, watch, sender).await?;
                    batch_since = now();
                    // From here on there is nothing to hand over until more comes.
                    watch.guard(link.more()).await?;
                }
                continue;
            }
        };
        let taken = match next {
            Next::Row(body) => row(&mut intake, shapes, body)?,
            Next::LargeRow(bytes) => {
                let read =
                    watch.guard(async { Ok::<_, Fault>(large_row(link, &mut intake, shapes, bytes).await) });
                read.await??
            }
            Next::Done => {
                flush(&mut intake, watch, sender).await?;
                return Ok(intake.ending());
            }
        };
        if let Err(ending) = taken {
            flush(&mut intake, watch, sender).await?;
            return Ok(ending);
        }
        if intake.is_full() {
            flush(&mut intake, watch, sender).await?;
            batch_since = now();
        }
    }
}

/// Hands the batch over, waiting for a slow reader no longer than the query may take.
async fn flush(intake: &mut Intake, watch: &Watch, sender: &RowSender) -> Result<(), Halt> {
    let Some(batch) = intake.take() else { return Ok(()) };
    tokio::select! {
        biased;
        sent = sender.send(batch) => sent.map_err(Halt::Query),
        () = watch.stop.cancelled() => Err(Halt::Query(QueryError::Cancelled)),
        () = sleep_until(watch.deadline) => Err(Halt::Query(watch.late("Sending the rows took"))),
    }
}

/// Takes a row in; the inner error is a limit that it met.
fn row(intake: &mut Intake, shapes: &[Shape], mut body: Bytes) -> Result<Result<(), Ending>, Fault> {
    if usize::from(u16::from_be_bytes(take(&mut body)?)) != shapes.len() {
        return Err(unexpected(b'D').into());
    }
    if let Err(ending) = intake.begin_row() {
        return Ok(Err(ending));
    }
    let mut rest = &body[..];
    for shape in shapes {
        let Some((length, after)) = rest.split_first_chunk() else { return Err(unexpected(b'D').into()) };
        let length = i32::from_be_bytes(*length);
        let taken = match usize::try_from(length) {
            Err(_) => {
                rest = after;
                intake.plain(sequel_connector::Value::Null)
            }
            Ok(length) => {
                let Some((raw, after)) = after.split_at_checked(length) else {
                    return Err(unexpected(b'D').into());
                };
                rest = after;
                cell(intake, *shape, raw, false)
            }
        };
        if taken.is_err() {
            return Ok(taken);
        }
    }
    intake.end_row();
    Ok(Ok(()))
}

/// The same for a row that is too large to be held: of each cell no more is kept than its limit lets through.
async fn large_row(
    link: &mut Link,
    intake: &mut Intake,
    shapes: &[Shape],
    mut left: usize,
) -> Result<Result<(), Ending>, Fault> {
    let wire = &mut link.wire;
    let spend = |left: &mut usize, bytes: usize| match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(unexpected(b'D')),
    };
    spend(&mut left, 2)?;
    if usize::from(u16::from_be_bytes(take(&mut wire.piece(2).await?)?)) != shapes.len() {
        return Err(unexpected(b'D').into());
    }
    let mut outcome = intake.begin_row();
    for shape in shapes {
        if outcome.is_err() {
            break;
        }
        spend(&mut left, 4)?;
        let length = i32::from_be_bytes(take(&mut wire.piece(4).await?)?);
        let Ok(length) = usize::try_from(length) else {
            outcome = intake.plain(sequel_connector::Value::Null);
            continue;
        };
        spend(&mut left, length)?;
        let kept = length.min(enough(*shape, intake.cell_bytes()).saturating_add(4)).min(CELL_HELD_MAX);
        let raw = wire.piece(kept).await?;
        outcome = cell(intake, *shape, &raw, kept < length);
        wire.skip(length - kept).await?;
    }
    wire.skip(left).await?;
    wire.row_is_over();
    if outcome.is_ok() {
        intake.end_row();
    }
    Ok(outcome)
}

/// Most bytes of one cell that are held, whatever the limits say.
const CELL_HELD_MAX: usize = 64 * MESSAGE_BYTES_MAX;
