//! HTTP/2 against callers that are slow, many or hostile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::tls::Encrypted;
use super::{LONG, Limits, Router, Terms, gated, hello, limits, terms};
use crate::base::task::Tasks;

/// The preface of a connection (RFC 9113 section 3.4) and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `GET https://x/` in HPACK (RFC 7541), by the static table.
const GET: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'x'];
const POST: &[u8] = &[0x83, 0x87, 0x84, 0x41, 1, b'x'];

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A connection on which a test writes its frames itself.
struct Raw(TlsStream<TcpStream>);

impl Raw {
    async fn to(encrypted: &Encrypted) -> Self {
        let mut stream = encrypted.connect(&["h2"]).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        Self(stream)
    }

    /// Kind, stream and error code of the frames that follow, until one is as `is` says; `None` when the other end
    /// closes.
    async fn until(&mut self, is: impl Fn(u8, u32) -> bool) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            let read = tokio::time::timeout(LONG, self.0.read_exact(&mut head)).await;
            read.expect("a frame, or the end").ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if is(head[3], stream) {
                // GOAWAY begins with a stream, and may end with words.
                let code = payload.get(if head[3] == GO_AWAY { 4..8 } else { 0..4 });
                return Some(u32::from_be_bytes(code.unwrap().try_into().unwrap()));
            }
        }
    }

    async fn closed(&mut self) {
        assert_eq!(self.until(|_, _| false).await, None);
    }
}

/// A proper client, and the task that drives its connection.
async fn client(encrypted: &Encrypted) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = encrypted.connect(&["h2"]).await.unwrap();
    // Streams have their own windows; the connection's is never the bound here.
    let (requests, connection) = h2::client::Builder::new()
        .initial_connection_window_size(1 << 20)
        .handshake(stream)
        .await
        .unwrap();
    let driven = Tasks::default().spawn("client", connection);
    (requests.ready().await.unwrap(), driven)
}

fn ask(requests: &mut SendRequest<Bytes>) -> ResponseFuture {
    let request = Request::get("https://x/").body(()).unwrap();
    requests.send_request(request, true).unwrap().0
}

async fn answer(response: ResponseFuture) -> (StatusCode, String) {
    let answer = tokio::time::timeout(LONG, response).await.unwrap().unwrap();
    let status = answer.status();
    let (mut body, mut bytes) = (answer.into_body(), Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    (status, String::from_utf8(bytes).unwrap())
}

fn impatient() -> Terms {
    let short = Duration::from_millis(200);
    terms(Limits {
        header_timeout: short,
        body_timeout: short,
        ..limits()
    })
}

#[tokio::test]
async fn many_requests_are_answered_over_one_connection() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    let (mut requests, _driven) = client(&encrypted).await;
    let asked: Vec<_> = (0..7).map(|_| ask(&mut requests)).collect();
    for response in asked {
        assert_eq!(answer(response).await, (StatusCode::OK, "hello".to_owned()));
    }
    encrypted.listening.end().await;
}

