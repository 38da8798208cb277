//! Free loopback ports that stay the same over a restart.
//!
//! Port 0 is right for whoever may listen anywhere; a peer that restarts has to come back where it was.
//! The ports lie below the range from which the kernel serves outgoing connections, so that none is taken by chance.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A port of 127.0.0.1 on which nobody listens and which this process hands out once.
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Test processes that run side by side begin at different places.
        let step = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(std::process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + step % COUNT).expect("the range lies below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
