//! Tests of the whole: real daemons, real HTTP, real databases. The modules mirror the paths of the two interfaces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on should stop where it stands, and it may print what it measured"
)]
#![allow(
    dead_code,
    reason = "the support is written as a whole, and a build of a few tests uses a part of it"
)]

mod admin;
mod alerts;
mod attacks;
/// Early in the alphabet, so in the order of tests: these take minutes, in which the others run.
mod clock;
mod commands;
mod drift;
mod engine;
mod grants;
mod harness;
mod healing;
mod identity;
mod live;
mod peer;
mod phoenix;
mod pull;
mod service;
mod store;
mod support;
mod syncs;
mod tls;
mod values;
