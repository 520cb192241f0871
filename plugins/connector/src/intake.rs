//! Rows on their way from a driver into batches, under a query's limits.
//!
//! Owns what counts as a row, a byte and a cut cell, so that every connector counts alike. Knows no driver: cells come
//! as [`Value`]s, text that is not valid as bytes.

use crate::{Column, Ending, Limits, QueryError, RowBatch, RowBatchBuilder, Said, Truncated, Value, words};

/// Rows or bytes that make a full batch. A handover wakes the reader on another thread, which is dear beside
/// stepping a row; and a stream that holds some batches of 128 KiB stays small. A cell counts 16 bytes beside
/// its text, so that 1,024 rows of five short columns are one batch.
const BATCH_ROWS: usize = 1_024;
const BATCH_BYTES: usize = 128 * 1024;

/// The first batch goes out earlier, so that the reader starts while the rest is stepped; each further
/// one is this many times larger.
const FIRST_BATCH_ROWS: usize = 32;
const BATCH_GROWTH: usize = 4;

/// Longest name of a column, longest name of its type (longer ones are cut), and the most of all together,
/// in bytes. Databases allow names of 64 to 128; an expression without an alias may be named by its text.
const NAME_BYTES_MAX: usize = 1024;
const TYPE_BYTES_MAX: usize = 128;
const NAMES_BYTES_MAX: usize = 256 * 1024;

/// Takes rows in, cell by cell.
#[derive(Debug)]
pub struct Intake {
    builder: RowBatchBuilder,
    limits: Limits,
    rows: u64,
    // Of the rows that were taken, and of the row under way.
    bytes: u64,
    row_bytes: u64,
    cells_cut: bool,
    row_cut: bool,
    batch_rows: usize,
}

impl Intake {
    /// For rows of `width` cells.
    pub fn new(width: usize, limits: Limits) -> Self {
        Self {
            builder: RowBatchBuilder::new(width),
            limits,
            rows: 0,
            bytes: 0,
            row_bytes: 0,
            cells_cut: false,
            row_cut: false,
            batch_rows: FIRST_BATCH_ROWS,
        }
    }

    /// Begins a row; `Err` where the limit on rows is met.
    #[inline]
    pub fn begin_row(&mut self) -> Result<(), Ending> {
        if self.rows >= self.limits.rows {
            return Err(Ending { truncated: Some(Truncated::Rows) });
        }
        (self.row_bytes, self.row_cut) = (self.bytes, false);
        Ok(())
    }

    /// Takes a cell that needs no cutting.
    #[inline]
    pub fn plain(&mut self, value: Value<'_>) -> Result<(), Ending> {
        let size = match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 8,
            Value::Text(text) => text.len() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
        };
        self.row_bytes += size;
        if self.row_bytes > self.limits.bytes {
            self.builder.abandon_row();
            return Err(Ending { truncated: Some(Truncated::Bytes) });
        }
        self.builder.push(value);
        Ok(())
    }

    /// Takes text, which need not be valid UTF-8, of which more than `raw` was there where `is_cut`.
    #[inline]
    pub fn text(&mut self, raw: &[u8], is_cut: bool) -> Result<(), Ending> {
        let most = self.cell_bytes();
        let fits = cut_text(raw, most);
        self.row_cut |= is_cut || fits.len() < raw.len();
        match std::str::from_utf8(fits) {
            Ok(text) => self.plain(Value::Text(text)),
            Err(_) => {
                // Not every writer keeps to UTF-8. A replacement character may be longer than what it stands for.
                let lossy = String::from_utf8_lossy(fits);
                let end = floor_char_boundary(&lossy, most);
                self.row_cut |= end < lossy.len();
                self.plain(Value::Text(&lossy[..end]))
            }
        }
    }

    /// Takes bytes, of which more than `raw` was there where `is_cut`.
    #[inline]
    pub fn bytes(&mut self, raw: &[u8], is_cut: bool) -> Result<(), Ending> {
        let fits = raw.len().min(self.cell_bytes());
        self.row_cut |= is_cut || fits < raw.len();
        self.plain(Value::Bytes(&raw[..fits]))
    }

    /// Ends the row.
    #[inline]
    pub fn end_row(&mut self) {
        self.bytes = self.row_bytes;
        self.cells_cut |= self.row_cut;
        self.rows += 1;
    }

    /// Most bytes of a cell.
    #[inline]
    pub fn cell_bytes(&self) -> usize {
        usize::try_from(self.limits.cell_bytes).unwrap_or(usize::MAX)
    }

    /// Whether the batch under way is full.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.builder.len() >= self.batch_rows || self.builder.bytes() >= BATCH_BYTES
    }

    /// The rows so far as a batch, if there are any.
    pub fn take(&mut self) -> Option<RowBatch> {
        if self.builder.is_empty() {
            return None;
        }
        self.batch_rows = (self.batch_rows * BATCH_GROWTH).min(BATCH_ROWS);
        Some(self.builder.take())
    }

    /// What is said after the last row.
    pub fn ending(&self) -> Ending {
        Ending { truncated: self.cells_cut.then_some(Truncated::CellBytes) }
    }
}

/// At most `most` bytes, ending at a character's border.
#[inline]
fn cut_text(raw: &[u8], most: usize) -> &[u8] {
    if raw.len() <= most {
        return raw;
    }
    // Bytes 10xxxxxx continue a character; none has more than three of them.
    let back = (0..=3.min(most)).find(|back| raw[most - back] & 0xC0 != 0x80).unwrap_or(0);
    &raw[..most - back]
}

pub(crate) fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Names and types of a result, which take as much of an answer as they are long, whatever the rows' limits.
/// [`QueryError::Limit`] for too many columns and for names that are too long.
pub fn bounded_columns<'a>(
    width: usize,
    columns: impl IntoIterator<Item = (&'a str, &'a str)>,
    limits: Limits,
) -> Result<Vec<Column>, QueryError> {
    if width > limits.columns as usize {
        return Err(QueryError::Limit(Said::new(
            words::COLUMNS,
            format!(
                "The result has {width} columns; the most is {}. Name the columns that you need instead of *.",
                limits.columns
            ),
        )));
    }
    let too_long = |what: &str| {
        let said = format!("{what}. Give the columns shorter names with AS, or select fewer of them.");
        QueryError::Limit(Said::new(words::COLUMNS, said))
    };
    let mut bytes = 0;
    let named = columns.into_iter().map(|(name, declared)| {
        if name.len() > NAME_BYTES_MAX {
            return Err(too_long(&format!(
                "A column's name has {} bytes; the most is {NAME_BYTES_MAX}",
                name.len()
            )));
        }
        // Nobody needs the end of a longer one.
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
