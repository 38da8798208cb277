//! A blocking socket to a PostgreSQL server, and the messages that come over it.
//!
//! Layout: PostgreSQL documentation, "Message Formats": a letter, an `int32` length that counts itself, a body.
//! Knows no message's meaning.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::backend::Header;
use postgres_protocol::message::frontend::terminate;
use rustix::net::sockopt::set_socket_linger;

use crate::engine::postgres::line::Place;

/// What is taken off the socket at once.
const ROOM: usize = 256 << 10;
/// A socket that was read empty is left alone for as long as so much takes to come. The server sends a row after the
/// other, 8 KiB at a time; a reader that is woken for each takes the processor from it some forty thousand times for two
/// million rows. It is about half of what a Unix socket holds by Linux's defaults: a server that has to wait for room
/// loses time.
const GATHERED: u32 = 96 << 10;
/// For how long at least, and at first.
const MIN_PAUSE: Duration = Duration::from_micros(50);
/// For how long at most: a server that sends little is not to be waited for.
const MAX_PAUSE: Duration = Duration::from_millis(2);
/// How long the server may take to let a line in.
const PATIENCE: Duration = Duration::from_secs(8);
/// The letter and the length.
const HEAD: usize = 5;

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Shuts a socket when it is dropped, so that whoever reads from it reads no more.
#[derive(Debug)]
pub(in crate::engine::postgres) struct Cut(Socket);

/// A message that came.
pub(super) struct Message<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// The messages of one server.
#[derive(Debug)]
pub(super) struct Messages {
    socket: Socket,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet seen.
    begin: usize,
    end: usize,
    gathers: bool,
    is_drained: bool,
    pause: Duration,
}

impl Socket {
    fn reach(place: &Place) -> Result<Self> {
        let socket = match place {
            Place::Socket(path) => Self::Unix(UnixStream::connect(path)?),
            Place::Host(host, port) => Self::Tcp(reach((host.as_str(), *port))?),
        };
        socket.wait(Some(PATIENCE))?;
        Ok(socket)
    }

    fn wait(&self, patience: Option<Duration>) -> Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(patience),
            Self::Unix(socket) => socket.set_read_timeout(patience),
        }
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(room),
            Self::Unix(socket) => socket.read(room),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Tcp(socket) => socket.write_all(bytes),
            Self::Unix(socket) => socket.write_all(bytes),
        }
    }

    /// Whether closing it tells the server at once. Shut only, and read empty by then, a socket whose window was closed
    /// would leave the server waiting for room for a minute, with all that its transaction holds.
    fn ends_at_once(&self, at_once: bool) -> Result<()> {
        match self {
            Self::Tcp(socket) => Ok(set_socket_linger(
                socket,
                at_once.then_some(Duration::ZERO),
            )?),
            Self::Unix(_) => Ok(()),
        }
    }

    fn twin(&self) -> Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
}

fn reach(host: impl ToSocketAddrs) -> Result<TcpStream> {
    let mut last = Error::from(ErrorKind::AddrNotAvailable);
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(err) => last = err,
        }
    }
    Err(last)
}

impl Drop for Cut {
    fn drop(&mut self) {
        // One that is shut already is as it should be.
        let _ = match &self.0 {
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Socket::Unix(socket) => socket.shutdown(Shutdown::Both),
        };
    }
}

impl Messages {
    /// Those of the server at `place`, to which nothing was said yet.
    pub(super) fn from(place: &Place) -> Result<Self> {
        Socket::reach(place).map(Self::on)
    }

    fn on(socket: Socket) -> Self {
        Self {
            socket,
            buffer: vec![0; ROOM],
            begin: 0,
            end: 0,
            gathers: false,
            is_drained: false,
            pause: MIN_PAUSE,
        }
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Result<Message<'_>> {
        let (tag, body) = loop {
            let there = self.buffer.get(self.begin..self.end).unwrap_or_default();
            let whole = match Header::parse(there)? {
                Some(header) => {
                    let length = usize::try_from(header.len()).unwrap_or_default() + 1;
                    if length <= there.len() {
                        break (header.tag(), self.begin + HEAD..self.begin + length);
                    }
                    length
                }
                None => HEAD,
            };
            self.fill(whole)?;
        };
        self.begin = body.end;
        let body = self.buffer.get(body).unwrap_or_default();
        Ok(Message { tag, body })
    }

