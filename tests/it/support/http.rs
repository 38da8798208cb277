//! A small blocking HTTP/1.1 client for tests: one connection per request, over TCP or a Unix socket.
//!
//! Small on purpose: it hides nothing, follows nothing, retries nothing, and can send what a proper client would not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use super::wait;

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body with the transfer coding taken off.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without body; `target` is the path and query.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string().into_bytes())
    }

    /// Sets the body as it is.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Sends the request and reads the whole answer; a connection that is refused, cut or silent is an `Err`.
    pub fn send(&self, to: &Address) -> io::Result<Answer> {
        match to {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, wait::LONG)?;
                stream.set_read_timeout(Some(wait::LONG))?;
                stream.set_nodelay(true)?;
                self.exchange(stream, &address.to_string())
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(wait::LONG))?;
                self.exchange(stream, "localhost")
            }
        }
    }

    /// As [`Self::send`], over a stream that is open already; `host` is whom the request is for.
    pub fn exchange(&self, mut stream: impl Read + Write, host: &str) -> io::Result<Answer> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        let wire = [head.as_bytes(), &self.body].concat();
        // A server that refuses early may close before the body is through; what it answered still counts.
        let sent = stream.write_all(&wire).and_then(|()| stream.flush());
        match read(&mut BufReader::new(stream)) {
            Ok(answer) => Ok(answer),
            Err(err) => Err(sent.err().unwrap_or(err)),
        }
    }
}

impl Answer {
    /// The body as JSON; panics with the body when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("{err}: {} {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// This answer, having made sure of its status; panics with the body otherwise.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

fn read(from: &mut impl BufRead) -> io::Result<Answer> {
    let first = line(from)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| broken(&format!("no status line: {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let header = line(from)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| broken(&format!("no header: {header:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    let length = answer
        .header("content-length")
        .and_then(|length| length.parse().ok());
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = chunks(from)?;
    } else if let Some(length) = length {
        answer.body = vec![0; length];
        from.read_exact(&mut answer.body)?;
    } else if !matches!(status, 100..=199 | 204 | 304) {
        from.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(from)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| broken(&format!("no chunk size: {size:?}")))?;
        let begin = body.len();
        body.resize(begin + size, 0);
        from.read_exact(&mut body[begin..])?;
        line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection was closed in mid-answer",
        ));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn broken(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[test]
fn a_chunked_answer_is_read_to_its_end() {
    let wire =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let answer = read(&mut wire.as_bytes()).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcde"));
}

#[test]
fn a_cut_answer_is_an_error() {
    for wire in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na",
    ] {
        assert!(read(&mut wire.as_bytes()).is_err(), "{wire:?}");
    }
}
