//! The engines against real databases.

mod pairs;
mod postgres;
