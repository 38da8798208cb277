//! What runs by itself: the runner carries out runs, the healer tells peers what they have yet to hear.
//!
//! Each is woken by timer and by signal, takes no input, and finds its work in the state.

pub mod healer;
pub mod runner;
