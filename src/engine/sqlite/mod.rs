//! SQLite: rusqlite on a thread of its own.
