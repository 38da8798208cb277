//! What runs by itself: the runner carries out runs, the healer tells peers what they have yet to hear, the alerter lets
//! the administrator know.
//!
//! Each is woken by timer and by signal, takes no input, and finds its work in the state.

pub mod alerter;
pub mod healer;
pub mod runner;
