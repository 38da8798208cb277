//! Telling one peer what it has yet to hear, and exchanging with it how both sides stand. Delivery is state: what is not
//! acknowledged is told again.
//!
//! Invariant: idempotent; every failure is noted with the time of the next attempt.

use jiff::Timestamp;

use crate::model::connection::{Auth, Connection, Direction, Status};
use crate::model::repair::Repair;
use crate::model::standing::{Standing, Word};
use crate::remote::{Peer, RemoteError, Verified};
use crate::sync::connections::announce::send_registration;
use crate::sync::connections::contact::{note_failure, note_presence};
use crate::sync::connections::heard::ours;
use crate::sync::connections::take::{Event, take};
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::messages::StandingWord;
use crate::wire::signing::Credentials;

/// A peer that lost what it had said is asked again until it said so above what we saw; that is the second time.
const ROUNDS: u32 = 3;

/// Whether a repair came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healed {
    /// It did.
    Done,
    /// The peer could not be asked, or refused; it is tried again later.
    Failed,
}

/// The outer error is our own state's, the inner one the peer's.
type Told = Result<Result<(), RemoteError>, SyncError>;

/// Carries out one repair on behalf of `actor`, as the healing loop and whoever cannot wait for it do. Notes success or
/// the time of the next attempt.
///
/// # Errors
/// Only our own state's.
pub async fn heal(
    ctx: &Ctx,
    connection: &Connection,
    repair: Repair,
    actor: &Actor,
) -> Result<Healed, SyncError> {
    let told = match repair {
        Repair::Register => tell_registration(ctx, connection, actor).await?,
        Repair::TellDeletion => tell_deletion(ctx, connection, actor).await?,
        Repair::TellDecision | Repair::Exchange => exchange(ctx, connection, repair, actor).await?,
    };
    let now = Timestamp::now();
    match told {
        Ok(()) => return Ok(Healed::Done),
        // It is there: that it does not answer this alone makes nobody wait for it.
        Err(err) if repair == Repair::Exchange && !err.is_absence() && !err.asks_to_wait() => {
            tracing::info!(connection = %connection.id, %err, "a peer does not say how it stands");
            take(ctx, connection, Event::Refusal, actor, now).await?;
        }
        Err(err) => note_failure(ctx, connection, &err, now).await?,
    }
    Ok(Healed::Failed)
}

async fn tell_deletion(ctx: &Ctx, connection: &Connection, actor: &Actor) -> Told {
    let hash = ctx.store.credentials(connection.id).await?;
    if let (Some(hash), true, false) = (hash, connection.registered, connection.peer_deleted) {
        let told = async {
            let peer = reached(ctx, connection).await?;
            peer.delete(&ctx.config.site.url, &hash).await
        };
        match told.await {
            Ok(()) | Err(RemoteError::Refused { status: 404, .. }) => {}
            Err(err) => return Ok(Err(err)),
        }
    }
    // The row stays, hidden, for the history that points to it.
    let told = Event::Acknowledged {
        epoch: connection.epoch,
    };
    take(ctx, connection, told, actor, Timestamp::now()).await?;
    Ok(Ok(()))
}

async fn tell_registration(ctx: &Ctx, connection: &Connection, actor: &Actor) -> Told {
    let Some(token) = ctx.store.unsent_token(connection.id).await? else {
        tracing::error!(connection = %connection.id, "a registration without its token was given up; make the connection again");
        ctx.store.forget_connection(connection.id).await?;
        return Ok(Ok(()));
    };
    let subject = connection.id.to_string();
    match send_registration(ctx, connection, &token, None).await {
        Ok(answer) => {
            let now = Timestamp::now();
            ctx.store
                .set_registered(connection.id, &answer, now)
                .await?;
            if connection.unreachable_since.is_some() {
                note_presence(ctx, connection, None, now).await?;
            }
            let detail = Some(connection.url.to_string());
            ctx.audit(actor, "connection.registered", &subject, detail)
                .await;
            Ok(Ok(()))
        }
        Err(
            RemoteError::Refused {
                status: 400 | 401 | 403 | 409,
                message,
                ..
            }
            | RemoteError::Unfit {
                reason: message, ..
            },
        ) => {
            // As if the refusal had come while the administrator waited: no row stays.
            ctx.store.forget_connection(connection.id).await?;
            let detail = Some(format!("{} refused: {message}", connection.url.host()));
            ctx.audit(actor, "connection.refused", &subject, detail)
                .await;
            Ok(Ok(()))
        }
        Err(err) => Ok(Err(err)),
    }
}

/// Exchanges with the peer how both sides stand, until neither has more to say.
///
/// # Errors
/// The outer error is our own state's, the inner one the peer's.
pub(super) async fn exchange(
    ctx: &Ctx,
    connection: &Connection,
    repair: Repair,
    actor: &Actor,
) -> Told {
    let mut known = connection.clone();
    for _ in 0..ROUNDS {
        match speak(ctx, &known, repair, actor).await? {
            Ok(Spoken::Settled) => break,
            Ok(Spoken::MoreToSay) => {}
            Err(err) => return Ok(Err(err)),
        }
        match ctx.store.connection(known.id).await? {
            Some(found) => known = found,
            None => break,
        }
    }
    Ok(Ok(()))
}

