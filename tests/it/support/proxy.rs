//! A link between two sites that a test can cut, stall or spoil.
//!
//! It passes bytes on and understands none of them, except where a test has it answer by itself.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What the link does with the connections that are and that come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Passes everything on.
    Whole,
    /// Passes on so many bytes of what is answered on a connection, then closes it.
    CutAfter(usize),
    /// Passes on so many bytes of what is answered on a connection, then falls silent until the link is set otherwise.
    StallAfter(usize),
    /// Passes everything on until it has passed on so many bytes of answers over all connections since it was made, then
    /// falls silent on all of them until the link is set otherwise.
    StallAt(u64),
    /// Answers each new connection with these bytes, and closes it; closes the older ones.
    Answer(Vec<u8>),
}

/// A listener on a free loopback port; dropping it ends the link, not the connections in it.
pub struct Proxy {
    address: SocketAddr,
    link: Arc<State>,
}

struct State {
    link: Mutex<Link>,
    changed: Condvar,
    open: Mutex<bool>,
    passed: AtomicU64,
    asked: Arc<AtomicU64>,
}

/// A reader that counts what is read.
struct Counted<R> {
    from: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        let more = u64::try_from(read).unwrap_or(0);
        self.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(read)
    }
}

impl Proxy {
    /// Makes a link to the listener on this loopback port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let link = Arc::new(State {
            link: Mutex::new(Link::Whole),
            changed: Condvar::new(),
            open: Mutex::new(true),
            passed: AtomicU64::new(0),
            asked: Arc::default(),
        });
        let state = Arc::clone(&link);
        thread::spawn(move || {
            for client in listener.incoming() {
                if !*state.open.lock().unwrap_or_else(PoisonError::into_inner) {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    // Either end may close whenever it likes: that is what a link is for.
                    drop(client.and_then(|client| state.carry(client, port)));
                });
            }
        });
        Self { address, link }
    }

    /// The URL that leads through the link.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes of answers it has passed on, over all connections.
    pub fn passed(&self) -> u64 {
        self.link.passed.load(Ordering::Relaxed)
    }

    /// How many bytes of requests and answers together it has passed on, headers included.
    pub fn carried(&self) -> u64 {
        self.passed() + self.link.asked.load(Ordering::Relaxed)
    }

    /// Changes what the link does from now on.
    pub fn set(&self, link: Link) {
        *self.link.now() = link;
        self.link.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *self
            .link
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
        self.set(Link::CutAfter(0));
        // Wakes the listener, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    fn now(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, mut client: TcpStream, port: u16) -> std::io::Result<()> {
        if let Link::Answer(answer) = self.now().clone() {
            // What was asked is read first: closing over unread bytes would discard the answer too.
            let asked = client.read(&mut [0; 16 * 1024])?;
            if asked > 0 {
                client.write_all(&answer)?;
            }
            return client.shutdown(Shutdown::Write);
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        // A link that waited for more to pass on would be slower than any wire.
        for end in [&client, &server] {
            end.set_nodelay(true)?;
        }
        let mut to = server.try_clone()?;
        let mut from = Counted {
            from: client.try_clone()?,
            bytes: Arc::clone(&self.asked),
        };
        thread::spawn(move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        });
        let ended = self.answer(&mut server, &mut client);
        drop(server.shutdown(Shutdown::Both));
        drop(client.shutdown(Shutdown::Both));
        ended
    }

    fn answer(&self, server: &mut TcpStream, client: &mut TcpStream) -> std::io::Result<()> {
        let mut passed = 0;
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = server.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let room = self.room(passed);
                if room == 0 {
                    return Ok(());
                }
                let (now, later) = rest.split_at(room.min(rest.len()));
                client.write_all(now)?;
                passed += now.len();
                self.passed
                    .fetch_add(u64::try_from(now.len()).unwrap_or(0), Ordering::Relaxed);
                rest = later;
            }
        }
    }

    /// How many more bytes may pass, 0 to close; waits while the link is stalled.
    fn room(&self, passed: usize) -> usize {
        let mut link = self.now();
        loop {
            match &*link {
                Link::Whole => return usize::MAX,
                Link::CutAfter(bytes) => return bytes.saturating_sub(passed),
                Link::StallAfter(bytes) if passed < *bytes => return bytes - passed,
                Link::StallAt(bytes) if self.passed.load(Ordering::Relaxed) < *bytes => {
                    let rest = *bytes - self.passed.load(Ordering::Relaxed).min(*bytes);
                    return usize::try_from(rest).unwrap_or(usize::MAX).max(1);
                }
                Link::StallAfter(_) | Link::StallAt(_) => {
                    link = self
                        .changed
                        .wait(link)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Link::Answer(_) => return 0,
            }
        }
    }
}
