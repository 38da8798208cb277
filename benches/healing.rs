//! What the healing loop costs with many connections, a third of whose peers fall silent, and whether the others are seen
//! to on time.
//!
//! `cargo bench --bench healing [-- CONNECTIONS]`; 1,000. One daemon that gives, and one program that answers for all its
//! peers, signed as they would. Of the silent ones half refuse the connection and half take it and never answer.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]
#![allow(
    dead_code,
    reason = "the tests' support is written as a whole, and a figure uses a part of it"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel::base::secret::{Secret, token_hash};
use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::{Answer, ConnectionKeys, Presented, RootKey, sign_answer};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::daemon::Site;
use support::wait;

/// Below this for one pass, by `measures`.
const TO_REACH: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_secs(30);
const RECEIPT_KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// What becomes of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answers,
    Hangs,
    Refuses,
}

/// Answers for many peers at one port.
struct Peers {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    manner: Mutex<Manner>,
    /// By token hash.
    keys: Mutex<HashMap<String, ConnectionKeys>>,
    /// When which connection was exchanged.
    exchanges: Mutex<Vec<(String, Instant)>>,
}

fn main() {
    let connections: usize = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000);
    let living = connections - connections / 3;
    let silent = connections - living;
    let groups = [
        (Peers::start(), living, Manner::Answers),
        (Peers::start(), silent / 2, Manner::Hangs),
        (Peers::start(), silent - silent / 2, Manner::Refuses),
    ];
    let site = Site::builder("berlin")
        .sqlite(|_| {})
        .with("healing.interval", format!("{}s", INTERVAL.as_secs()))
        .start();
    for (peers, count, _) in &groups {
        for number in 0..*count {
            let url = format!("http://{}/p{number}", peers.address);
            let name = format!("{}-{number}", peers.address.port());
            let offer = json!({"url": url, "name": name, "grant": {"tables": "*"}});
            let made = site.post("/connections", &offer).expect(201).json();
            assert_eq!(made["auth"], "signed", "{made}");
        }
    }
    for (peers, _, manner) in &groups {
        peers.turn(*manner);
    }
    println!(
        "{connections} connections, {silent} of them to peers that fall silent; every {INTERVAL:?}"
    );
    for what in ["they fall silent", "they stay silent"] {
        let spent = window(&site, &groups[0].0, living, what);
        assert!(spent < TO_REACH, "{spent:?}, more than to reach");
    }
    println!("to reach: below {TO_REACH:?} of processor time for a pass");
}

/// One interval: each living peer is due once in it. The processor time the daemon spent.
fn window(site: &Site, peers: &Peers, living: usize, what: &str) -> Duration {
    peers.state.exchanges.lock().unwrap().clear();
    let (begun, before) = (Instant::now(), processor_time(site));
    let end = INTERVAL + Duration::from_secs(2);
    wait::until("the interval is over", wait::LONG, || {
        (begun.elapsed() >= end).then_some(())
    });
    let spent = processor_time(site) - before;
    let took = begun.elapsed();
    let exchanges = peers.state.exchanges.lock().unwrap().clone();
    let mut seen: HashMap<&str, Duration> = HashMap::new();
    for (name, at) in &exchanges {
        let waited = at.duration_since(begun);
        seen.entry(name)
            .and_modify(|first| *first = waited.min(*first))
            .or_insert(waited);
    }
    let latest = seen.values().max().copied().unwrap_or_default();
    let earliest = seen.values().min().copied().unwrap_or_default();
    println!(
        "{what}: {:.2} s of processor time in {:.0} s; {} of {living} living peers were seen to, from {:.1} to {:.1} s, {:.1} s from the first to the last",
        spent.as_secs_f64(),
        took.as_secs_f64(),
        seen.len(),
        earliest.as_secs_f64(),
        latest.as_secs_f64(),
        (latest - earliest).as_secs_f64(),
    );
    assert_eq!(seen.len(), living, "living peers were left out");
    spent
}

/// What the daemon spent so far, in the kernel and outside: fields 14 and 15 of `/proc/PID/stat`, in ticks of 10 ms.
fn processor_time(site: &Site) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.process())).unwrap();
    let fields = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

impl Peers {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            manner: Mutex::new(Manner::Answers),
            keys: Mutex::default(),
            exchanges: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if *shared.manner.lock().unwrap() == Manner::Refuses {
                    return;
                }
                let state = Arc::clone(&shared);
                // Whoever asks may go away at any time.
                thread::spawn(move || drop(state.serve(client)));
            }
        });
        Self { address, state }
    }

    fn turn(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
        if manner == Manner::Refuses {
            // Wakes the listener, so that it closes.
            drop(TcpStream::connect(self.address));
        }
    }
}

impl State {
    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        while let Some((target, headers, body)) = request(&mut reader)? {
            if *self.manner.lock().unwrap() != Manner::Answers {
                // Until the caller gives up.
                return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
            }
            let (answer, signature) = self.answer(&target, &headers, &body);
            let mut head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n",
                answer.len()
            );
            for (name, value) in signature {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            client.write_all(&[head.into_bytes(), answer].concat())?;
        }
        Ok(())
    }

    fn answer(
        &self,
        target: &str,
        headers: &HashMap<String, String>,
        body: &[u8],
    ) -> (Vec<u8>, Vec<(&'static str, String)>) {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if target.ends_with("/status") {
            let open = json!({"enabled": true, "incoming_mode": "auto_accept", "password_required": false});
            return (open.to_string().into_bytes(), vec![]);
        }
        if target.ends_with("/register-connection") {
            let token = Secret::new(asked["auth_token"].as_str().unwrap().to_owned());
            let keys = ConnectionKeys::derive(&RootKey::of_token(&token), 1);
            let name = token_hash(token.expose()).expose().clone();
            self.keys.lock().unwrap().insert(name, keys);
            let registered = json!({
                "success": true, "message": "Connection registered", "connection_status": "active",
                "connection_uuid": "0192d1c8-3b7e-7000-8000-000000000001",
                "evenkeel": {
                    "protocol": 1, "site_id": "0192d1c8-3b7e-7000-8000-000000000002", "site_name": "many",
                    "version": "0.1.0", "receipt_key": RECEIPT_KEY,
                },
            });
            return (registered.to_string().into_bytes(), vec![]);
        }
        let header = |name: &str| headers.get(name).cloned();
        let presented = Presented::read(header).unwrap().unwrap();
        let name = presented.connection.clone();
        self.exchanges
            .lock()
            .unwrap()
            .push((name.clone(), Instant::now()));
        let answer = json!({
            "success": true, "exists": true,
            "evenkeel": {"status": "active", "epoch": 1, "seen_epoch": asked["evenkeel"]["epoch"]},
        })
        .to_string()
        .into_bytes();
        let keys = self.keys.lock().unwrap()[&name].clone();
        let said = Answer {
            status: 200,
            connection: &name,
            request: presented.signature,
            body: &answer,
        };
        let key = (keys.signing(Direction::Receiver), keys.generation);
        let signature = sign_answer(key, &said, Timestamp::now().as_second());
        (answer, signature.into())
    }
}

type Asked = (String, HashMap<String, String>, Vec<u8>);

/// The next request on a connection; `None` when the caller has closed it.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers
        .get("content-length")
        .and_then(|value| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some((target, headers, body)))
}
