//! A peer that misbehaves on one endpoint: everything else is answered by the real site behind it. Or one that does not
//! sign, because it is of an earlier version.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::http::{Address, Answer, Request};

/// A listener on a free loopback port.
pub struct Impostor {
    address: SocketAddr,
    spoilt: Arc<Mutex<Option<Spoilt>>>,
}

struct Spoilt {
    endpoint: &'static str,
    with: Spoil,
}

enum Spoil {
    /// These bytes instead.
    Answer(Vec<u8>),
    /// The real answer, its headers and body altered.
    Alter(Alteration),
}

/// What the site behind is told instead of a request's body.
type Understood = fn(Vec<u8>) -> Vec<u8>;

/// What becomes of a real answer.
pub type Alteration = fn(&mut Answer);

impl Impostor {
    /// Stands before the site at this loopback port, and answers as it does.
    pub fn before(port: u16) -> Self {
        Self::serving(port, |body| body)
    }

    /// Stands before the site at this loopback port as if it were of a version that does not sign: what it is told of
    /// signing it does not understand.
    pub fn of_earlier_version(port: u16) -> Self {
        Self::serving(port, |body| {
            let text = String::from_utf8(body).expect("JSON");
            text.replace("\"receipt_key\"", "\"of_later_version\"")
                .into_bytes()
        })
    }

    /// Stands before the site at this loopback port as if it were of a version that cannot be asked for access.
    pub fn without_wishes(port: u16) -> Self {
        Self::serving(port, |body| {
            let text = String::from_utf8(body).expect("JSON");
            text.replace("\"wants\"", "\"of_later_version\"")
                .into_bytes()
        })
    }

    fn serving(port: u16, understood: Understood) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let spoilt = Arc::new(Mutex::new(None));
        let state = Arc::clone(&spoilt);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // Whoever asks may go away at any time.
                thread::spawn(move || drop(serve(client, (port, understood), &state)));
            }
        });
        Self { address, spoilt }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, requests whose path ends with `endpoint` get exactly these bytes, and the connection is closed.
    pub fn answer(&self, endpoint: &'static str, answer: &[u8]) {
        self.spoil(endpoint, Spoil::Answer(answer.to_vec()));
    }

    /// From now on, the real answers of `endpoint` are altered so.
    pub fn alter(&self, endpoint: &'static str, alteration: Alteration) {
        self.spoil(endpoint, Spoil::Alter(alteration));
    }

    fn spoil(&self, endpoint: &'static str, with: Spoil) {
        *self.spoilt.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Spoilt { endpoint, with });
    }
}

fn serve(
    client: TcpStream,
    (port, understood): (u16, Understood),
    spoilt: &Mutex<Option<Spoilt>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines
        .first()
        .map(|line| line.split(' '))
        .into_iter()
        .flatten();
    let (method, target) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    let mut request = Request::new(method, target);
    let mut length = 0;
    for (name, value) in lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
    {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "host" | "connection" => {}
            _ => request = request.header(name, value),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = request.body(understood(body));
    let is_planned = |spoilt: &&Spoilt| target.ends_with(spoilt.endpoint);
    let (planned, alteration) = {
        let spoilt = spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        match spoilt
            .as_ref()
            .filter(is_planned)
            .map(|spoilt| &spoilt.with)
        {
            Some(Spoil::Answer(answer)) => (Some(answer.clone()), None),
            Some(Spoil::Alter(alteration)) => (None, Some(*alteration)),
            None => (None, None),
        }
    };
    let answer = match planned {
        Some(answer) => answer,
        None => forwarded(&request, port, alteration)?,
    };
    let mut client = client;
    client.write_all(&answer)?;
    client.shutdown(std::net::Shutdown::Write)
}

fn forwarded(
    request: &Request,
    port: u16,
    alteration: Option<Alteration>,
) -> std::io::Result<Vec<u8>> {
    let mut answer = request.send(&Address::Tcp((Ipv4Addr::LOCALHOST, port).into()))?;
    if let Some(alter) = alteration {
        alter(&mut answer);
    }
    let mut wire = format!("HTTP/1.1 {} Forwarded\r\n", answer.status);
    for (name, value) in &answer.headers {
        if !matches!(
            name.as_str(),
            "transfer-encoding" | "content-length" | "connection"
        ) {
            wire.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    wire.push_str(&format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        answer.body.len()
    ));
    Ok([wire.into_bytes(), answer.body].concat())
}
