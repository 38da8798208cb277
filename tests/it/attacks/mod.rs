//! Attacks: what strangers and approved peers with bad intent send. Nothing of it may stop, fill or fool a site.

mod between;
mod bodies;
mod decisions;
mod filter;
mod guessing;
mod identity;
mod introduced;
mod names;
mod scope;
mod sender;
mod sessions;
mod signing;
mod state;
mod stranger;
