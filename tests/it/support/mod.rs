//! What the tests stand on: real servers and real daemons, started on free loopback ports and removed again.

pub mod cleanup;
pub mod daemon;
pub mod database;
pub mod encrypted;
pub mod flights;
pub mod http;
pub mod impostor;
pub mod mariadb;
pub mod pair;
pub mod phoenix;
pub mod ports;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod retelling;
pub mod signer;
pub mod sqlite;
pub mod tls;
pub mod wait;
pub mod webhook;

/// Whether what differs little from what is tested anyway is to be tested, too.
pub fn is_thorough() -> bool {
    std::env::var_os("EVENKEEL_ALL_PAIRS").is_some()
}
