//! Our administrator's decisions. Each is stored first; the healing loop tells the peer.

use jiff::Timestamp;

use crate::model::connection::{self, Connection, Decision, Status};
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::remote::RemoteError;
use crate::sync::connections::lookup::existing;
use crate::sync::{Actor, Ctx, SyncError};

/// Carries out an administrator's decision and lets the peer know in the background. Repeating one changes nothing.
///
/// # Errors
/// When there is no such connection or the decision does not fit.
pub async fn decide(
    ctx: &Ctx,
    id: ConnectionId,
    decision: Decision,
    reason: Option<&str>,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let (known, status) = outcome(ctx, id, decision).await?;
    if status == known.local_status {
        return Ok(known);
    }
    if decision == Decision::Approve {
        check_may_be_called(ctx, &known.url).await?;
    }
    let reason = match decision {
        Decision::Reject => Some(reason.unwrap_or("rejected")),
        _ => reason,
    };
    let approved_by = (decision == Decision::Approve).then_some(actor.name.as_str());
    let now = Timestamp::now();
    ctx.store
        .set_local_status(id, status, reason, approved_by, now)
        .await?;
    ctx.sessions.ask_again(id);
    ctx.audit(
        actor,
        action(decision),
        &id.to_string(),
        reason.map(str::to_owned),
    )
    .await;
    ctx.healer.wake();
    // Runs of a connection that is no longer active end, those of one that became active may begin.
    ctx.runner.wake();
    existing(ctx, id).await
}

/// Whether the decision fits, without carrying it out.
///
/// # Errors
/// When there is no such connection or the decision does not fit.
pub async fn may_decide(ctx: &Ctx, id: ConnectionId, decision: Decision) -> Result<(), SyncError> {
    outcome(ctx, id, decision).await.map(drop)
}

async fn outcome(
    ctx: &Ctx,
    id: ConnectionId,
    decision: Decision,
) -> Result<(Connection, Status), SyncError> {
    let known = existing(ctx, id).await?;
    let status = connection::decide(known.local_status, known.remote_status, decision)?;
    Ok((known, status))
}

/// A peer at a URL that must not be called could neither be told of the decision nor pulled from. One whose name does
/// not resolve now may be reached later.
async fn check_may_be_called(ctx: &Ctx, url: &PeerUrl) -> Result<(), RemoteError> {
    match ctx.remote.check_token_may_cross(url).await {
        Err(err) if !err.is_unreachable() => Err(err),
        _ => Ok(()),
    }
}

/// Deletes the connection here at once and lets the peer know in the background.
///
/// # Errors
/// When there is no such connection.
pub async fn delete(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<(), SyncError> {
    let known = existing(ctx, id).await?;
    ctx.store.mark_deleted(id, Timestamp::now()).await?;
    ctx.sessions.ask_again(id);
    ctx.audit(
        actor,
        "connection.delete",
        &id.to_string(),
        Some(known.name),
    )
    .await;
    ctx.healer.wake();
    ctx.runner.wake();
    Ok(())
}

fn action(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "connection.approve",
        Decision::Reject => "connection.reject",
        Decision::Suspend => "connection.suspend",
        Decision::Reactivate => "connection.reactivate",
        Decision::Revoke => "connection.revoke",
    }
}
