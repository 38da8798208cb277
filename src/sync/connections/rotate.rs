//! A signed connection goes over to a new key, without a pause and without a moment at which the two sites do not
//! understand each other.
//!
//! What each step means is decided by `model::rotation`. Invariant: a key that was offered is kept until the peer
//! answered, so that a lost answer or a restart costs nothing; the one before is forgotten within a day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::base::backoff::{doubled, spread_after};
use crate::model::connection::{Auth, Connection, Direction, Status};
use crate::model::id::ConnectionId;
use crate::model::rotation::{CHECKS, Heard, Held, Offer, Reply, Stage, reply};
use crate::remote::{RemoteError, Rotated, Verified};
use crate::store::{AcceptedKeys, NextKey, SecondKey, StoreError};
use crate::sync::connections::lookup::existing;
use crate::sync::connections::tell::reached;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::signing::{ConnectionKeys, Credentials, RootKey, SignatureCode};

/// How long the key before is accepted at most.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// How long once the peer was heard to use the new one: for requests that are under way.
const GRACE: SignedDuration = SignedDuration::from_secs(10);
/// How long a person waits for the peer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two offers at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// The `error_code` of an offer that meets another.
pub const CROSSED: &str = "rotation_crossed";

/// Makes the next key of a connection, and has the peer take it. Where the peer cannot be reached now, it is offered on
/// until it is there; repeating this meanwhile offers the same key again.
///
/// # Errors
/// [`SyncError::NoRotation`] when there is no key to change, or one was changed a moment ago; else the peer's refusal.
pub async fn rotate(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<Connection, SyncError> {
    let known = existing(ctx, id).await?;
    let refused = |reason: String| SyncError::NoRotation {
        name: known.name.clone(),
        reason,
    };
    let generation = match (known.auth, known.key_generation) {
        (Auth::Signed, Some(generation)) if !is_over(&known) => generation,
        (Auth::Signed, _) => return Err(refused("it has ended".to_owned())),
        (Auth::TokenHash, _) => {
            let words = "it is not signed: its peer shows the hash of the token, which has no successor; delete it and connect anew for another token";
            return Err(refused(words.to_owned()));
        }
    };
    let now = Timestamp::now();
    if ctx
        .store
        .offer_key(
            id,
            generation,
            &RootKey::fresh().map_err(StoreError::from)?,
            now,
        )
        .await?
    {
        let detail = Some(format!("generation {}", generation.saturating_add(1)));
        ctx.audit(actor, "connection.rotate", &id.to_string(), detail)
            .await;
    }
    match ctx.store.second_key(id).await? {
        Some(SecondKey {
            stage: Stage::Offered,
            ..
        }) => {}
        Some(SecondKey {
            accepted_until: Some(until),
            ..
        }) => {
            return Err(refused(format!(
                "it was changed a moment ago, and the key before is accepted until {until} at the latest; try again then"
            )));
        }
        // The peer was faster.
        _ => return existing(ctx, id).await,
    }
    offer(ctx, &known, now).await?;
    existing(ctx, id).await
}

/// Offers the next key of a connection again, which a person has asked for before.
///
/// # Errors
/// Only our own state's.
pub async fn offer_again(ctx: &Ctx, id: ConnectionId, now: Timestamp) -> Result<(), SyncError> {
    let Some(known) = ctx.store.connection(id).await? else {
        return Ok(());
    };
    match offer(ctx, &known, now).await {
        Err(SyncError::NoRotation { reason, .. }) => {
            tracing::warn!(connection = %id, reason, "a new key was not taken by the peer");
            Ok(())
        }
        other => other,
    }
}

fn is_over(connection: &Connection) -> bool {
    connection.peer_deleted || matches!(connection.status(), Status::Revoked | Status::Severed)
}

/// Offers the key that is kept for it, and notes what becomes of it.
async fn offer(ctx: &Ctx, known: &Connection, now: Timestamp) -> Result<(), SyncError> {
    let (Some(offered), Some(credentials)) = (
        ctx.store.second_key(known.id).await?,
        ctx.store.credentials(known.id).await?,
    ) else {
        return Ok(());
    };
    if offered.stage != Stage::Offered {
        return Ok(());
    }
    let answered = tokio::time::timeout(PATIENCE, ask(ctx, known, &credentials, &offered)).await;
    match answered {
        Ok(Ok(Rotated::Taken)) => {
            go_over(ctx, known, &offered, now).await?;
            say_so(ctx, known, now).await?;
            Ok(())
        }
        Ok(Ok(Rotated::NotUnderstood)) => {
            withdraw(ctx, known, offered.generation).await?;
            Err(not_taken(
                known,
                "the peer's version cannot change keys; it has to be upgraded first",
            ))
        }
        Ok(Err(RemoteError::Refused {
            code: Some(code), ..
        })) if code == CROSSED => {
            if known.direction == Direction::Receiver {
                withdraw(ctx, known, offered.generation).await?;
                return Err(not_taken(
                    known,
                    "the peer is changing the key at the same time, and its new key stands",
                ));
            }
            put_off(ctx, known, &offered, now).await
        }
        Ok(Err(err)) => {
            tracing::info!(connection = %known.id, %err, "a new key could not be offered");
            put_off(ctx, known, &offered, now).await
        }
        Err(_) => put_off(ctx, known, &offered, now).await,
    }
}

fn not_taken(known: &Connection, reason: &str) -> SyncError {
    SyncError::NoRotation {
        name: known.name.clone(),
        reason: reason.to_owned(),
    }
}

/// Offers the key, signed with the current one; with the new one itself where the peer understands the old no more.
async fn ask(
    ctx: &Ctx,
    known: &Connection,
    credentials: &Credentials,
    offered: &SecondKey,
) -> Result<Rotated, RemoteError> {
    let own_url = &ctx.config.site.url;
    let peer = reached(ctx, known).await?;
    let key = (offered.generation, &offered.root_key);
    match peer.rotate(own_url, credentials, key).await {
        Err(RemoteError::Refused {
            status: 401,
            code: Some(code),
            ..
        }) if code == SignatureCode::Invalid.as_str() => {
            let credentials = Credentials {
                keys: Some(ConnectionKeys::derive(
                    &offered.root_key,
                    offered.generation,
                )),
                ..credentials.clone()
            };
            peer.rotate(own_url, &credentials, key).await
        }
        other => other,
    }
}

/// One call with the new key, so that the peer forgets the one before at once.
async fn say_so(ctx: &Ctx, known: &Connection, now: Timestamp) -> Result<(), SyncError> {
    let Some(credentials) = ctx.store.credentials(known.id).await? else {
        return Ok(());
    };
    let called = async {
        let peer = reached(ctx, known).await?;
        peer.verify(&ctx.config.site.url, &credentials).await
    };
    match tokio::time::timeout(PATIENCE, called).await {
        Ok(Ok(Verified::Exists)) => {
            let until = now.checked_add(GRACE).unwrap_or(now);
            ctx.store.shorten_previous_key(known.id, until).await?;
        }
        // Any later call says the same.
        Ok(Ok(Verified::Gone) | Err(_)) | Err(_) => {}
    }
    Ok(())
}

async fn withdraw(ctx: &Ctx, known: &Connection, generation: u32) -> Result<(), StoreError> {
    if ctx.store.withdraw_key(known.id, generation).await? {
        let detail = Some(format!("generation {generation} was not taken"));
        let (actor, subject) = (Actor::daemon(), known.id.to_string());
        ctx.audit(&actor, "connection.rotation_withdrawn", &subject, detail)
            .await;
    }
    Ok(())
}

async fn put_off(
    ctx: &Ctx,
    known: &Connection,
    offered: &SecondKey,
    now: Timestamp,
) -> Result<(), SyncError> {
    let first = ctx.live.now().healing.interval;
    let pause = doubled(first, offered.attempts, LONGEST_PAUSE);
    ctx.store
        .set_offer_due(known.id, spread_after(now, pause))
        .await?;
    Ok(())
}

/// The peer has the key that was offered: this side signs with it from now on.
async fn go_over(
    ctx: &Ctx,
    known: &Connection,
    offered: &SecondKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let after = offered.generation.saturating_sub(1);
    let next = following(after, &offered.root_key, now);
    if ctx.store.adopt_key(known.id, &next, now).await? {
        note_rotated(ctx, known, offered.generation, &Actor::daemon()).await;
    }
    Ok(())
}

/// The key that follows generation `after`, from `now` on.
fn following(after: u32, root_key: &RootKey, now: Timestamp) -> NextKey {
    NextKey {
        after,
        root_key: root_key.clone(),
        accepted_until: now.checked_add(LONGEST).unwrap_or(now),
    }
}

async fn note_rotated(ctx: &Ctx, known: &Connection, generation: u32, actor: &Actor) {
    // What they hash with was made of the key before.
    ctx.sessions.rotate(known.id);
    let detail = Some(format!("generation {generation}"));
    ctx.audit(actor, "connection.rotated", &known.id.to_string(), detail)
        .await;
}

/// The peer signed a request, which was no offer, with a key of this generation.
///
/// # Errors
/// Only our own state's.
pub(super) async fn note_use(
    ctx: &Ctx,
    connection: &Connection,
    accepted: &AcceptedKeys,
    generation: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(second) = &accepted.second else {
        return Ok(());
    };
    let heard = held(accepted).heard(generation);
    if heard == Heard::HasOffered {
        go_over(ctx, connection, second, now).await?;
    }
    let until = now.checked_add(GRACE).unwrap_or(now);
    let is_new = second.accepted_until.is_none_or(|known| known > until);
    if heard != Heard::Nothing && is_new {
        ctx.store.shorten_previous_key(connection.id, until).await?;
    }
    Ok(())
}

fn held(accepted: &AcceptedKeys) -> Held {
    Held {
        current: accepted.current.generation,
        second: accepted
            .second
            .as_ref()
            .map(|second| (second.stage, second.generation)),
    }
}

/// A key that a peer offers.
#[derive(Clone, Debug)]
pub struct OfferedKey {
    /// Its generation.
    pub generation: u32,
    /// The key.
    pub root_key: RootKey,
    /// The generation with which the offer was signed.
    pub signed_with: u32,
}

/// Takes the key that the peer of a signed connection offers. What it is answered.
///
/// # Errors
/// Only our own state's.
pub async fn take_offer(
    ctx: &Ctx,
    connection: &Connection,
    offered: &OfferedKey,
    actor: &Actor,
    now: Timestamp,
) -> Result<Reply, StoreError> {
    let Some(accepted) = ctx.store.accepted_keys(connection.id, now).await? else {
        return Ok(Reply::Stale);
    };
    let keys = ConnectionKeys::derive(&offered.root_key, offered.generation);
    let offer = Offer {
        generation: offered.generation,
        signed_with: offered.signed_with,
        is_current: accepted.current == keys,
    };
    let reply = reply(&CHECKS, connection.direction, held(&accepted), offer);
    if reply != Reply::Take {
        return Ok(reply);
    }
    let next = following(accepted.current.generation, &offered.root_key, now);
    if !ctx.store.adopt_key(connection.id, &next, now).await? {
        // Another request was faster; asked again, it is known or stale.
        return Ok(Reply::Crossed);
    }
    note_rotated(ctx, connection, offered.generation, actor).await;
    Ok(Reply::Take)
}

/// Forgets the keys before, where their time is over.
///
/// # Errors
/// Only our own state's.
pub async fn forget_old_keys(ctx: &Ctx, now: Timestamp) -> Result<(), StoreError> {
    for id in ctx.store.forget_previous_keys(now).await? {
        tracing::info!(connection = %id, "the key before the present one is forgotten");
    }
    Ok(())
}
