//! A peer that misbehaves on one endpoint: everything else is answered by the real site behind it. Or one that does not
//! sign, because it is of an earlier version.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use evenkeel::wire::frame::{Frame, FrameReader, FrameWriter};
use evenkeel::wire::signing::{MacKey, Nonce, Seal};

use super::http::{Address, Answer, Request};
use super::retelling::{Headers, Retelling};

/// A listener on a free loopback port.
pub struct Impostor {
    address: SocketAddr,
    spoilt: Arc<Mutex<Option<Spoilt>>>,
    token: Arc<Mutex<Option<String>>>,
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
    /// The real frames, altered and sealed again.
    Lie(MacKey, Lie),
    /// The real JSON of requests and answers, altered and signed again.
    Retell(Retelling),
}

/// What the site behind is told instead of a request's body.
type Understood = fn(Vec<u8>) -> Vec<u8>;

/// What becomes of a real answer.
pub type Alteration = fn(&mut Answer);

/// What becomes of a frame of a real answer.
pub type Lie = fn(&mut Frame);

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
        let token = Arc::new(Mutex::new(None));
        let (state, heard) = (Arc::clone(&spoilt), Arc::clone(&token));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (state, heard) = (Arc::clone(&state), Arc::clone(&heard));
                // Whoever asks may go away at any time.
                thread::spawn(move || drop(serve(client, (port, understood), (&state, &heard))));
            }
        });
        Self {
            address,
            spoilt,
            token,
        }
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

    /// From now on, the frames of `endpoint` are altered so, and sealed by whoever has the sender's `key`.
    pub fn lie(&self, endpoint: &'static str, key: &MacKey, lie: Lie) {
        self.spoil(endpoint, Spoil::Lie(key.clone(), lie));
    }

    /// From now on, the JSON of requests to `endpoint` and of their answers is altered so, and signed again.
    pub fn retell(&self, endpoint: &'static str, how: Retelling) {
        self.spoil(endpoint, Spoil::Retell(how));
    }

    /// The token that the site behind was given when it was connected.
    pub fn token(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone().expect("a registration")
    }

    fn spoil(&self, endpoint: &'static str, with: Spoil) {
        *self.spoilt.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Spoilt { endpoint, with });
    }
}

fn serve(
    client: TcpStream,
    (port, understood): (u16, Understood),
    (spoilt, heard): (&Mutex<Option<Spoilt>>, &Mutex<Option<String>>),
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
    let mut headers = Headers::new();
    let (mut length, mut nonce) = (0, None);
    for (name, value) in lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
    {
        let name = name.to_ascii_lowercase();
        if name == "signature-input" {
            let text = value
                .split("nonce=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            nonce = text.and_then(Nonce::from_text);
        }
        match name.as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "host" | "connection" => {}
            _ => headers.push((name, value.to_owned())),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if target.ends_with("register-connection") {
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = told["auth_token"].as_str().map(str::to_owned);
        *heard.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
    let mut body = understood(body);
    let is_planned = |spoilt: &&Spoilt| target.ends_with(spoilt.endpoint);
    let (mut planned, mut alteration, mut lie, mut retelling) = (None, None, None, None);
    {
        let spoilt = spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        match spoilt
            .as_ref()
            .filter(is_planned)
            .map(|spoilt| &spoilt.with)
        {
            Some(Spoil::Answer(answer)) => planned = Some(answer.clone()),
            Some(Spoil::Alter(altered)) => alteration = Some(*altered),
            Some(Spoil::Lie(key, told)) => {
                lie = nonce.map(|nonce| (Seal::of_stream(key, nonce), *told));
            }
            Some(Spoil::Retell(how)) => retelling = Some(how.clone()),
            None => {}
        }
    }
    let retelling = retelling.map(|how| {
        let first = how.ask(target, &mut headers, &mut body);
        (how, first)
    });
    let request = Request::new(method, target).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let answer = match planned {
        Some(answer) => answer,
        None => forwarded(&request, port, |answer| {
            if let Some(alter) = alteration {
                alter(answer);
            }
            if let Some((seal, lie)) = lie.filter(|_| answer.status == 200) {
                answer.body = lied(&answer.body, seal, lie);
            }
            if let Some((how, first)) = retelling {
                how.answer(first, answer);
            }
        })?,
    };
    let mut client = client;
    client.write_all(&answer)?;
    client.shutdown(std::net::Shutdown::Write)
}

/// The frames of `body`, altered and sealed again.
fn lied(body: &[u8], seal: Seal, lie: Lie) -> Vec<u8> {
    let mut reader = FrameReader::sealed_by(Some(seal.clone()));
    reader.push(body);
    let mut writer = FrameWriter::new(true).sealed_by(Some(seal));
    let mut told = Vec::new();
    while let Some(mut frame) = reader.next_frame().expect("the sender's frames") {
        lie(&mut frame);
        told.extend(writer.frame(frame.kind, frame.rows, vec![frame.payload]));
    }
    told.concat()
}

fn forwarded(
    request: &Request,
    port: u16,
    alter: impl FnOnce(&mut Answer),
) -> std::io::Result<Vec<u8>> {
    let mut answer = request.send(&Address::Tcp((Ipv4Addr::LOCALHOST, port).into()))?;
    alter(&mut answer);
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
