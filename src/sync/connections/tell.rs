//! Telling one peer what it has yet to hear, and asking one that was silent whether it is back. Delivery is state: what
//! is not acknowledged is told again.
//!
//! Invariant: idempotent; every failure is noted with the time of the next attempt.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::backoff::{jittered, random_fraction};
use crate::model::connection::{Connection, Status};
use crate::model::id::ConnectionId;
use crate::remote::{Peer, RemoteError};
use crate::store::StoreError;
use crate::sync::connections::announce::send_registration;
use crate::sync::{Actor, Ctx, SyncError};

const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Tells one peer what it has yet to hear: a registration, a decision or a deletion; one that was silent and has
/// nothing to hear is asked whether it is there. For the healing loop. Notes success or the time of the next attempt.
///
/// # Errors
/// Only our own state's.
pub async fn tell_peer(
    ctx: &Ctx,
    connection: &Connection,
    now: Timestamp,
) -> Result<(), SyncError> {
    let told = if connection.deleted_at.is_some() {
        tell_deletion(ctx, connection).await?
    } else if !connection.registered {
        tell_registration(ctx, connection, now).await?
    } else if connection.is_undelivered() {
        tell_decision(ctx, connection, now).await?
    } else if connection.unreachable_since.is_some() {
        ask_again(ctx, connection).await?
    } else {
        return Ok(());
    };
    match told {
        Ok(()) => welcome_back(ctx, connection, now).await,
        Err(err) => note_failure(ctx, connection, &err, now).await,
    }
}

/// The outer error is our own state's, the inner one the peer's.
type Told = Result<Result<(), RemoteError>, SyncError>;

async fn tell_deletion(ctx: &Ctx, connection: &Connection) -> Told {
    let hash = ctx.store.credentials(connection.id).await?;
    if let (Some(hash), true, false) = (hash, connection.registered, connection.peer_deleted) {
        let told = async {
            let peer = reached(ctx, connection).await?;
            peer.delete(&ctx.config.site.url, &hash).await
        };
        match told.await {
            Ok(()) | Err(RemoteError::Refused { status: 404, .. }) => {}
            Err(err) => return Ok(Err(err)),
        }
    }
    // The row stays, hidden, for the history that points to it.
    ctx.store.set_acked(connection.id, connection.epoch).await?;
    Ok(Ok(()))
}

async fn tell_registration(ctx: &Ctx, connection: &Connection, now: Timestamp) -> Told {
    let Some(token) = ctx.store.unsent_token(connection.id).await? else {
        tracing::error!(connection = %connection.id, "a registration without its token was given up; make the connection again");
        ctx.store.forget_connection(connection.id).await?;
        return Ok(Ok(()));
    };
    match send_registration(ctx, connection, &token, None).await {
        Ok(answer) => {
            ctx.store
                .set_registered(connection.id, &answer, now)
                .await?;
            Ok(Ok(()))
        }
        Err(
            RemoteError::Refused {
                status: 400 | 401 | 403 | 409,
                message,
                ..
            }
            | RemoteError::Unfit {
                reason: message, ..
            },
        ) => {
            // As if the refusal had come while the administrator waited: no row stays.
            ctx.store.forget_connection(connection.id).await?;
            let detail = Some(format!("{} refused: {message}", connection.url.host()));
            let subject = connection.id.to_string();
            ctx.audit(&Actor::daemon(), "connection.refused", &subject, detail)
                .await;
            Ok(Ok(()))
        }
        Err(err) => Ok(Err(err)),
    }
}

/// Any answer will do: what it says of the connection is not acted on, because one answer alone severs nothing.
async fn ask_again(ctx: &Ctx, connection: &Connection) -> Told {
    let Some(hash) = ctx.store.credentials(connection.id).await? else {
        return Ok(Ok(()));
    };
    let asked = async {
        let peer = reached(ctx, connection).await?;
        peer.verify(&ctx.config.site.url, &hash).await
    };
    match asked.await {
        Err(err) if err.is_absence() => Ok(Err(err)),
        Ok(_) | Err(_) => Ok(Ok(())),
    }
}

async fn welcome_back(ctx: &Ctx, connection: &Connection, now: Timestamp) -> Result<(), SyncError> {
    if connection.unreachable_since.is_some() && connection.deleted_at.is_none() {
        note_presence(ctx, connection, None, now).await?;
    }
    Ok(())
}

