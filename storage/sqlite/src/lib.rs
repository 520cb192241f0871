//! Sequel's embedded SQLite backend.
