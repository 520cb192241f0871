//! Sequel's connector for SQLite files: read-only in layers.