/// Notes that the peer answered or called, and below which prefix it was found. After it had been silent, what waits
/// for it goes on at once.
///
/// # Errors
/// Only our own state's.
pub async fn note_presence(
    ctx: &Ctx,
    connection: &Connection,
    prefix: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let was_silent = connection.unreachable_since.is_some();
    if was_silent {
        // Before the contact: killed in between, the peer still counts as silent, and this is done again.
        ctx.store.hurry_runs(connection.id, now).await?;
    }
    ctx.store.set_contact(connection.id, prefix, now).await?;
    if was_silent {
        ctx.runner.wake();
    }
    Ok(())
}

async fn tell_decision(ctx: &Ctx, connection: &Connection, now: Timestamp) -> Told {
    let status = connection.local_status;
    let hash = ctx.store.credentials(connection.id).await?;
    let mut prefix = None;
    if let (Some(hash), Status::Active | Status::Suspended | Status::Revoked) = (hash, status) {
        let told = async {
            let peer = reached(ctx, connection).await?;
            prefix = peer.prefix().map(str::to_owned);
            peer.update_status(&ctx.config.site.url, &hash, status)
                .await
        };
        match told.await {
            Ok(()) => {}
            // Nobody is there to hear that it ended.
            Err(RemoteError::Refused { status: 404, .. }) if status == Status::Revoked => {}
            Err(err) => return Ok(Err(err)),
        }
        ctx.store
            .set_contact(connection.id, prefix.as_deref(), now)
            .await?;
    }
    ctx.store.set_acked(connection.id, connection.epoch).await?;
    Ok(Ok(()))
}

/// The peer of `connection`, its API found.
pub(super) async fn reached(ctx: &Ctx, connection: &Connection) -> Result<Peer, RemoteError> {
    let prefix = connection.remote_prefix.as_deref();
    ctx.remote.reach(&connection.url, prefix).await
}

/// Notes that nobody was there when a run called the peer. Other faults are the run's own.
///
/// # Errors
/// Only our own state's.
pub async fn note_absence(
    ctx: &Ctx,
    id: ConnectionId,
    err: &SyncError,
    now: Timestamp,
) -> Result<(), SyncError> {
    let SyncError::Remote(err) = err else {
        return Ok(());
    };
    let connection = ctx.store.connection(id).await?;
    match connection.filter(|_| err.is_absence()) {
        Some(connection) => note_failure(ctx, &connection, err, now).await,
        None => Ok(()),
    }
}

/// Notes that a call failed and when the next one is due.
///
/// # Errors
/// Only our own state's.
pub(super) async fn note_failure(
    ctx: &Ctx,
    connection: &Connection,
    err: &RemoteError,
    now: Timestamp,
) -> Result<(), SyncError> {
    let asked_for = match err {
        RemoteError::Refused { retry_after, .. } => retry_after.map(Duration::from_secs),
        _ => None,
    };
    let silent_for = connection
        .unreachable_since
        .map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let pause = jittered(pause_after(silent_for, asked_for), random_fraction());
    let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    tracing::info!(connection = %connection.id, %err, next_attempt_at = %next, "a call to the peer failed");
    ctx.store.set_unreachable(connection.id, next, now).await?;
    Ok(())
}

/// As long again as the peer has been silent: 5 s, 5 s, 10 s, 20 s, ... at most ten minutes, unless it asked for more.
fn pause_after(silent_for: SignedDuration, asked_for: Option<Duration>) -> Duration {
    let silent_for = Duration::try_from(silent_for).unwrap_or_default();
    silent_for
        .max(asked_for.unwrap_or_default())
        .clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::{SHORTEST_PAUSE, pause_after};
    use jiff::SignedDuration;
    use std::time::Duration;

    #[test]
    fn pauses_double_from_five_seconds_to_ten_minutes() {
        let mut silent_for = SignedDuration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = pause_after(silent_for, None);
            pauses.push(pause.as_secs());
            silent_for += SignedDuration::try_from(pause).unwrap();
        }
        assert_eq!(pauses, [5, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn a_peer_that_asks_for_a_longer_pause_gets_it() {
        let asked = Some(Duration::from_secs(60));
        assert_eq!(pause_after(SignedDuration::ZERO, asked).as_secs(), 60);
        let clock_went_back = SignedDuration::from_secs(-30);
        assert_eq!(pause_after(clock_went_back, None), SHORTEST_PAUSE);
    }
}
