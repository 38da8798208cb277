//! What the tests stand on: real servers and real daemons, started on free loopback ports and removed again.

pub mod cleanup;
pub mod daemon;
pub mod flights;
pub mod http;
pub mod ports;
pub mod postgres;
pub mod sqlite;
pub mod wait;
