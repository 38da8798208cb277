//! The engines against real databases.

mod enact;
mod mysql;
mod pairs;
mod postgres;
mod work;
