//! Our administrator makes a connection: stored here, and made known to the peer.
//!
//! Invariant: the row is stored, with the token sealed, before the peer hears of it, so that a crash in between is
//! repaired by the healing loop; the peer's refusal leaves no row, its silence leaves one that is registered later.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::secret::{Secret, new_token, token_hash};
use crate::model::connection::{Connection, Direction, Status};
use crate::remote::RemoteError;
use crate::store::{Kept, StoreError};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::announce::send_registration;
use crate::sync::connections::contact::note_failure;
use crate::sync::connections::edit::checked_name;
use crate::sync::connections::lookup::existing;
use crate::sync::connections::name::cleaned;
use crate::sync::connections::naming::{insert_under_free_name, insert_under_this_name};
use crate::sync::{Actor, Ctx, SyncError};

/// How long a person waits for the peer's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// While a person waits, the healing loop leaves the new row alone.
const HEALING_WAITS: SignedDuration = SignedDuration::from_secs(30);

/// Whom a connection is made with.
#[derive(Debug)]
pub struct Introduction {
    /// The peer's.
    pub url: String,
    /// Ours for it; default: made from the URL's host.
    pub name: Option<String>,
    /// Where the peer asks for one.
    pub password: Option<Secret<String>>,
}

/// Makes a connection in this direction, as `shape` completes it, and registers it with the peer; a refusal leaves no
/// row. A peer that cannot be reached is asked again by the healing loop.
///
/// # Errors
/// The peer's refusal, or why it must not be asked.
pub(super) async fn introduce(
    ctx: &Ctx,
    with: Introduction,
    direction: Direction,
    shape: impl FnOnce(Connection) -> Connection + Send,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let url = checked_url(ctx, &with.url)?;
    let name = with.name.as_deref().map(checked_name).transpose()?;
    ctx.remote.check_token_may_cross(&url).await?;
    let token = new_token().map_err(StoreError::from)?;
    let hash = token_hash(token.expose());
    let is_named = name.is_some();
    let name = name.or_else(|| cleaned(url.host())).unwrap_or_default();
    let row = shape(made(
        Connection::new(direction, name, url, Timestamp::now()),
        actor,
    ));
    let row = if is_named {
        insert_under_this_name(ctx, &row, &hash, Kept::Unsent(&token)).await?;
        row
    } else {
        insert_under_free_name(ctx, row, &hash, Kept::Unsent(&token)).await?
    };
    let call = send_registration(ctx, &row, &token, with.password.as_ref());
    let answer = tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| Err(RemoteError::no_answer(&row.url, PATIENCE)));
    match answer {
        Ok(answer) => {
            ctx.store
                .set_registered(row.id, &answer, Timestamp::now())
                .await?;
        }
        // It may even have taken the registration. A password is not kept, so a person has to try again with one.
        Err(err) if err.is_unreachable() && with.password.is_none() => {
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

/// Claimed until the peer accepts the registration at this URL; signed once it answers that it signs, too.
fn made(row: Connection, actor: &Actor) -> Connection {
    Connection {
        local_status: Status::Active,
        approved_at: Some(row.created_at),
        approved_by: Some(actor.name.clone()),
        next_attempt_at: row.created_at.checked_add(HEALING_WAITS).ok(),
        ..row
    }
}
