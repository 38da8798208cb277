//! Asking the peer, at an administrator's word, what it thinks of a connection.

use jiff::Timestamp;

use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::model::repair::Repair;
use crate::model::standing::Standing;
use crate::sync::connections::contact::note_failure;
use crate::sync::connections::lookup::existing;
use crate::sync::connections::tell::{exchange, heal};
use crate::sync::{Actor, Ctx, SyncError};

/// Tells the peer what it has yet to hear, asks it what it thinks of the connection, and notes it: as the healing loop
/// does, now.
///
/// # Errors
/// When there is no such connection, or the peer cannot be asked.
pub async fn verify(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<Connection, SyncError> {
    let known = existing(ctx, id).await?;
    if !known.registered {
        heal(ctx, &known, Repair::Register, actor).await?;
        return existing(ctx, id).await;
    }
    if Standing::from(&known).is_undelivered() {
        heal(ctx, &known, Repair::TellDecision, actor).await?;
    }
    let known = existing(ctx, id).await?;
    if let Err(err) = exchange(ctx, &known, Repair::Exchange, actor).await? {
        note_failure(ctx, &known, &err, Timestamp::now()).await?;
        return Err(err.into());
    }
    ctx.audit(actor, "connection.verify", &id.to_string(), None)
        .await;
    existing(ctx, id).await
}
