//! Syncs: defining what is pulled by itself, running it when its time has come, and running it by hand.
//!
//! A run of a sync is a run like any other: here it is made, the runner carries it out.

mod define;
mod trigger;
mod turn;

pub use define::{Changes, NewSync, create, delete, edit, existing};
pub use trigger::trigger;
pub use turn::advance;
