//! Syncs: defining what is pulled by itself, running it when its time has come, and running it by hand.
//!
//! A run of a sync is a run like any other: here it is made, the runner carries it out.

mod absence;
mod define;
mod look;
mod trigger;
mod turn;

pub use absence::mind_absences;
pub use define::{Changes, NewSync, create, delete, edit, existing};
pub use trigger::{preview, trigger};
pub use turn::advance;
