//! Asking the peer, at an administrator's word, what it thinks of a connection.
//!
//! Invariant: only the exact answer that it is gone severs, and what was severed so lifts when the peer knows it again.

use jiff::Timestamp;

use crate::model::connection::{Connection, Direction, Status};
use crate::model::id::ConnectionId;
use crate::remote::{RemoteError, Verified};
use crate::store::{PeerWord, StoreError};
use crate::sync::connections::lookup::existing;
use crate::sync::connections::tell::{note_failure, note_presence, reached, tell_peer};
use crate::sync::{Actor, Ctx, SyncError};

/// Why a connection is severed that the peer said it does not know.
const UNKNOWN_THERE: &str = "the peer does not know this connection any more";

/// What the peer answered.
struct Findings {
    verified: Verified,
    /// On a receiver row that is not pending: the status the sender gives.
    status: Option<Status>,
    prefix: Option<String>,
}

/// Asks the peer what it thinks of the connection, and notes it.
///
/// # Errors
/// When there is no such connection, or the peer cannot be asked.
pub async fn verify(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<Connection, SyncError> {
    let known = existing(ctx, id).await?;
    let now = Timestamp::now();
    if !known.registered {
        tell_peer(ctx, &known, now).await?;
        return existing(ctx, id).await;
    }
    match ask(ctx, &known).await? {
        Ok(findings) => {
            note_presence(ctx, &known, findings.prefix.as_deref(), now).await?;
            if findings.verified == Verified::Exists {
                ctx.store.set_proved(id, &known.url).await?;
            }
            if let Some(word) = word(&known, &findings) {
                ctx.store.set_peer_word(id, &word, now).await?;
                ctx.runner.wake();
            }
        }
        Err(err) => {
            note_failure(ctx, &known, &err, now).await?;
            return Err(err.into());
        }
    }
    ctx.audit(actor, "connection.verify", &id.to_string(), None)
        .await;
    existing(ctx, id).await
}

async fn ask(ctx: &Ctx, known: &Connection) -> Result<Result<Findings, RemoteError>, SyncError> {
    let hash =
        ctx.store.credentials(known.id).await?.ok_or_else(|| {
            StoreError::Corrupt(format!("connection {} has no token hash", known.id))
        })?;
    let own_url = &ctx.config.site.url;
    // Asking for its status confirms a PhoenixKit sender's row: not before our administrator approved ours.
    let asks_status =
        known.direction == Direction::Receiver && known.local_status != Status::Pending;
    let answers = async {
        let peer = reached(ctx, known).await?;
        let verified = peer.verify(own_url, &hash).await?;
        let status = if asks_status && verified == Verified::Exists {
            peer.connection_status(own_url, &hash).await?
        } else {
            None
        };
        Ok(Findings {
            verified,
            status,
            prefix: peer.prefix().map(str::to_owned),
        })
    };
    Ok(answers.await)
}

/// What the answers change of the peer's word, if anything.
fn word(known: &Connection, findings: &Findings) -> Option<PeerWord> {
    let (status, reason) = match (findings.verified, findings.status) {
        (Verified::Gone, _) => (Status::Severed, Some(UNKNOWN_THERE.to_owned())),
        // The sender's word includes ours: our own suspension that comes back says nothing of its own.
        (Verified::Exists, Some(status)) if is_echo(known, status) => return None,
        (Verified::Exists, Some(Status::Revoked | Status::Severed)) => {
            (Status::Severed, Some("ended by the peer".to_owned()))
        }
        (Verified::Exists, Some(status)) => (status, None),
        (Verified::Exists, None) if known.status_reason.as_deref() == Some(UNKNOWN_THERE) => {
            (Status::Active, None)
        }
        (Verified::Exists, None) => return None,
    };
    (status != known.remote_status).then_some(PeerWord {
        status,
        deleted: false,
        reason,
    })
}

fn is_echo(known: &Connection, status: Status) -> bool {
    match known.local_status {
        Status::Active => false,
        Status::Revoked => matches!(status, Status::Revoked | Status::Severed),
        local => local == status,
    }
}
