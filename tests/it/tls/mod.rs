//! TLS between sites, towards administrators, and what never goes without it.

mod admin;
mod peers;
mod refused;
mod reload;
mod settings;

use std::net::SocketAddr;

use crate::support::http::{Answer, Request};
use crate::support::tls::{Authority, connect};

const ORDERS: &str = "create table orders (id integer primary key, item text not null);
    insert into orders values (1, 'tea'), (2, 'rice'), (3, 'salt')";
const EMPTY: &str = "create table orders (id integer primary key, item text not null)";

/// Sends `request` encrypted to who listens at `address`, trusting `authority` alone.
fn ask(address: SocketAddr, authority: &Authority, request: &Request) -> std::io::Result<Answer> {
    let stream = connect(address, &authority.client(&["http/1.1"]))?;
    request.exchange(stream, &address.to_string())
}
