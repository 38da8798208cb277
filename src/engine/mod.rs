//! People's databases: reading tables into the row layout and applying rows to them.
//!
//! Knows SQL and nothing of peers, runs or HTTP.

pub mod driver;
pub mod error;
pub mod postgres;
pub mod sql;
pub mod sqlite;

pub use error::EngineError;
