//! The listeners against callers that are slow, many or in the way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::admin::{orders, problem};
use crate::support::daemon::Site;
use crate::support::http::{Address, Request};
use crate::support::wait;

fn connect(to: &Address) -> TcpStream {
    let Address::Tcp(address) = to else {
        panic!("no TCP listener: {to:?}");
    };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(wait::LONG)).unwrap();
    stream
}

/// Sends just this to the admin listener, and returns what comes back until it closes.
pub(super) fn raw(site: &Site, text: &str) -> String {
    let mut stream = connect(&site.admin_address());
    stream.write_all(text.as_bytes()).unwrap();
    rest(&mut stream)
}

/// Everything until the other end closes; a reset counts as closing, silence does not.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(err) = stream.read_to_end(&mut bytes) {
        let closed = !matches!(
            err.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        );
        assert!(closed, "still open: {err}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn impatient() -> Site {
    Site::builder("berlin")
        .sqlite(orders)
        .with("limits.header_timeout", "1s")
        .with("limits.body_timeout", "1s")
        .with("limits.drain_timeout", "1s")
        .start()
}

#[test]
fn a_head_that_never_ends_is_cut_off_on_both_listeners() {
    let site = impatient();
    let peers = Address::Tcp(site.url().trim_start_matches("http://").parse().unwrap());
    for to in [site.admin_address(), peers] {
        let begun = Instant::now();
        let mut stream = connect(&to);
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut byte = [0];
        // Byte after byte, each in time by itself.
        let closed = wait::within(wait::LONG, || {
            let answer = stream.read(&mut byte);
            let silent = answer
                .as_ref()
                .is_err_and(|err| err.kind() == std::io::ErrorKind::WouldBlock);
            let open = silent && stream.write_all(b"a").is_ok();
            (!open).then_some(())
        });
        assert!(closed.is_some(), "still open after {:?}", begun.elapsed());
    }
}

#[test]
fn a_body_that_never_ends_is_answered_in_time() {
    let site = impatient();
    let answer = raw(
        &site,
        &format!(
            "POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
            site.token()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let site = Site::builder("berlin")
        .sqlite(orders)
        .with("limits.max_body_bytes", "1KiB")
        .start();
    let request = Request::new("POST", "/api/v1/tokens")
        .header("authorization", &format!("Bearer {}", site.token()))
        .body(vec![b' '; 2_000]);
    problem(
        request.send(&site.admin_address()).unwrap(),
        413,
        "too-large",
    );
}

#[test]
fn connections_beyond_the_cap_are_closed_and_free_slots_are_used_again() {
    let site = Site::builder("berlin")
        .sqlite(orders)
        .with("admin.max_connections", 1)
        .start();
    let mut first = connect(&site.admin_address());
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // The connection that found the site ready may still count.
    wait::until("the first connection is served", wait::LONG, || {
        first = connect(&site.admin_address());
        first.write_all(request.as_bytes()).ok()?;
        let mut start = [0; 12];
        first.read_exact(&mut start).ok()?;
        (&start == b"HTTP/1.1 200").then_some(())
    });
    assert_eq!(rest(&mut connect(&site.admin_address())), "");
    drop(first);
    wait::until("the slot is free again", wait::LONG, || {
        let answer = Request::new("GET", "/healthz")
            .send(&site.admin_address())
            .ok()?;
        (answer.status == 200).then_some(())
    });
}

#[test]
fn a_daemon_that_is_told_to_end_closes_idle_connections_and_ends_well() {
    let mut site = impatient();
    let socket = site.folder().join("admin.sock");
    let mut idle = connect(&site.admin_address());
    let mut stuck = connect(&site.admin_address());
    stuck
        .write_all(b"POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    let begun = Instant::now();
    assert!(site.stop().success());
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    rest(&mut idle);
    rest(&mut stuck);
    assert!(!socket.exists());
}
