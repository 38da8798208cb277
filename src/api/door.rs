//! One listener's connections: admitted while there is a slot, encrypted if the listener is, and driven to their end.
//!
//! Knows no route. Invariants: a slot is taken before anything is read; every wait of a connection has an end; HTTP/2 is
//! spoken only where both sides agreed on it in the handshake, never guessed from bytes.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{Extensions, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::api::Audience;
use crate::api::caller::{CallerAddress, CallerProcess, Link};
use crate::api::metrics::Traffic;
use crate::api::stall::{Patience, Stallable};
use crate::api::stream::{Streams, Wait, Watched};
use crate::api::tls::HTTP_2;
use crate::base::cause::last_cause;
use crate::base::task::Tasks;
use crate::config::LiveSettings;

const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 << 10;
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// Streams of one HTTP/2 connection at once; those of all together are bounded by the connections that are allowed.
const MAX_STREAMS: u32 = 32;
/// Streams that a caller resets before they were looked at, and ones we reset: beyond this the connection ends.
const MAX_RESET_STREAMS: usize = 20;
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// What one listener goes by.
#[derive(Clone)]
pub struct Terms {
    /// Who is served; for metrics and logs.
    pub audience: Audience,
    /// Connections at a time; further ones are closed at once.
    pub max_connections: usize,
    /// The bounds of time, as they are when a connection comes.
    pub settings: LiveSettings,
    /// Encrypts what comes by network; sockets are never encrypted.
    pub tls: Option<TlsAcceptor>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Network(IpAddr),
    Process(CallerProcess),
}

impl Origin {
    fn note(self, extensions: &mut Extensions, link: Link) {
        match self {
            Self::Network(address) => {
                extensions.insert(CallerAddress(address));
                extensions.insert(link);
            }
            Self::Process(process) => drop(extensions.insert(process)),
        }
    }
}

/// One listener's connections.
pub(super) struct Door {
    terms: Terms,
    visits: Visits,
    slots: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(router: Router, terms: Terms, tasks: Tasks) -> Self {
        let max = terms.max_connections;
        Self {
            visits: Visits {
                router,
                audience: terms.audience,
                requests: Arc::new(Semaphore::new(max)),
                closing: CancellationToken::new(),
                cut: CancellationToken::new(),
                tasks,
            },
            slots: Arc::new(Semaphore::new(max)),
            terms,
        }
    }

    /// Serves one connection in a task of its own, if there is a slot for it.
    pub(super) fn admit<S>(&self, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let audience = self.terms.audience;
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            Traffic::of_process().turned_away(audience);
            tracing::debug!(%audience, "too many connections: one was closed at once");
            return;
        };
        let limits = &self.terms.settings.now().limits;
        let visit = Visit {
            all: self.visits.clone(),
            origin,
            header_timeout: limits.header_timeout,
            answer_timeout: limits.body_timeout,
        };
        let tls = match origin {
            Origin::Network(_) => self.terms.tls.clone(),
            Origin::Process(_) => None,
        };
        self.visits.tasks.spawn("connection", async move {
            let _open = Traffic::of_process().opened(audience);
            let cut = visit.all.cut.clone();
            if let Some(Err(reason)) = cut.run_until_cancelled(visit.serve(stream, tls)).await {
                tracing::debug!(%audience, reason, "a connection broke off");
            }
            drop(slot);
        });
    }

    /// Lets requests under way finish, and cuts those that do not in time.
    pub(super) async fn drain(self) {
        let (audience, max) = (self.terms.audience, self.terms.max_connections);
        let patience = self.terms.settings.now().limits.drain_timeout;
        self.visits.closing.cancel();
        let all = u32::try_from(max).unwrap_or(u32::MAX);
        if timeout(patience, self.slots.acquire_many(all))
            .await
            .is_err()
        {
            let open = max.saturating_sub(self.slots.available_permits());
            tracing::warn!(%audience, open, "requests were cut: they did not end within limits.drain_timeout");
            self.visits.cut.cancel();
        }
    }
}

