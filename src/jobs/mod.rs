//! What runs by itself: the scheduler makes the runs of syncs, the runner carries runs out, the healer tells peers what
//! they have yet to hear, the janitor has peers prove who they are and clears away what has had its time, the alerter
//! lets the administrator know.
//!
//! Each is woken by timer and by signal, takes no input, and finds its work in the state.

pub mod alerter;
pub mod healer;
pub mod janitor;
pub mod runner;
pub mod scheduler;
