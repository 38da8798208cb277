//! A stranger who reaches the peers' listener and knows no token.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::daemon::Site;
use crate::support::sqlite;
use crate::support::wait;

#[test]
fn whoever_asks_without_end_and_reads_nothing_loses_the_connection() {
    let site = Site::builder("berlin")
        .sqlite(|path| sqlite::execute(path, "create table notes (id integer primary key)"))
        .with("limits.body_timeout", "1s")
        .start();
    let address = site.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_millis(100));
    stream.set_write_timeout(patience).expect("a timeout");
    let asked = "GET /sync/api/status HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    wait::until("the connection is closed", wait::LONG, || {
        match stream.write(asked.as_bytes()) {
            Err(err) if !matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(())
            }
            _ => None,
        }
    });
}
