//! The accept loops in place: a tiny router on real sockets.

mod http2;
mod tls;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Audience, CallerAddress, CallerProcess, Terms, bind_unix, serve_tcp, serve_unix};
use crate::base::task::Tasks;
use crate::config::{Limits, Live, LiveSettings};

const LONG: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn limits() -> Limits {
    Limits {
        max_body_bytes: 1_000,
        header_timeout: LONG,
        body_timeout: LONG,
        drain_timeout: LONG,
    }
}

fn terms(limits: Limits) -> Terms {
    Terms {
        audience: Audience::People,
        max_connections: 8,
        settings: LiveSettings::new(Live::with(limits)),
        tls: None,
    }
}

/// A listener under test, and what stops it.
struct Listening {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Listening {
    async fn start(router: Router, terms: Terms) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), Tasks::default());
        let until = stop.clone();
        let serving = tasks.clone();
        let ended = tasks.spawn("listener", async move {
            serve_tcp(listener, router, terms, until, &serving).await;
        });
        Self {
            address,
            stop,
            ended,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(LONG, self.ended)
            .await
            .unwrap()
            .unwrap();
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// Everything until the other end closes; a reset counts as closing.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("the connection is closed in time"));
    String::from_utf8(bytes).unwrap()
}

async fn until_it_says(stream: &mut TcpStream, word: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(word) {
        let read = tokio::time::timeout(LONG, stream.read_buf(&mut seen)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "closed before {word}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off_in_time() {
    let bounds = Limits {
        header_timeout: Duration::from_millis(200),
        ..limits()
    };
    let listening = Listening::start(hello(), terms(bounds)).await;
    let mut stream = listening.connect().await;
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    let mut byte = [0];
    loop {
        // Each byte in time by itself: only the whole head is late.
        let answer = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
        let closed = matches!(answer, Ok(Ok(0) | Err(_)));
        if closed || stream.write_all(b"a").await.is_err() {
            break;
        }
        assert!(begun.elapsed() < LONG, "still open");
    }
    listening.end().await;
}

#[tokio::test]
async fn a_connection_that_idles_between_requests_is_closed() {
    let bounds = Limits {
        header_timeout: Duration::from_millis(100),
        ..limits()
    };
    let listening = Listening::start(hello(), terms(bounds)).await;
    let mut stream = listening.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    until_it_says(&mut stream, "hello").await;
    rest(&mut stream).await;
    listening.end().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed_at_once_and_a_free_slot_is_used_again() {
    let bounds = Terms {
        max_connections: 1,
        ..terms(limits())
    };
    let listening = Listening::start(hello(), bounds).await;
    let mut first = listening.connect().await;
    first.write_all(REQUEST).await.unwrap();
    until_it_says(&mut first, "hello").await;
    let mut second = listening.connect().await;
    assert_eq!(rest(&mut second).await, "");
    drop(first);
    let begun = Instant::now();
    loop {
        let mut third = listening.connect().await;
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        drop(third.write_all(request).await);
        if rest(&mut third).await.contains("hello") {
            break;
        }
        assert!(begun.elapsed() < LONG, "the slot is not free again");
    }
    listening.end().await;
}

/// A router whose handler says when it began and waits to be released.
fn gated(begun: &Arc<Notify>, release: &Arc<Notify>) -> Router {
    let (begun, release) = (Arc::clone(begun), Arc::clone(release));
    let handler = move || async move {
        begun.notify_one();
        release.notified().await;
        "finished"
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_daemon_stops_and_new_ones_find_nobody() {
    let (begun, release) = (Arc::default(), Arc::default());
    let listening = Listening::start(gated(&begun, &release), terms(limits())).await;
    let mut stream = listening.connect().await;
    let mut idle = listening.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    listening.stop.cancel();
    rest(&mut idle).await;
    let waiting = Instant::now();
    while TcpStream::connect(listening.address).await.is_ok() {
        assert!(waiting.elapsed() < LONG, "the listener is still open");
    }
    release.notify_one();
    assert!(rest(&mut stream).await.ends_with("finished"));
    listening.end().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_at_the_deadline() {
    let (begun, release) = (Arc::default(), Arc::default());
    let bounds = Limits {
        drain_timeout: Duration::from_millis(100),
        ..limits()
    };
    let listening = Listening::start(gated(&begun, &release), terms(bounds)).await;
    let mut stream = listening.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    listening.stop.cancel();
    assert_eq!(rest(&mut stream).await, "");
    listening.end().await;
}

#[tokio::test]
async fn a_request_knows_the_address_it_came_from() {
    let handler = async |Extension(from): Extension<CallerAddress>| from.0.to_string();
    let router = Router::new().route("/", get(handler));
    let listening = Listening::start(router, terms(limits())).await;
    let mut stream = listening.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    until_it_says(&mut stream, "127.0.0.1").await;
    drop(stream);
    listening.end().await;
}

#[tokio::test]
async fn a_socket_serves_its_group_knows_the_process_and_goes_with_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    // What an earlier daemon left behind is replaced.
    drop(bind_unix(&path).unwrap());
    let listener = bind_unix(&path).unwrap();
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    assert!(bind_unix(&path).is_err(), "somebody listens there");
    let handler =
        async |Extension(process): Extension<CallerProcess>| format!("user {}.", process.uid);
    let router = Router::new().route("/", get(handler));
    let (stop, tasks) = (CancellationToken::new(), Tasks::default());
    let (until, serving) = (stop.clone(), tasks.clone());
    let ended = tasks.spawn("listener", async move {
        serve_unix(listener, router, terms(limits()), until, &serving).await;
    });
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(
        answer.ends_with(&format!("user {}.", file.uid())),
        "{answer}"
    );
    stop.cancel();
    tokio::time::timeout(LONG, ended).await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    std::fs::write(&path, "precious").unwrap();
    assert!(bind_unix(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
