//! The engines against real databases.

mod mysql;
mod pairs;
mod postgres;
mod work;
