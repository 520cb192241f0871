//! Rows as a bounded stream of batches.
//!
//! A batch keeps all its text and bytes in one buffer, so that a row costs no allocation of its own
//! and no driver type crosses the crate's border.

use serde::Serialize;
use tokio::sync::mpsc;

use crate::QueryError;

/// A result column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// As the database names it.
    pub name: String,
    /// The database's own name of the type (`INTEGER`, `TEXT`, …); empty where it knows none.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// One cell, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double; may be infinite or NaN.
    Float(f64),
    /// Text, and everything that the connector renders as text (decimals, dates, JSON).
    Text(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text { start: u32, end: u32 },
    Bytes { start: u32, end: u32 },
}

/// Some rows, at least one.
#[derive(Debug, Clone)]
pub struct RowBatch {
    columns: usize,
    cells: Vec<Cell>,
    // Text and bytes of all cells, back to back. Text cells are whole `str`s by construction.
    text: String,
    raw: Vec<u8>,
}

impl RowBatch {
    /// How many rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.cells.len() / self.columns.max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The rows, each an iterator over its cells in column order.
    #[inline]
    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Value<'_>>> {
        self.cells.chunks(self.columns.max(1)).map(move |row| row.iter().map(move |cell| self.value(*cell)))
    }

    #[inline]
    fn value(&self, cell: Cell) -> Value<'_> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Bool(b) => Value::Bool(b),
            Cell::Int(i) => Value::Int(i),
            Cell::Float(f) => Value::Float(f),
            Cell::Text { start, end } => Value::Text(&self.text[start as usize..end as usize]),
            Cell::Bytes { start, end } => Value::Bytes(&self.raw[start as usize..end as usize]),
        }
    }
}

/// Builds batches on the driver's side.
#[derive(Debug)]
pub struct RowBatchBuilder {
    batch: RowBatch,
}

impl RowBatchBuilder {
    /// For rows of `columns` cells.
    pub fn new(columns: usize) -> Self {
        Self { batch: RowBatch { columns, cells: Vec::new(), text: String::new(), raw: Vec::new() } }
    }

    /// Appends a cell to the row under way. A caller pushes exactly `columns` cells a row.
    #[inline]
    pub fn push(&mut self, value: Value<'_>) {
        // Offsets fit u32: a batch is handed over long before 4 GiB (limits cap it at some MiB).
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Bool(b) => Cell::Bool(b),
            Value::Int(i) => Cell::Int(i),
            Value::Float(f) => Cell::Float(f),
            Value::Text(s) => {
                let start = self.batch.text.len() as u32;
                self.batch.text.push_str(s);
                Cell::Text { start, end: self.batch.text.len() as u32 }
            }
            Value::Bytes(b) => {
                let start = self.batch.raw.len() as u32;
                self.batch.raw.extend_from_slice(b);
                Cell::Bytes { start, end: self.batch.raw.len() as u32 }
            }
        };
        self.batch.cells.push(cell);
    }

    /// Bytes that the rows so far take: the cells themselves, their text and their raw bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.batch.cells.as_slice()) + self.batch.text.len() + self.batch.raw.len()
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Takes back the cells of a row under way that is not complete.
    pub fn abandon_row(&mut self) {
        let whole = self.batch.cells.len() - self.batch.cells.len() % self.batch.columns.max(1);
        for cell in self.batch.cells.drain(whole..).rev() {
            match cell {
                Cell::Text { start, .. } => self.batch.text.truncate(start as usize),
                Cell::Bytes { start, .. } => self.batch.raw.truncate(start as usize),
                _ => {}
            }
        }
    }

    /// Hands the rows over and starts an empty batch with as much room.
    pub fn take(&mut self) -> RowBatch {
        let room = RowBatch {
            columns: self.batch.columns,
            cells: Vec::with_capacity(self.batch.cells.len()),
            text: String::with_capacity(self.batch.text.len()),
            raw: Vec::with_capacity(self.batch.raw.len()),
        };
        std::mem::replace(&mut self.batch, room)
    }
}

/// Why an answer is not the whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// More rows follow than the row limit allows.
    Rows,
    /// More bytes follow than the byte limit allows.
    Bytes,
    /// At least one cell was cut at the cell limit.
    CellBytes,
}

/// How a stream of rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ending {
    /// `None` for the whole answer.
    pub truncated: Option<Truncated>,
}

enum Message {
    Batch(RowBatch),
    End(Ending),
    Failed(QueryError),
}

/// The driver's end of a stream of rows. Dropping it without an ending is a failure of the query.
#[derive(Debug)]
pub struct RowSender(mpsc::Sender<Message>);

/// The reader's end of a stream of rows. Dropping it cancels the query.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Column>,
    batches: mpsc::Receiver<Message>,
    ending: Option<Ending>,
    // Dropping the guard cancels the token that the driver watches.
    _stop: tokio_util::sync::DropGuard,
}

/// A stream of rows with room for two batches: the driver stays one ahead of the reader, no more.
/// `stop` is cancelled when the reader goes away; the driver must watch it.
pub fn row_channel(columns: Vec<Column>, stop: tokio_util::sync::CancellationToken) -> (RowSender, Rows) {
    let (sender, batches) = mpsc::channel(2);
    (RowSender(sender), Rows { columns, batches, ending: None, _stop: stop.drop_guard() })
}

impl RowSender {
    /// Hands a batch over, from a thread that may block. `Err` when the reader is gone.
    pub fn blocking_send(&self, batch: RowBatch) -> Result<(), QueryError> {
        self.0.blocking_send(Message::Batch(batch)).map_err(|_| QueryError::Cancelled)
    }

    /// Hands a batch over. `Err` when the reader is gone.
    pub async fn send(&self, batch: RowBatch) -> Result<(), QueryError> {
        self.0.send(Message::Batch(batch)).await.map_err(|_| QueryError::Cancelled)
    }

    /// Says that all rows were sent, or why they were not, from a thread that may block.
    pub fn blocking_end(self, outcome: Result<Ending, QueryError>) {
        // A reader that is gone needs no ending.
        let _ = self.0.blocking_send(Self::last(outcome));
    }

    /// Says that all rows were sent, or why they were not.
    pub async fn end(self, outcome: Result<Ending, QueryError>) {
        let _ = self.0.send(Self::last(outcome)).await;
    }

    fn last(outcome: Result<Ending, QueryError>) -> Message {
        match outcome {
            Ok(ending) => Message::End(ending),
            Err(error) => Message::Failed(error),
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Message::Batch(_) => "Batch",
            Message::End(_) => "End",
            Message::Failed(_) => "Failed",
        })
    }
}

impl Rows {
    /// The result's columns, known from the start.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next batch, or `None` after the last one. Cancel safe.
    pub async fn next_batch(&mut self) -> Result<Option<RowBatch>, QueryError> {
        if self.ending.is_some() {
            return Ok(None);
        }
        match self.batches.recv().await {
            Some(Message::Batch(batch)) => Ok(Some(batch)),
            Some(Message::End(ending)) => {
                self.ending = Some(ending);
                Ok(None)
            }
            Some(Message::Failed(error)) => Err(error),
            None => Err(QueryError::Unavailable("the connector ended without an answer".into())),
        }
    }

    /// How the stream ended; `None` until [`Rows::next_batch`] answered `None`.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }
}
