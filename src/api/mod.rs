//! What comes in by HTTP.

pub mod peer;

/// Where a request came from, corrected for trusted proxies; an extension of every request that came by network.
#[derive(Clone, Copy, Debug)]
pub struct CallerAddress(pub std::net::IpAddr);