/// What the connections of one listener share.
#[derive(Clone)]
struct Visits {
    router: Router,
    audience: Audience,
    /// Requests on HTTP/2 at once: without it, each connection would count many times.
    requests: Arc<Semaphore>,
    closing: CancellationToken,
    cut: CancellationToken,
    tasks: Tasks,
}

/// One connection.
struct Visit {
    all: Visits,
    origin: Origin,
    /// How long a handshake and a request's head may take, and how long a connection may idle between requests.
    header_timeout: Duration,
    /// How long a caller may take nothing of an answer; a receiver of rows has longer.
    answer_timeout: Duration,
}

impl Visit {
    /// Until the connection ends; an error says why it did not end well.
    async fn serve<S>(self, stream: S, tls: Option<TlsAcceptor>) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = Patience::default();
        let stream = Stallable::new(stream, self.answer_timeout, patience.clone());
        let Some(tls) = tls else {
            return self.http1(stream, patience, Link::Open).await;
        };
        let handshake = timeout(self.header_timeout, tls.accept(stream));
        let Some(handshake) = self.all.closing.run_until_cancelled(handshake).await else {
            return Ok(());
        };
        let stream = handshake
            .map_err(|_| "the TLS handshake took too long".to_owned())?
            .map_err(|err| format!("the TLS handshake failed: {}", last_cause(&err)))?;
        if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
            self.http2(stream).await
        } else {
            self.http1(stream, patience, Link::Encrypted).await
        }
    }

    async fn http1<S>(self, stream: S, patience: Patience, link: Link) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let origin = self.origin;
        let service = self
            .all
            .router
            .map_request(move |mut request: Request<Incoming>| {
                origin.note(request.extensions_mut(), link);
                request.extensions_mut().insert(patience.clone());
                request
            });
        let connection = http1::Builder::new()
            // Without a timer hyper cannot keep the next line.
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.all.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        ended.map_err(|err| last_cause(&err))
    }

    async fn http2<S>(self, stream: S) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = Streams::new(self.all.tasks.clone(), self.answer_timeout);
        let (all, origin) = (self.all.clone(), self.origin);
        let service = service_fn(move |request| answered(all.clone(), origin, request));
        let connection = http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            // In the middle of a head nobody can answer a ping (RFC 9113 section 4.3): one that trickles in is cut too.
            .keep_alive_interval(self.header_timeout)
            .keep_alive_timeout(self.header_timeout)
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_send_buf_size(MAX_BUFFER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|err| last_cause(&err)),
            () = self.all.closing.cancelled() => {}
            () = streams.idle_for(self.header_timeout) => {}
        }
        // The caller is told to open no more streams; one that has none open and stays is cut.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => ended.map_err(|err| last_cause(&err)),
            () = streams.idle_for(self.answer_timeout) => Err("idle, and it does not go".to_owned()),
        }
    }
}

/// One request on HTTP/2, in the task of its stream.
async fn answered(
    all: Visits,
    origin: Origin,
    mut request: Request<Incoming>,
) -> Result<Response<Watched>, Infallible> {
    let wait = Wait::of_stream();
    origin.note(request.extensions_mut(), Link::Encrypted);
    request.extensions_mut().insert(wait.patience.clone());
    let Ok(permit) = all.requests.try_acquire_owned() else {
        let words = "too many requests at once; try again in a moment";
        let mut refusal = all.audience.refusal(StatusCode::SERVICE_UNAVAILABLE, words);
        let soon = HeaderValue::from_static("1");
        refusal.headers_mut().insert(RETRY_AFTER, soon);
        return Ok(refusal.map(|body| Watched::new(body, wait, None)));
    };
    let answer = all.router.oneshot(request).await?;
    Ok(answer.map(|body| Watched::new(body, wait, Some(permit))))
}
