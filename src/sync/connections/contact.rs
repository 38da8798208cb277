//! Whether a peer is there: it answered or called, or did not, and when it is called next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::backoff::spread_after;
use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::sync::{Ctx, SyncError};

const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Contact is noted at most this often, so that reading does not write each time.
const CONTACT_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// An authenticated call came: the peer is there.
///
/// # Errors
/// Only our own state's.
pub async fn note_contact(
    ctx: &Ctx,
    connection: &Connection,
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_recent = connection
        .last_contact_at
        .is_some_and(|last| now.duration_since(last) < CONTACT_EVERY);
    if !is_recent {
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

/// Notes that a call to the peer was given up after `waited`.
///
/// # Errors
/// Only our own state's.
pub async fn note_no_answer(
    ctx: &Ctx,
    connection: &Connection,
    waited: Duration,
) -> Result<(), SyncError> {
    let err = RemoteError::no_answer(&connection.url, waited);
    note_failure(ctx, connection, &err, Timestamp::now()).await
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
    let next = spread_after(now, pause_after(silent_for, asked_for));
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
