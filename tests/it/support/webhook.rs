//! A web address of an administrator's: keeps what is posted to it, and answers as told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

/// A listener on a free loopback port.
pub struct Webhook {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    status: u16,
    posted: Vec<Value>,
}

impl Webhook {
    /// One that is content with what it gets.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            status: 200,
            posted: Vec::new(),
        }));
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever asks may go away at any time.
                drop(serve(client, &served));
            }
        });
        Self { address, state }
    }

    /// Where to post; nobody else should learn of it.
    pub fn url(&self) -> String {
        format!("http://{}/hooks/hunter2", self.address)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        lock(&self.state).status = status;
    }

    /// What it took, in order; what it answered badly is not among it.
    pub fn posted(&self) -> Vec<Value> {
        lock(&self.state).posted.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut state = lock(state);
    if state.status == 200 {
        state.posted.push(serde_json::from_slice(&body)?);
    }
    write!(
        client,
        "HTTP/1.1 {} As told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        state.status
    )
}
