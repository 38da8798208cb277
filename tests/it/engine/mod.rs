//! The engines against real databases.

mod mysql;
mod pairs;
mod picks;
mod postgres;
mod snapshots;
mod work;
