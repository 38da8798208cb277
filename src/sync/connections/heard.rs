//! What a peer says of its side of a connection, and what we answer about ours.
//!
//! Invariant: nothing here touches `local_status`: a peer can end or pause a connection, never lift what we decided.

use jiff::Timestamp;

use crate::model::connection::{Auth, Connection, Direction, Status};
use crate::model::standing::Standing;
use crate::store::StoreError;
use crate::sync::connections::contact::note_contact;
use crate::sync::connections::take::{Event, take};
use crate::sync::{Actor, Ctx};
use crate::wire::messages::StandingWord;

/// Why what a peer says of its side is not taken.
#[derive(Debug, thiserror::Error)]
pub enum HeardError {
    /// It makes no sense.
    #[error("Invalid evenkeel: status, epoch and seen_epoch are expected")]
    Nonsense,
    /// Our own state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a peer sent of its side.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The published word (active, suspended or revoked), where the call has one.
    pub status: Option<Status>,
    /// How a signed peer stands.
    pub standing: Option<StandingWord>,
}

/// What a peer is told of ours.
#[derive(Clone, Debug)]
pub struct Told {
    /// The stricter of both words, and of the time of the grant.
    pub status: Status,
    /// How we stand, for a signed peer.
    pub standing: Option<StandingWord>,
}

/// The peer called, and may have said how it stands: takes that in, and tells how we stand then.
///
/// # Errors
/// See [`HeardError`].
pub async fn hear(
    ctx: &Ctx,
    connection: &Connection,
    said: &Said,
    actor: &Actor,
) -> Result<Told, HeardError> {
    let now = Timestamp::now();
    let is_signed = connection.auth == Auth::Signed;
    let standing = said.standing.as_ref().filter(|_| is_signed);
    let event = match (standing, said.status) {
        (Some(standing), _) => Event::of(standing).ok_or(HeardError::Nonsense)?,
        (None, Some(status)) => Event::Plain { status, is_signed },
        (None, None) if connection.unknown.is_some() => Event::Known,
        (None, None) => {
            note_contact(ctx, connection, now).await?;
            return Ok(told(connection, Standing::from(connection), now));
        }
    };
    let after = take(ctx, connection, event, actor, now).await?;
    let standing = after.unwrap_or_else(|| Standing::from(connection));
    Ok(told(connection, standing, now))
}

fn told(connection: &Connection, standing: Standing, now: Timestamp) -> Told {
    Told {
        status: standing.status().max(connection.by_time(now)),
        standing: (connection.auth == Auth::Signed).then(|| ours(connection, &standing)),
    }
}

/// How we stand, as it is told.
pub(super) fn ours(connection: &Connection, standing: &Standing) -> StandingWord {
    let is_rejected = standing.local == Status::Revoked && connection.approved_at.is_none();
    StandingWord::of(standing.word(), is_rejected)
}

/// The peer deleted its side: it is not found by the peer's calls from now on, the history stays.
///
/// # Errors
/// Only our own state's.
pub async fn hear_deletion(
    ctx: &Ctx,
    connection: &Connection,
    actor: &Actor,
) -> Result<(), StoreError> {
    take(ctx, connection, Event::Deletion, actor, Timestamp::now()).await?;
    Ok(())
}

/// What the published protocol tells a receiver of the row on which we give: the stricter of both words. The asking of
/// one that counts no epochs confirms a row that our own administrator made or approved; it never stands in for that
/// approval.
///
/// # Errors
/// See [`HeardError`].
pub async fn tell_status(
    ctx: &Ctx,
    connection: &Connection,
    said: Said,
    actor: &Actor,
) -> Result<Told, HeardError> {
    let is_confirmed = said.standing.is_none() && is_confirmed_by_asking(connection);
    let status = is_confirmed.then_some(Status::Active);
    hear(ctx, connection, &Said { status, ..said }, actor).await
}

fn is_confirmed_by_asking(connection: &Connection) -> bool {
    connection.direction == Direction::Sender
        && connection.local_status == Status::Active
        && connection.remote_status == Status::Pending
}
