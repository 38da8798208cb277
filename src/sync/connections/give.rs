//! Our administrator gives: a new connection, made here and registered with the peer.
//!
//! Invariant: the row is stored, with the token sealed, before the peer hears of it, so that a crash in between
//! is repaired by the healing loop; the peer's refusal leaves no row, its silence leaves one that is registered later.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::secret::{Secret, new_token, token_hash};
use crate::model::connection::{Connection, Direction, Status};
use crate::model::grant::Grant;
use crate::model::url::PeerUrl;
use crate::remote::RemoteError;
use crate::store::{Kept, StoreError};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::announce::send_registration;
use crate::sync::connections::contact::note_failure;
use crate::sync::connections::edit::checked_name;
use crate::sync::connections::grant::checked_grant;
use crate::sync::connections::lookup::existing;
use crate::sync::connections::name::cleaned;
use crate::sync::connections::register::insert_under_free_name;
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

/// Makes a connection and registers it with the peer; a refusal leaves no row. A peer that cannot be reached is
/// asked again by the healing loop.
///
/// # Errors
/// The peer's refusal, or why it must not be asked.
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
            .insert_connection(&row, &hash, Kept::Unsent(&token))
            .await?;
        row
    } else {
        insert_under_free_name(ctx, row, &hash, Kept::Unsent(&token)).await?
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
                .await?;
        }
        // It may even have taken the registration. A password is not kept, so a person has to try again with one.
        Err(err) if err.is_unreachable() && new.password.is_none() => {
            note_failure(ctx, &row, &err, Timestamp::now()).await?;
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

fn given(url: PeerUrl, name: String, grant: Grant, actor: &Actor) -> Connection {
    let now = Timestamp::now();
    Connection {
        local_status: Status::Active,
        grant,
        approved_at: Some(now),
        approved_by: Some(actor.name.clone()),
        next_attempt_at: now.checked_add(HEALING_WAITS).ok(),
        // Claimed until the peer accepts the registration at this URL; signed once it answers that it signs, too.
        ..Connection::new(Direction::Sender, name, url, now)
    }
}
