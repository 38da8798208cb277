//! Asking a peer, at the URL it claims, to prove that it is there: only the site that made the token can answer.
//!
//! Invariant: a stranger's URL is called only after a person acted on its claim, or chose `auto_accept`; and no answer
//! but the right one, on a signed connection with its signature, proves anything.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::backoff::{doubled, spread_after};
use crate::model::connection::{Connection, Decision, Identity, Status};
use crate::model::policy::IncomingMode;
use crate::remote::{RemoteError, Verified};
use crate::store::StoreError;
use crate::sync::connections::decide::decide;
use crate::sync::connections::policy::incoming_policy;
use crate::sync::connections::tell::reached;
use crate::sync::{Actor, Ctx, SyncError};

/// How long one proof may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Who approves in `auto_accept`.
const AUTO_ACCEPT: &str = "auto_accept";

/// Asks the peer of `connection`, at its URL, to prove that it is there.
///
/// # Errors
/// The outer error is our own state's; the inner one says why nothing is proved.
pub(super) async fn proof(
    ctx: &Ctx,
    connection: &Connection,
) -> Result<Result<(), RemoteError>, StoreError> {
    let Some(credentials) = ctx.store.credentials(connection.id).await? else {
        let words = format!("connection {} has no token hash", connection.id);
        return Err(StoreError::Corrupt(words));
    };
    let asked = async {
        let peer = reached(ctx, connection).await?;
        let own_url = &ctx.config.site.url;
        peer.prove(own_url, &credentials, connection.token_origin())
            .await
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    Ok(match answer {
        Ok(Ok(Verified::Exists)) => Ok(()),
        Ok(Ok(Verified::Gone)) => Err(RemoteError::Unproved {
            host: connection.url.host().to_owned(),
            reason: "it answers that it knows nothing of this connection".to_owned(),
        }),
        Ok(Err(err)) => Err(err),
        Err(_) => Err(RemoteError::no_answer(&connection.url, PATIENCE)),
    })
}

/// Has the peer of `connection` prove who it is, unless it did before.
///
/// # Errors
/// [`SyncError::Unproved`] when it does not; [`SyncError::Remote`] when its URL must not be called.
pub(super) async fn prove_identity(
    ctx: &Ctx,
    connection: &Connection,
    actor: &Actor,
) -> Result<(), SyncError> {
    if connection.identity == Identity::Proved {
        return Ok(());
    }
    ask_for_proof(ctx, connection, actor).await
}

/// The same, also of one that did.
async fn ask_for_proof(ctx: &Ctx, connection: &Connection, actor: &Actor) -> Result<(), SyncError> {
    let unproved = |reason: String| SyncError::Unproved {
        name: connection.name.clone(),
        url: connection.url.to_string(),
        reason,
    };
    match proof(ctx, connection).await? {
        Ok(()) => {}
        Err(err @ (RemoteError::Forbidden { .. } | RemoteError::Unencrypted { .. })) => {
            return Err(err.into());
        }
        Err(err) => return Err(unproved(err.to_string())),
    }
    if !ctx.store.set_proved(connection.id, &connection.url).await? {
        return Err(unproved("its URL was changed meanwhile".to_owned()));
    }
    if connection.identity == Identity::Claimed {
        let (subject, url) = (connection.id.to_string(), connection.url.to_string());
        ctx.audit(actor, "connection.proved", &subject, Some(url))
            .await;
    }
    Ok(())
}

/// Has the peer of a connection that is due prove who it is, and hear where this site is: a claim that `auto_accept` may take becomes active by it.
/// Notes when it is asked again.
///
/// # Errors
/// Only our own state's.
pub async fn prove_due(
    ctx: &Ctx,
    connection: &Connection,
    now: Timestamp,
) -> Result<(), SyncError> {
    if connection.is_claim() && incoming_policy(ctx).await?.mode != IncomingMode::AutoAccept {
        // The administrator wants to decide by now.
        ctx.store.set_unproved(connection.id, None).await?;
        return Ok(());
    }
    let actor = match connection.is_claim() {
        true => Actor {
            name: AUTO_ACCEPT.to_owned(),
            ..Actor::daemon()
        },
        false => Actor::daemon(),
    };
    match ask_for_proof(ctx, connection, &actor).await {
        Ok(()) if connection.is_claim() && connection.remote_status != Status::Severed => {
            let approve = Decision::Approve;
            match decide(ctx, connection.id, approve, None, &actor).await {
                // A person was first.
                Err(SyncError::Decision(_) | SyncError::Unknown { .. }) => Ok(()),
                decided => decided.map(drop),
            }
        }
        Ok(()) => {
            ctx.alerter.wake();
            Ok(())
        }
        Err(err @ (SyncError::Unproved { .. } | SyncError::Remote(_))) => {
            let first = ctx.live.now().healing.interval;
            let pause = doubled(first, connection.prove_attempts, LONGEST_PAUSE);
            let next = spread_after(now, pause);
            tracing::info!(connection = %connection.id, %err, next_attempt_at = %next, "a peer did not prove who it is");
            ctx.store.set_unproved(connection.id, Some(next)).await?;
            Ok(())
        }
        Err(err) => Err(err),
    }
}
