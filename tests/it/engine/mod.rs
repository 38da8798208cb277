//! The engines against real databases.

mod enact;
mod mysql;
mod pairs;
mod picks;
mod postgres;
mod snapshots;
mod work;
