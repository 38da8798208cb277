//! Our administrator gives: a new connection, made here and registered with the peer.
//!
//! Invariant: the row is stored, with the token sealed, before the peer hears of it, so that a crash in between
//! is repaired by the healing loop; the peer's refusal leaves no row.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::secret::{Secret, new_token, token_hash};
use crate::model::connection::{Auth, Connection, Direction, Identity, Status, Totals};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::remote::{RegisterRequest, RemoteError};
use crate::store::{RegistrationAnswer, StoreError};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::decide::existing;
use crate::sync::connections::edit::checked_name;
use crate::sync::connections::grant::checked_grant;
use crate::sync::connections::register::insert_under_free_name;
use crate::sync::connections::words::{cleaned, remote_site};
use crate::sync::{Actor, Ctx, SyncError};

/// A connection our administrator makes: this site gives.
#[derive(Debug)]
pub struct NewConnection {
    /// The peer's.
    pub url: String,
    /// Ours for it; default: made from the URL's host.
    pub name: Option<String>,
    /// What it may see.
    pub grant: Grant,
    /// Where the peer asks for one.
    pub password: Option<Secret<String>>,
}

/// How long a person waits for the peer's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// While a person waits, the healing loop leaves the new row alone.
const HEALING_WAITS: SignedDuration = SignedDuration::from_secs(30);

/// Makes a connection and registers it with the peer; a refusal leaves no row.
///
/// # Errors
/// The peer's refusal, or why it could not be asked. Unreachable: no row either.
pub async fn give(ctx: &Ctx, new: NewConnection, actor: &Actor) -> Result<Connection, SyncError> {
    let url = checked_url(ctx, &new.url)?;
    let name = new.name.as_deref().map(checked_name).transpose()?;
    let grant = checked_grant(ctx, new.grant).await?;
    ctx.remote.check_token_may_cross(&url).await?;
    let token = new_token().map_err(StoreError::from)?;
    let hash = token_hash(token.expose());
    let is_named = name.is_some();
    let name = name.or_else(|| cleaned(url.host())).unwrap_or_default();
    let row = given(url, name, grant, actor);
    let row = if is_named {
        ctx.store
            .insert_connection(&row, &hash, Some(&token))
            .await?;
        row
    } else {
        insert_under_free_name(ctx, row, &hash, Some(&token)).await?
    };
    let call = send_registration(ctx, &row, &token, new.password.as_ref());
    let answer = tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| {
            Err(RemoteError::Unreachable {
                host: row.url.host().to_owned(),
                reason: format!("no answer within {} seconds", PATIENCE.as_secs()),
            })
        });
    match answer {
        Ok(answer) => {
            ctx.store
                .set_registered(row.id, &answer, Timestamp::now())
                .await?
        }
        Err(err) => {
            ctx.store.forget_connection(row.id).await?;
            return Err(err.into());
        }
    }
    let detail = Some(format!("{} at {}", row.name, row.url));
    ctx.audit(actor, "connection.create", &row.id.to_string(), detail)
        .await;
    existing(ctx, row.id).await
}

/// Registers `connection` with its peer. Repeating it with the same token changes nothing there.
///
/// # Errors
/// The peer's refusal, or why it could not be asked.
pub(super) async fn send_registration(
    ctx: &Ctx,
    connection: &Connection,
    token: &Secret<String>,
    password: Option<&Secret<String>>,
) -> Result<RegistrationAnswer, RemoteError> {
    ctx.remote.check_token_may_cross(&connection.url).await?;
    let mut peer = ctx
        .remote
        .peer(&connection.url, connection.remote_prefix.as_deref())?;
    peer.find_prefix().await?;
    let answer = peer
        .register(&RegisterRequest {
            sender_url: ctx.config.site.url.to_string(),
            connection_name: ctx.config.site.name.clone(),
            auth_token: token,
            password,
            evenkeel: ctx.hello(),
        })
        .await?;
    Ok(RegistrationAnswer {
        remote_status: remote_status(&answer.connection_status),
        remote: answer.evenkeel.as_ref().and_then(remote_site),
        remote_prefix: peer.prefix().unwrap_or_default().to_owned(),
    })
}

/// A word this version does not know counts as pending: nothing flows on a guess.
fn remote_status(word: &str) -> Status {
    match word.parse() {
        Ok(Status::Revoked) => Status::Severed,
        Ok(status) => status,
        Err(_) => Status::Pending,
    }
}

fn given(url: PeerUrl, name: String, grant: Grant, actor: &Actor) -> Connection {
    let now = Timestamp::now();
    Connection {
        id: ConnectionId::generate(),
        name,
        direction: Direction::Sender,
        url,
        remote_prefix: None,
        local_status: Status::Active,
        remote_status: Status::Pending,
        status_reason: None,
        auth: Auth::TokenHash,
        // Only a site that answers at this URL can make the row stay.
        identity: Identity::Proved,
        requested_from: None,
        grant,
        remote: None,
        created_at: now,
        approved_at: Some(now),
        approved_by: Some(actor.name.clone()),
        last_contact_at: None,
        unreachable_since: None,
        next_attempt_at: now.checked_add(HEALING_WAITS).ok(),
        totals: Totals::default(),
        epoch: 0,
        acked_epoch: 0,
        registered: false,
        peer_deleted: false,
        deleted_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_answer_to_a_registration_counts_as_pending() {
        let read = |word: &str| remote_status(word);
        assert_eq!(read("active"), Status::Active);
        assert_eq!(read("pending"), Status::Pending);
        assert_eq!(read("revoked"), Status::Severed);
        assert_eq!(read("on_hold"), Status::Pending);
    }
}
