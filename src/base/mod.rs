//! The bottom layer: what any daemon needs, without a word of this one's domain.

pub mod backoff;
pub mod cause;
pub mod command;
pub mod secret;
pub mod service;
pub mod task;
pub mod telemetry;
