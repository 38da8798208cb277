//! Listening: the accept loops on TCP and on Unix sockets. What they accept goes through `door.rs`.
//!
//! Invariant: when the daemon stops, requests under way are finished or cut at the deadline.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::api::caller::CallerProcess;
use crate::api::door::{Door, Origin, Terms};
use crate::base::task::Tasks;

/// How long to wait when the system has no file handle left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `stop`, then lets requests under way finish; returns when all connections ended.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    terms: Terms,
    stop: CancellationToken,
    tasks: &Tasks,
) {
    let door = Door::new(router, terms, tasks.clone());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, from)) => {
                // Answers are small and final: without this they would wait for the next packet.
                drop(stream.set_nodelay(true));
                door.admit(stream, Origin::Network(from.ip()));
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
    terms: Terms,
    stop: CancellationToken,
    tasks: &Tasks,
) {
    let door = Door::new(router, terms, tasks.clone());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream))) {
            Ok((process, stream)) => {
                let (uid, gid) = (process.uid(), process.gid());
                door.admit(stream, Origin::Process(CallerProcess { uid, gid }));
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
