//! A growing output of many bytes, kept in pieces.
//!
//! One buffer that doubles would copy and touch fresh memory several times over while an answer of
//! some megabytes grows; measured, that cost more than the encoding itself. Pieces are written once
//! and handed to the response as they are.

use bytes::Bytes;

/// When a piece is closed. Small enough that an allocator hands the same memory out again.
const PIECE_BYTES: usize = 64 * 1024;
/// Room for what comes between two chances to close a piece, usually one row.
const SLACK_BYTES: usize = 4 * 1024;

/// Bytes in pieces; the last one is open for writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    closed: Vec<Bytes>,
    closed_bytes: usize,
    /// What is written to now.
    pub open: Vec<u8>,
}

impl Pieces {
    /// Bytes in all pieces.
    pub fn len(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the open piece if it is long enough. Positions in [`Pieces::open`] do not outlive this.
    pub fn turn(&mut self) {
        if self.open.len() >= PIECE_BYTES {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(PIECE_BYTES + SLACK_BYTES));
            self.closed_bytes += full.len();
            self.closed.push(full.into());
        }
    }

    /// Appends all pieces to a list.
    pub(super) fn append_to(self, parts: &mut Vec<Bytes>) {
        parts.extend(self.closed);
        if !self.open.is_empty() {
            parts.push(self.open.into());
        }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(open: Vec<u8>) -> Self {
        Self { open, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_bytes_that_were_written_in_order() {
        let mut pieces = Pieces::default();
        let mut whole = Vec::new();
        for i in 0..50_000u32 {
            pieces.open.extend_from_slice(i.to_string().as_bytes());
            whole.extend_from_slice(i.to_string().as_bytes());
            pieces.turn();
            assert_eq!(pieces.len(), whole.len());
        }
        let mut parts = Vec::new();
        pieces.append_to(&mut parts);
        assert!(parts.len() > 2);
        assert_eq!(parts.concat(), whole);
    }
}
