//! Steps one statement and hands its rows over, on a thread that may block.
//!
//! What counts as a row, a byte and a cut cell is the connectors' common [`Intake`]. The engine's own clock is in
//! `watch`.

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};
use sequel_connector::{
    Column, Ending, Intake, Limits, QueryError, RowSender, Said, Value, bounded_columns, words,
};
use tokio::runtime::Handle;

use crate::error::{is_busy, query_error};
use crate::watch::Watch;

/// Rows of a slow query do not wait for a full batch longer than this.
const BATCH_AGE_MS: u64 = 50;

/// Runs `sql` and gives its columns to `open`, which makes the channel, then its rows to the channel.
///
/// An error before the channel is made comes back as `Err`; afterwards the outcome is returned with the
/// sender, which the caller ends when the connection is free again.
pub(crate) fn run(
    connection: &Connection,
    sql: &str,
    limits: Limits,
    watch: &Watch,
    runtime: &Handle,
    open: impl FnOnce(Vec<Column>) -> RowSender,
) -> Result<(RowSender, Result<Ending, QueryError>), QueryError> {
    let fail = |error| query_error(error, connection, watch);
    let mut statement = prepare(connection, sql, watch)?;
    if !statement.readonly() {
        let said = "The statement would write, and this data source is read-only. Send a SELECT.";
        return Err(QueryError::Refused(Said::new(words::WRITES, said)));
    }
    if statement.parameter_count() > 0 {
        return Err(QueryError::Sql(
            "The statement has placeholders (?, :name, @name or $name), and there is nothing to fill them with. Write the \
             values into the statement as literals."
                .into(),
        ));
    }
    watch.course.accepted();
    let width = statement.column_count();
    let declared = statement.columns();
    let named = declared.iter().map(|column| (column.name(), column.decl_type().unwrap_or_default()));
    let mut columns = bounded_columns(width, named, limits)?;
    drop(declared);
    let mut pump = Pump { intake: Intake::new(width, limits), width, batch_since_ms: 0 };
    // The first step is where a lock is taken, so it is the one that may find the database busy.
    // A step that failed ends its `Rows`, so each attempt starts from the statement.
    let mut rows = statement.query([]).map_err(fail)?;
    let first = loop {
        match rows.next() {
            Ok(Some(row)) => {
                if row.as_ref().column_count() != width {
                    return Err(QueryError::Unavailable("the schema changed while the query started".into()));
                }
                name_types_by_value(&mut columns, row);
                break pump.row(row);
            }
            Ok(None) => break Next::Done,
            Err(error) if is_busy(&error) => wait_for_writer(watch)?,
            Err(error) => return Err(fail(error)),
        }
        drop(rows);
        rows = statement.query([]).map_err(fail)?;
    };
    let sender = open(columns);
    let outcome = (|| {
        let mut next = first;
        loop {
            match next {
                Next::Stop(ending) => {
                    pump.flush(&sender, watch, runtime)?;
                    return Ok(ending);
                }
                Next::Done => {
                    pump.flush(&sender, watch, runtime)?;
                    return Ok(pump.intake.ending());
                }
                Next::More if pump.is_due(watch) => pump.flush(&sender, watch, runtime)?,
                Next::More => {}
            }
            next = match rows.next().map_err(fail)? {
                Some(row) => pump.row(row),
                None => Next::Done,
            };
        }
    })();
    Ok((sender, outcome))
}

enum Next {
    More,
    Done,
    Stop(Ending),
}

struct Pump {
    intake: Intake,
    width: usize,
    batch_since_ms: u64,
}

impl Pump {
    /// Takes a row over, unless it is past a limit.
    fn row(&mut self, row: &Row<'_>) -> Next {
        match self.cells(row) {
            Ok(()) => Next::More,
            Err(ending) => Next::Stop(ending),
        }
    }

    #[inline]
    fn cells(&mut self, row: &Row<'_>) -> Result<(), Ending> {
        self.intake.begin_row()?;
        for index in 0..self.width {
            // The index is below the row's column count, which was compared after the first step.
            let Ok(cell) = row.get_ref(index) else {
                continue;
            };
            match cell {
                ValueRef::Null => self.intake.plain(Value::Null)?,
                ValueRef::Integer(integer) => self.intake.plain(Value::Int(integer))?,
                ValueRef::Real(real) => self.intake.plain(Value::Float(real))?,
                ValueRef::Text(raw) => self.intake.text(raw, false)?,
                ValueRef::Blob(raw) => self.intake.bytes(raw, false)?,
            }
        }
        self.intake.end_row();
        Ok(())
    }

    fn is_due(&mut self, watch: &Watch) -> bool {
        self.intake.is_full() || watch.looked_ms().saturating_sub(self.batch_since_ms) >= BATCH_AGE_MS
    }

    /// Hands the batch over, waiting for a slow reader no longer than the query may take.
    fn flush(&mut self, sender: &RowSender, watch: &Watch, runtime: &Handle) -> Result<(), QueryError> {
        let Some(batch) = self.intake.take() else { return Ok(()) };
        // A reader that takes its time must not keep others from the processor.
        watch.rest();
        let left: Duration = watch.left();
        let sent = runtime.block_on(async {
            tokio::select! {
                biased;
                sent = sender.send(batch) => sent,
                () = watch.stop.cancelled() => Err(QueryError::Cancelled),
                () = tokio::time::sleep(left) => Err(watch.late("Sending the rows took")),
            }
        });
        self.batch_since_ms = watch.looked_ms();
        sent
    }
}

/// Expressions have no declared type: the first row's value stands in.
fn name_types_by_value(columns: &mut [Column], row: &Row<'_>) {
    for (index, column) in columns.iter_mut().enumerate().filter(|(_, column)| column.type_name.is_empty()) {
        column.type_name = match row.get_ref(index) {
            Ok(ValueRef::Integer(_)) => "INTEGER",
            Ok(ValueRef::Real(_)) => "REAL",
            Ok(ValueRef::Text(_)) => "TEXT",
            Ok(ValueRef::Blob(_)) => "BLOB",
            Ok(ValueRef::Null) | Err(_) => "",
        }
        .to_owned();
    }
}

/// Preparing reads the schema, which a writer may have locked.
fn prepare<'c>(connection: &'c Connection, sql: &str, watch: &Watch) -> Result<Statement<'c>, QueryError> {
    loop {
        match connection.prepare(sql) {
            Ok(statement) => return Ok(statement),
            Err(error) if is_busy(&error) => wait_for_writer(watch)?,
            Err(error) => return Err(query_error(error, connection, watch)),
        }
    }
}

/// After SQLite's own wait for a writer, which may have been none: a moment more, if there is time.
fn wait_for_writer(watch: &Watch) -> Result<(), QueryError> {
    match watch.reason() {
        None => {
            watch.pause();
            Ok(())
        }
        Some(QueryError::Cancelled) => Err(QueryError::Cancelled),
        Some(_) => Err(QueryError::Limit(Said::new(
            words::LOCKED,
            "Another program kept the database locked for writing for as long as the query may take. Try again.",
        ))),
    }
}