enum Spoken {
    Settled,
    MoreToSay,
}

async fn speak(
    ctx: &Ctx,
    known: &Connection,
    repair: Repair,
    actor: &Actor,
) -> Result<Result<Spoken, RemoteError>, SyncError> {
    let Some(credentials) = ctx.store.credentials(known.id).await? else {
        return Ok(Ok(Spoken::Settled));
    };
    let answer = match asked(ctx, known, repair, &credentials).await {
        Ok(answer) => answer,
        Err(err) => return Ok(Err(err)),
    };
    let now = Timestamp::now();
    if answer.prefix != known.remote_prefix {
        note_presence(ctx, known, answer.prefix.as_deref(), now).await?;
    }
    let after = take(ctx, known, answer.event, actor, now).await?;
    let is_settled = match (answer.event, after) {
        (Event::Word { word, .. }, Some(after)) => after.is_settled_by(word),
        _ => true,
    };
    Ok(Ok(if is_settled {
        Spoken::Settled
    } else {
        Spoken::MoreToSay
    }))
}

/// What the peer answered, and below which prefix it was found.
struct Answer {
    event: Event,
    prefix: Option<String>,
}

async fn asked(
    ctx: &Ctx,
    known: &Connection,
    repair: Repair,
    credentials: &Credentials,
) -> Result<Answer, RemoteError> {
    let standing = Standing::from(known);
    let ours = (known.auth == Auth::Signed).then(|| ours(known, &standing));
    let call = Call {
        peer: reached(ctx, known).await?,
        ctx,
        known,
        credentials,
        ours,
    };
    let told = match published(&standing) {
        Some(status) if repair == Repair::TellDecision => call.tell(status).await?,
        _ => None,
    };
    let event = match told {
        Some(event) => event,
        None => call.ask().await?,
    };
    Ok(Answer {
        event,
        prefix: call.peer.prefix().map(str::to_owned),
    })
}

/// What `update-status` can say of a standing.
fn published(standing: &Standing) -> Option<Status> {
    let Word { status, .. } = standing.word();
    let is_published = matches!(status, Status::Active | Status::Suspended | Status::Revoked);
    is_published.then_some(status)
}

/// One peer, asked about one connection.
struct Call<'a> {
    ctx: &'a Ctx,
    known: &'a Connection,
    peer: Peer,
    credentials: &'a Credentials,
    /// For a signed peer.
    ours: Option<StandingWord>,
}

impl Call<'_> {
    /// Tells our decision; `None` where the peer does not know the connection, which counts only as it answers when asked.
    async fn tell(&self, status: Status) -> Result<Option<Event>, RemoteError> {
        let url = &self.ctx.config.site.url;
        let told = self
            .peer
            .update_status(url, self.credentials, status, self.ours.as_ref())
            .await;
        match told {
            Ok(Some(theirs)) => self.event(&theirs).map(Some),
            Ok(None) => Ok(Some(Event::Acknowledged {
                epoch: self.known.epoch,
            })),
            Err(RemoteError::Refused { status: 404, .. }) => Ok(None),
            Err(err) => Err(err),
        }
    }

    async fn ask(&self) -> Result<Event, RemoteError> {
        let url = &self.ctx.config.site.url;
        let (verified, theirs) = self
            .peer
            .exchange(url, self.credentials, self.ours.as_ref())
            .await?;
        match (verified, theirs) {
            (Verified::Gone, _) => Ok(Event::Unknown),
            (Verified::Exists, Some(theirs)) => self.event(&theirs),
            (Verified::Exists, None) => self.ask_status().await,
        }
    }

    fn event(&self, theirs: &StandingWord) -> Result<Event, RemoteError> {
        Event::of(theirs).ok_or_else(|| RemoteError::Protocol {
            host: self.peer.host(),
            reason: "its epochs are none".to_owned(),
        })
    }

    /// Of a peer that counts no epochs, whose sender says more when asked. Asking for its status confirms a PhoenixKit
    /// sender's row: not before our administrator approved ours.
    async fn ask_status(&self) -> Result<Event, RemoteError> {
        let known = self.known;
        let url = &self.ctx.config.site.url;
        let status =
            if known.direction == Direction::Receiver && known.local_status != Status::Pending {
                self.peer.connection_status(url, self.credentials).await?
            } else {
                None
            };
        Ok(match status {
            // The sender's word includes ours: our own suspension that comes back says nothing of its own.
            Some(status) if !is_echo(known, status) => Event::Plain {
                status,
                is_signed: known.auth == Auth::Signed,
            },
            _ if Standing::from(known).is_undelivered() && published(&known.into()).is_none() => {
                Event::Acknowledged { epoch: known.epoch }
            }
            _ => Event::Known,
        })
    }
}

fn is_echo(known: &Connection, status: Status) -> bool {
    match known.local_status {
        Status::Active => false,
        Status::Revoked => matches!(status, Status::Revoked | Status::Severed),
        local => local == status,
    }
}

/// The peer of `connection`, its API found.
pub(super) async fn reached(ctx: &Ctx, connection: &Connection) -> Result<Peer, RemoteError> {
    let prefix = connection.remote_prefix.as_deref();
    ctx.remote.reach(&connection.url, prefix).await
}
