//! Evenkeel: peer-to-peer synchronization of database tables between sites, ending with proof.
//!
//! The crate is one stack of layers; imports go down only (`tests/tidy.rs` keeps it so):
//!
//! | layer | modules | knows |
//! | --- | --- | --- |
//! | 7 | `cli` | what a person types |
//! | 6 | `app` | how everything is built, started and stopped |
//! | 5 | `api`, `jobs` | what comes in by HTTP; what runs by itself |
//! | 4 | `sync` | the use cases |
//! | 3 | `remote`, `engine`, `store` | the other site; people's databases; our own state |
//! | 2 | `wire`, `config` | what two sites exchange; settings |
//! | 1 | `model` | plain values and pure rules |
//! | 0 | `base` | tasks, secrets, telemetry: no domain words |

pub mod api;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod engine;
pub mod jobs;
pub mod model;
pub mod remote;
pub mod store;
pub mod sync;
pub mod wire;

#[cfg(test)]
#[allow(
    dead_code,
    reason = "written for the tests of the whole, which use all of it"
)]
mod testing;
