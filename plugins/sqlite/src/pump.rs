//! Steps one statement and hands its rows over, on a thread that may block.
//!
//! Owns the limits on rows, bytes, cells and columns. The engine's own clock is in `watch`.

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};
use sequel_connector::{Column, Ending, Limits, QueryError, RowBatchBuilder, RowSender, Truncated, Value};
use tokio::runtime::Handle;

use crate::error::{is_busy, query_error};
use crate::watch::Watch;

/// Rows or bytes that make a full batch. A handover wakes the reader on another thread, which is dear beside
/// stepping a row; and a stream that holds some batches of 128 KiB stays small. A cell counts 16 bytes beside
/// its text, so that 1,024 rows of five short columns are one batch.
const BATCH_ROWS: usize = 1_024;
const BATCH_BYTES: usize = 128 * 1024;

/// The first batch goes out earlier, so that the reader starts while the rest is stepped; each further
/// one is this many times larger.
const FIRST_BATCH_ROWS: usize = 32;
const BATCH_GROWTH: usize = 4;

/// Rows of a slow query do not wait for a full batch longer than this.
const BATCH_AGE_MS: u64 = 50;

/// Longest name of a column, longest name of its type (longer ones are cut), and the most of all together,
/// in bytes. Databases allow names of 64 to 128; an expression without an alias is named by its text.
const NAME_BYTES_MAX: usize = 1024;
const TYPE_BYTES_MAX: usize = 128;
const NAMES_BYTES_MAX: usize = 256 * 1024;

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
        return Err(QueryError::Refused(
            "The statement would write, and this data source is read-only. Send a SELECT.".into(),
        ));
    }
    if statement.parameter_count() > 0 {
        return Err(QueryError::Sql(
            "The statement has placeholders (?, :name, @name or $name), and there is nothing to fill them with. Write the \
             values into the statement as literals."
                .into(),
        ));
    }
    let width = statement.column_count();
    if width > limits.columns as usize {
        return Err(QueryError::Limit(format!(
            "The result has {width} columns; the most is {}. Name the columns that you need instead of *.",
            limits.columns
        )));
    }
    let mut columns = columns(&statement)?;
    let mut pump = Pump {
        builder: RowBatchBuilder::new(width),
        width,
        limits,
        rows: 0,
        bytes: 0,
        cells_cut: false,
        batch_rows: FIRST_BATCH_ROWS,
        batch_since_ms: 0,
    };
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
                    return Ok(Ending { truncated: pump.cells_cut.then_some(Truncated::CellBytes) });
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
    builder: RowBatchBuilder,
    width: usize,
    limits: Limits,
    rows: u64,
    bytes: u64,
    cells_cut: bool,
    batch_rows: usize,
    batch_since_ms: u64,
}

impl Pump {
    /// Takes a row over, unless it is past a limit.
    fn row(&mut self, row: &Row<'_>) -> Next {
        if self.rows >= self.limits.rows {
            return Next::Stop(Ending { truncated: Some(Truncated::Rows) });
        }
        let mut bytes = self.bytes;
        let mut cut = false;
        for index in 0..self.width {
            // The index is below the row's column count, which was compared after the first step.
            let Ok(cell) = row.get_ref(index) else {
                continue;
            };
            let lossy;
            let (value, size) = match cell {
                ValueRef::Null => (Value::Null, 0),
                ValueRef::Integer(integer) => (Value::Int(integer), 8),
                ValueRef::Real(real) => (Value::Float(real), 8),
                ValueRef::Text(raw) => {
                    let raw = self.cut_text(raw, &mut cut);
                    let text = match std::str::from_utf8(raw) {
                        Ok(text) => text,
                        Err(_) => {
                            // Not every writer keeps to UTF-8. A replacement character may be longer than what
                            // it stands for.
                            lossy = String::from_utf8_lossy(raw);
                            let fits = floor_char_boundary(&lossy, self.cell_bytes());
                            cut |= fits < lossy.len();
                            &lossy[..fits]
                        }
                    };
                    (Value::Text(text), text.len() as u64)
                }
                ValueRef::Blob(raw) => {
                    let fits = raw.len().min(self.cell_bytes());
                    cut |= fits < raw.len();
                    (Value::Bytes(&raw[..fits]), fits as u64)
                }
            };
            bytes += size;
            if bytes > self.limits.bytes {
                self.builder.abandon_row();
                return Next::Stop(Ending { truncated: Some(Truncated::Bytes) });
            }
            self.builder.push(value);
        }
        self.bytes = bytes;
        self.cells_cut |= cut;
        self.rows += 1;
        Next::More
    }

    fn cell_bytes(&self) -> usize {
        usize::try_from(self.limits.cell_bytes).unwrap_or(usize::MAX)
    }

    /// At most the cell limit, ending at a character's border.
    fn cut_text<'a>(&self, raw: &'a [u8], cut: &mut bool) -> &'a [u8] {
        let most = self.cell_bytes();
        if raw.len() <= most {
            return raw;
        }
        *cut = true;
        // Bytes 10xxxxxx continue a character; none has more than three of them.
        let back = (0..=3.min(most)).find(|back| raw[most - back] & 0xC0 != 0x80).unwrap_or(0);
        &raw[..most - back]
    }

    fn is_due(&mut self, watch: &Watch) -> bool {
        self.builder.len() >= self.batch_rows
            || self.builder.bytes() >= BATCH_BYTES
            || watch.looked_ms().saturating_sub(self.batch_since_ms) >= BATCH_AGE_MS
    }

    /// Hands the batch over, waiting for a slow reader no longer than the query may take.
    fn flush(&mut self, sender: &RowSender, watch: &Watch, runtime: &Handle) -> Result<(), QueryError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let batch = self.builder.take();
        self.batch_rows = (self.batch_rows * BATCH_GROWTH).min(BATCH_ROWS);
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

/// Names and declared types, which take as much of an answer as they are long, whatever the rows' limits.
fn columns(statement: &Statement<'_>) -> Result<Vec<Column>, QueryError> {
    let columns = statement.columns();
    let too_long = |what: &str| {
        QueryError::Limit(format!("{what}. Give the columns shorter names with AS, or select fewer of them."))
    };
    let mut bytes = 0;
    let named = columns.iter().map(|column| {
        let name = column.name();
        if name.len() > NAME_BYTES_MAX {
            return Err(too_long(&format!(
                "A column's name has {} bytes; the most is {NAME_BYTES_MAX}",
                name.len()
            )));
        }
        // Nobody needs the end of a longer one.
        let declared = column.decl_type().unwrap_or_default();
        let declared = &declared[..floor_char_boundary(declared, TYPE_BYTES_MAX)];
        bytes += name.len() + declared.len();
        if bytes > NAMES_BYTES_MAX {
            return Err(too_long(&format!(
                "The names and types of all columns together have more than {} KiB",
                NAMES_BYTES_MAX / 1024
            )));
        }
        Ok(Column { name: name.to_owned(), type_name: declared.to_owned() })
    });
    named.collect()
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

fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
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
        Some(_) => Err(QueryError::Limit(
            "Another program kept the database locked for writing for as long as the query may take. Try again.".into(),
        )),
    }
}