    /// Sends what `write` makes.
    pub(super) fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
        let mut message = BytesMut::new();
        write(&mut message)?;
        self.socket.write(&message)
    }

    /// Whether much is still to come, so that a socket that was read empty is left to fill for a moment.
    pub(super) fn gather(&mut self, much: bool) {
        self.gathers = much;
    }

    /// From now on the server may take its time: whoever waits has a [`Cut`].
    pub(super) fn wait_for_ever(&self) -> Result<()> {
        self.socket.ends_at_once(true)?;
        self.socket.wait(None)
    }

    /// Takes leave, as the server expects of whoever has nothing more to ask.
    pub(super) fn end(&mut self) -> Result<()> {
        self.socket.ends_at_once(false)?;
        self.send(|message| {
            terminate(message);
            Ok(())
        })
    }

    /// What ends these messages from elsewhere.
    pub(super) fn cut(&self) -> Result<Cut> {
        Ok(Cut(self.socket.twin()?))
    }

    /// Reads on; there is room for a message of `whole` bytes then.
    fn fill(&mut self, whole: usize) -> Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.buffer.len() < whole {
            self.buffer.resize(whole, 0);
        }
        let pauses = self.gathers && self.is_drained;
        if pauses {
            #[expect(
                clippy::disallowed_methods,
                reason = "a line's thread is its own, and waits for nothing that could be told to it"
            )]
            std::thread::sleep(self.pause);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = match self.socket.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(err) if err.kind() == ErrorKind::Interrupted => 0,
            read => read?,
        };
        self.is_drained = read < room.len();
        if pauses {
            self.pause = next_pause(self.pause, read);
        }
        self.end += read;
        Ok(())
    }
}

/// How long to wait next, where so many bytes came during `pause`.
fn next_pause(pause: Duration, came: usize) -> Duration {
    let came = u32::try_from(came.max(1)).unwrap_or(u32::MAX);
    (pause * GATHERED / came).clamp(MIN_PAUSE, MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::{MIN_PAUSE, Messages, ROOM, Socket, next_pause};

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    /// Messages that come in pieces of `piece` bytes, and how their end is told.
    fn come(bytes: Vec<u8>, piece: usize, gathers: bool) -> (Vec<(u8, Vec<u8>)>, ErrorKind) {
        let (here, mut there) = UnixStream::pair().unwrap();
        let sending = thread::spawn(move || {
            for piece in bytes.chunks(piece) {
                there.write_all(piece).unwrap();
            }
        });
        let mut messages = Messages::on(Socket::Unix(here));
        messages.gather(gathers);
        let mut came = Vec::new();
        let end = loop {
            match messages.next() {
                Ok(message) => came.push((message.tag, message.body.to_vec())),
                Err(err) => break err.kind(),
            }
        };
        sending.join().unwrap();
        (came, end)
    }

    #[test]
    fn messages_are_whole_however_they_come_and_however_long_they_are() {
        let bodies = [
            vec![],
            vec![1; 10],
            vec![2; ROOM],
            vec![3; 3 * ROOM],
            vec![4],
        ];
        let sent: Vec<(u8, Vec<u8>)> = bodies.into_iter().map(|body| (b'd', body)).collect();
        let bytes: Vec<u8> = sent
            .iter()
            .flat_map(|(tag, body)| message(*tag, body))
            .collect();
        for (piece, gathers) in [(7_919, false), (8_192, true), (10 * ROOM, true)] {
            let (came, end) = come(bytes.clone(), piece, gathers);
            assert!(came == sent, "pieces of {piece}");
            assert_eq!(end, ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_line_that_breaks_off_and_one_that_is_none_are_errors() {
        let whole = message(b'd', b"a row");
        for (bytes, expected) in [
            (whole[..7].to_vec(), ErrorKind::UnexpectedEof),
            (whole[..3].to_vec(), ErrorKind::UnexpectedEof),
            (b"d\0\0\0\x03".to_vec(), ErrorKind::InvalidData),
            (b"d\xff\xff\xff\xff".to_vec(), ErrorKind::InvalidData),
        ] {
            let (came, end) = come(bytes.clone(), 4, false);
            assert_eq!((came, end), (vec![], expected), "{bytes:?}");
        }
    }

    #[test]
    fn the_pause_becomes_as_long_as_the_server_takes_to_send_what_is_to_be_gathered() {
        for (bytes_a_millisecond, expected) in [
            (96 << 10, 1_000),
            (192 << 10, 500),
            (1, 2_000),
            (96 << 20, 50),
        ] {
            let mut pause = MIN_PAUSE;
            for _ in 0..10 {
                let came =
                    bytes_a_millisecond * usize::try_from(pause.as_micros()).unwrap() / 1_000;
                pause = next_pause(pause, came);
            }
            let off = pause.abs_diff(Duration::from_micros(expected));
            assert!(
                off < Duration::from_micros(5),
                "{bytes_a_millisecond}: {pause:?}"
            );
        }
    }

    #[test]
    fn a_cut_ends_whoever_waits() {
        let (here, _there) = UnixStream::pair().unwrap();
        let mut messages = Messages::on(Socket::Unix(here));
        let cut = messages.cut().unwrap();
        let waiting = thread::spawn(move || messages.next().map(drop).unwrap_err().kind());
        drop(cut);
        assert_eq!(waiting.join().unwrap(), ErrorKind::UnexpectedEof);
    }
}