#[tokio::test]
async fn who_says_nothing_or_stops_in_the_middle_of_a_head_is_cut() {
    let encrypted = Encrypted::start(hello(), impatient()).await;
    let unfinished = &frame(HEADERS, END_STREAM, 1, GET)[..];
    for (name, begun) in [
        ("no preface", &[][..]),
        ("half a preface", &PREFACE[..10]),
        ("no request", PREFACE),
        ("half a frame", &[PREFACE, &unfinished[..12]].concat()),
        ("a head without its end", &[PREFACE, unfinished].concat()),
    ] {
        let mut stream = encrypted.connect(&["h2"]).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut left = Vec::new();
        let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut left)).await;
        assert!(ended.is_ok(), "{name}: still open");
    }
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_flood_of_streams_that_are_reset_at_once_ends_the_connection() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    let mut raw = Raw::to(&encrypted).await;
    let flood: Vec<u8> = (0..500)
        .flat_map(|at| {
            let stream = 1 + 2 * at;
            let asked = frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
            [asked, frame(RESET, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .collect();
    drop(raw.0.write_all(&flood).await);
    // RFC 9113 section 7: 0xb is ENHANCE_YOUR_CALM.
    assert_eq!(raw.until(|kind, _| kind == GO_AWAY).await, Some(0xb));
    raw.closed().await;
    encrypted.listening.end().await;
}

#[tokio::test]
async fn streams_beyond_the_cap_of_a_connection_are_refused() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let wait = move || async move { released.notified().await };
    let encrypted = Encrypted::start(Router::new().route("/", post(wait)), terms(limits())).await;
    let mut raw = Raw::to(&encrypted).await;
    for at in 0..33 {
        let asked = frame(HEADERS, END_HEADERS, 1 + 2 * at, POST);
        raw.0.write_all(&asked).await.unwrap();
    }
    // 0x7 is REFUSED_STREAM; the 33rd stream is 65.
    let refused = raw
        .until(|kind, stream| kind == RESET && stream == 65)
        .await;
    assert_eq!(refused, Some(7));
    release.notify_waiters();
    drop(raw);
    encrypted.listening.end().await;
}

#[tokio::test]
async fn requests_beyond_the_cap_of_a_listener_are_told_to_come_again() {
    let (begun, release) = (Arc::default(), Arc::default());
    let router = gated(&begun, &release);
    let bounds = Terms {
        max_connections: 1,
        ..terms(limits())
    };
    let encrypted = Encrypted::start(router, bounds).await;
    let (mut requests, _driven) = client(&encrypted).await;
    let first = ask(&mut requests);
    begun.notified().await;
    let (status, words) = answer(ask(&mut requests)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{words}");
    release.notify_one();
    assert_eq!(answer(first).await.1, "finished");
    drop(requests);
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_stream_whose_caller_takes_nothing_is_cut_and_the_others_go_on() {
    let large = Router::new()
        .route("/", get(async || Body::from(vec![b'x'; 1 << 20])))
        .route("/small", get(async || "hello"));
    let encrypted = Encrypted::start(large, impatient()).await;
    let (mut requests, driven) = client(&encrypted).await;
    // Its window is never opened again after the first 64 KiB.
    let held = ask(&mut requests).await.unwrap();
    let begun = Instant::now();
    let mut body = held.into_body();
    loop {
        let request = Request::get("https://x/small").body(()).unwrap();
        let (small, _) = requests.send_request(request, true).unwrap();
        assert_eq!(answer(small).await.1, "hello");
        let piece = tokio::time::timeout(Duration::from_millis(20), body.data()).await;
        match piece {
            Ok(Some(Err(err))) => {
                assert!(err.is_reset(), "{err}");
                break;
            }
            Ok(None) => panic!("the answer is whole"),
            Ok(Some(Ok(_))) | Err(_) => {}
        }
        assert!(begun.elapsed() < LONG, "the stream is still open");
    }
    drop((requests, body));
    driven.abort();
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_daemon_stops() {
    let (begun, release) = (Arc::default(), Arc::default());
    let encrypted = Encrypted::start(gated(&begun, &release), terms(limits())).await;
    let (mut requests, driven) = client(&encrypted).await;
    let asked = ask(&mut requests);
    begun.notified().await;
    encrypted.listening.stop.cancel();
    release.notify_one();
    assert_eq!(answer(asked).await.1, "finished");
    assert!(
        tokio::time::timeout(LONG, driven)
            .await
            .unwrap()
            .unwrap()
            .is_ok()
    );
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    let (mut requests, _driven) = client(&encrypted).await;
    let request = Request::get("https://x/").header("x", "y".repeat(20_000));
    let sent = requests.send_request(request.body(()).unwrap(), true);
    let (status, _) = answer(sent.unwrap().0).await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    encrypted.listening.end().await;
}
