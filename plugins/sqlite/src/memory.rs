//! How much memory SQLite may take: one limit for the whole process.
//!
//! SQLite knows no such limit for a connection. What is prepared, sorted and collected for a query comes from
//! the one heap that the server's own store uses too, so the limit is far above what the store needs, and a
//! query that meets it ends at once and gives everything back.

use rusqlite::Connection;

/// Lowers SQLite's limit on its heap to `bytes`; 0 leaves it as it is. It cannot be raised again.
pub(crate) fn limit(bytes: u64) -> rusqlite::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let connection = Connection::open_in_memory()?;
    // Answers with the limit that holds from now on.
    connection.query_row(&format!("PRAGMA hard_heap_limit = {bytes}"), [], |_| Ok(()))
}
