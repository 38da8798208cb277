//! Listening: the accept loops on TCP and on Unix sockets, and HTTP/1.1 on what they accept.
//!
//! Knows no route. Invariants: every wait of a connection has an end, connections are bounded, and when the daemon
//! stops, requests under way are finished or cut at the deadline.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::Audience;
use crate::api::caller::{CallerAddress, CallerProcess};
use crate::api::metrics::Traffic;
use crate::api::stall::{Patience, Stallable};
use crate::base::task::Tasks;
use crate::config::Config;

const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 << 10;
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// How long to wait when the system has no file handle left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// Who is served; for metrics and logs.
    pub audience: Audience,
    /// Connections at a time; further ones are closed at once.
    pub max_connections: usize,
    /// How long a request's head may take to arrive, and how long a connection may idle between requests.
    pub header_timeout: Duration,
    /// How long a caller may take nothing of an answer; a receiver of rows has longer.
    pub answer_timeout: Duration,
    /// How long requests under way may go on when the daemon stops.
    pub drain_timeout: Duration,
}

impl ListenLimits {
    /// As the settings say for this audience.
    #[must_use]
    pub fn of(config: &Config, audience: Audience) -> Self {
        Self {
            audience,
            max_connections: match audience {
                Audience::Peers => config.server.max_connections,
                Audience::People => config.admin.max_connections,
            },
            header_timeout: config.limits.header_timeout,
            answer_timeout: config.limits.body_timeout,
            drain_timeout: config.limits.drain_timeout,
        }
    }
}

/// Serves `router` on `listener` until `stop`, then lets requests under way finish; returns when all connections ended.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    limits: ListenLimits,
    stop: CancellationToken,
    tasks: &Tasks,
) {
    let door = Door::new(router, limits);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, from)) => {
                // Answers are small and final: without this they would wait for the next packet.
                drop(stream.set_nodelay(true));
                door.admit(stream, Origin::Network(from.ip()), tasks);
            }
            Err(err) => pause_after(&err).await,
        }
    }
    drop(listener);
    door.drain().await;
}

/// As [`serve_tcp`], on a Unix socket whose file is removed at the end.
pub async fn serve_unix(
    listener: UnixListener,
    router: Router,
    limits: ListenLimits,
    stop: CancellationToken,
    tasks: &Tasks,
) {
    let door = Door::new(router, limits);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream))) {
            Ok((process, stream)) => {
                let (uid, gid) = (process.uid(), process.gid());
                door.admit(stream, Origin::Process(CallerProcess { uid, gid }), tasks);
            }
            Err(err) => pause_after(&err).await,
        }
    }
    if let Some(path) = listener
        .local_addr()
        .ok()
        .as_ref()
        .and_then(|at| at.as_pathname())
    {
        // A socket that stays behind is replaced at the next start.
        drop(std::fs::remove_file(path));
    }
    drop(listener);
    door.drain().await;
}

/// Binds a Unix socket that only its owner and group may use; replaces one that nobody listens on any more.
///
/// # Errors
/// When another process listens there, when the file is no socket, or what the system says.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!(
                    "{} exists and is no socket; remove it or set admin.socket",
                    path.display()
                ),
            ));
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another process listens on {}", path.display()),
            ));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(err),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
enum Origin {
    Network(IpAddr),
    Process(CallerProcess),
}

impl Origin {
    fn note(self, extensions: &mut Extensions) {
        match self {
            Self::Network(address) => drop(extensions.insert(CallerAddress(address))),
            Self::Process(process) => drop(extensions.insert(process)),
        }
    }
}

/// One listener's connections.
struct Door {
    router: Router,
    limits: ListenLimits,
    slots: Arc<Semaphore>,
    graceful: GracefulShutdown,
    cut: CancellationToken,
}

impl Door {
    fn new(router: Router, limits: ListenLimits) -> Self {
        Self {
            router,
            limits,
            slots: Arc::new(Semaphore::new(limits.max_connections)),
            graceful: GracefulShutdown::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Serves one connection in a task of its own, if there is a slot for it. A handshake would go between the two.
    fn admit<S>(&self, stream: S, origin: Origin, tasks: &Tasks)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let audience = self.limits.audience;
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            Traffic::of_process().turned_away(audience);
            tracing::debug!(%audience, "too many connections: one was closed at once");
            return;
        };
        let patience = Patience::default();
        let stream = Stallable::new(stream, self.limits.answer_timeout, patience.clone());
        let service = self
            .router
            .clone()
            .map_request(move |mut request: Request<Incoming>| {
                origin.note(request.extensions_mut());
                request.extensions_mut().insert(patience.clone());
                request
            });
        let connection = http1::Builder::new()
            // Without a timer hyper cannot keep the next line.
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = self.graceful.watch(connection);
        let cut = self.cut.clone();
        tasks.spawn("connection", async move {
            let _open = Traffic::of_process().opened(audience);
            if let Some(Err(err)) = cut.run_until_cancelled(connection).await {
                tracing::debug!(%audience, %err, "a connection broke off");
            }
            drop(slot);
        });
    }

    async fn drain(self) {
        let (audience, patience) = (self.limits.audience, self.limits.drain_timeout);
        let open = self.graceful.count();
        let drained = tokio::time::timeout(patience, self.graceful.shutdown()).await;
        if drained.is_err() {
            tracing::warn!(%audience, open, "requests were cut: they did not end within limits.drain_timeout");
            self.cut.cancel();
        }
    }
}

async fn pause_after(err: &io::Error) {
    let of_the_caller = matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
    );
    if !of_the_caller {
        tracing::error!(%err, "a connection cannot be accepted; raise the limit of open files if it says so");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
