//! What a peer says of its side of a connection, and what we answer about ours.
//!
//! Invariant: nothing here touches `local_status`: a peer can end or pause a connection, never lift what we decided.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Direction, Status};
use crate::store::{PeerWord, StoreError};
use crate::sync::connections::tell::note_presence;
use crate::sync::{Actor, Ctx};

/// Contact is noted at most this often, so that reading does not write each time.
const CONTACT_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// The peer set its status to `status` (active, suspended or revoked).
///
/// # Errors
/// Only our own state's.
pub async fn hear_status(
    ctx: &Ctx,
    connection: &Connection,
    status: Status,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let word = match status {
        Status::Revoked => PeerWord {
            status: Status::Severed,
            deleted: false,
            // What it never let in it did not revoke.
            reason: Some(
                match connection.remote_status {
                    Status::Pending => "rejected by the peer's administrator",
                    _ => "revoked by the peer's administrator",
                }
                .to_owned(),
            ),
        },
        status => PeerWord {
            status,
            deleted: false,
            reason: None,
        },
    };
    if word.status == connection.remote_status {
        return note_contact(ctx, connection, now).await;
    }
    ctx.store.set_peer_word(connection.id, &word, now).await?;
    ctx.audit(
        actor,
        "connection.peer_status",
        &connection.id.to_string(),
        Some(status.to_string()),
    )
    .await;
    // What waits for this connection may go on now.
    ctx.runner.wake();
    ctx.alerter.wake();
    Ok(())
}

/// The peer deleted its side: it is not found by the peer's calls from now on, the history stays.
///
/// # Errors
/// Only our own state's.
pub async fn hear_deletion(
    ctx: &Ctx,
    connection: &Connection,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let word = PeerWord {
        status: Status::Severed,
        deleted: true,
        reason: Some("deleted by the peer's administrator".to_owned()),
    };
    ctx.store.set_peer_word(connection.id, &word, now).await?;
    ctx.audit(
        actor,
        "connection.peer_delete",
        &connection.id.to_string(),
        None,
    )
    .await;
    ctx.alerter.wake();
    Ok(())
}

/// The status a receiver is told of the row on which we give. Its asking confirms a row that our own administrator
/// made or approved; it never stands in for that approval.
///
/// # Errors
/// Only our own state's.
pub async fn tell_status(
    ctx: &Ctx,
    connection: &Connection,
    actor: &Actor,
    now: Timestamp,
) -> Result<Status, StoreError> {
    if is_confirmed_by_asking(connection) {
        hear_status(ctx, connection, Status::Active, actor, now).await?;
        return Ok(connection.local_status);
    }
    note_contact(ctx, connection, now).await?;
    Ok(connection.status())
}

fn is_confirmed_by_asking(connection: &Connection) -> bool {
    connection.direction == Direction::Sender
        && connection.local_status == Status::Active
        && connection.remote_status == Status::Pending
}

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
