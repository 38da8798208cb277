//! Taking in what a peer said or did not know: one step of how a connection stands, and what follows from it.
//!
//! Invariant: a step is decided on what is stored when it is taken, so that two at once are two steps.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Status};
use crate::model::standing::{Standing, Word};
use crate::store::{StandingStep, StoreError};
use crate::sync::connections::contact::note_presence;
use crate::sync::{Actor, Ctx};
use crate::wire::messages::StandingWord;

/// Why a connection is severed that the peer said it does not know.
const UNKNOWN_THERE: &str = "the peer does not know this connection any more";
/// What changes nothing is written down at most this often.
const NOTED_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Others may take steps meanwhile, but not so many.
const TRIES: u32 = 16;

/// What the peer said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// How it stands, with epochs.
    Word { word: Word, is_rejection: bool },
    /// How it stands; it counts no epochs.
    Plain { status: Status, is_signed: bool },
    /// It deleted its side.
    Deletion,
    /// It does not know the connection.
    Unknown,
    /// It knows the connection.
    Known,
    /// It is there, and says nothing of it.
    Refusal,
    /// It took our word of this epoch, or the deletion.
    Acknowledged { epoch: i64 },
}

impl Event {
    /// What a signed peer says; `None` for what makes no sense.
    pub(super) fn of(said: &StandingWord) -> Option<Self> {
        let is_rejection = said.is_rejection();
        let word = said.word()?;
        Some(Self::Word { word, is_rejection })
    }

    fn applied(self, standing: Standing, now: Timestamp) -> Standing {
        match self {
            Self::Word { word, .. } => standing.heard(word),
            Self::Plain { status, is_signed } => standing.heard_plainly(status, is_signed),
            Self::Deletion => standing.heard_deletion(),
            Self::Unknown => standing.not_known(now),
            Self::Known => standing.known(),
            Self::Refusal => standing,
            Self::Acknowledged { epoch } => standing.known().acknowledged(epoch),
        }
    }

    /// What people are told where this ended the connection.
    fn reason(self) -> &'static str {
        match self {
            Self::Word {
                is_rejection: true, ..
            } => "rejected by the peer's administrator",
            Self::Word { word, .. } if word.status == Status::Severed => {
                "the peer knows that this connection was ended; one of the two was restored from a backup since"
            }
            Self::Unknown => UNKNOWN_THERE,
            Self::Deletion => "deleted by the peer's administrator",
            _ => "revoked by the peer's administrator",
        }
    }
}

/// Takes in `event`, of which `actor` is the cause; how the connection stands afterwards, unless our administrator
/// deleted it meanwhile.
///
/// # Errors
/// Only our own state's.
pub(super) async fn take(
    ctx: &Ctx,
    known: &Connection,
    event: Event,
    actor: &Actor,
    now: Timestamp,
) -> Result<Option<Standing>, StoreError> {
    let mut known = known.clone();
    for _ in 0..TRIES {
        let before = Standing::from(&known);
        let after = event.applied(before, now);
        if after == before && is_fresh(&known, now) {
            return Ok(Some(after));
        }
        if known.unreachable_since.is_some() && known.deleted_at.is_none() {
            note_presence(ctx, &known, None, now).await?;
        }
        let step = StandingStep {
            before,
            after,
            reason: reason(&known, &before, &after, event),
        };
        if ctx.store.set_standing(known.id, &step, now).await? {
            follow(ctx, &known, (&before, &after), actor).await;
            return Ok(Some(after));
        }
        match ctx.store.connection(known.id).await? {
            Some(found) => known = found,
            None => return Ok(None),
        }
    }
    // Whatever it was: it is said again by the next exchange.
    tracing::warn!(connection = %known.id, "what a peer said was not taken in: too much happened at once");
    Ok(Some(Standing::from(&known)))
}

fn is_fresh(known: &Connection, now: Timestamp) -> bool {
    let is_recent = |at: Timestamp| now.duration_since(at).abs() < NOTED_EVERY;
    known.unreachable_since.is_none() && known.exchanged_at.is_some_and(is_recent)
}

/// What people are told from now on; `None` leaves it.
fn reason(
    known: &Connection,
    before: &Standing,
    after: &Standing,
    event: Event,
) -> Option<Option<String>> {
    let is_severed = |standing: &Standing| standing.remote == Status::Severed;
    let is_lifted = is_severed(before) && !is_severed(after);
    let is_replaced = event_ends(before, after);
    if is_replaced {
        Some(Some(event.reason().to_owned()))
    } else if known.status_reason.is_some() && (is_lifted || after.status() == Status::Active) {
        Some(None)
    } else {
        None
    }
}

/// Whether it was ended just now, or ended for good what the peer merely did not know.
fn event_ends(before: &Standing, after: &Standing) -> bool {
    after.remote == Status::Severed
        && (before.remote != Status::Severed
            || after.is_ended_by_peer() != before.is_ended_by_peer()
            || after.peer_deleted != before.peer_deleted)
}

/// Writes down what changed, and wakes whoever has to do with it.
async fn follow(
    ctx: &Ctx,
    connection: &Connection,
    (before, after): (&Standing, &Standing),
    actor: &Actor,
) {
    for (action, detail) in changes(before, after) {
        tracing::info!(connection = %connection.id, action, detail, "how a connection stands has changed");
        ctx.audit(actor, action, &connection.id.to_string(), detail)
            .await;
    }
    if after.is_undelivered() && !before.is_undelivered() {
        ctx.healer.wake();
    }
    if after.remote != before.remote {
        // What waits for this connection may go on now, or has to end.
        ctx.runner.wake();
        ctx.alerter.wake();
        ctx.sessions.ask_again(connection.id);
    }
}

/// What changed between the two, for the audit.
fn changes(before: &Standing, after: &Standing) -> Vec<(&'static str, Option<String>)> {
    let severed_as_unknown =
        |standing: &Standing| standing.remote == Status::Severed && !standing.is_ended_by_peer();
    let mut changes = vec![];
    if after.peer_deleted != before.peer_deleted {
        changes.push(("connection.peer_delete", None));
    } else if severed_as_unknown(after) != severed_as_unknown(before) {
        let action = if severed_as_unknown(after) {
            "connection.unknown_there"
        } else {
            "connection.known_again"
        };
        changes.push((action, Some(after.remote.to_string())));
    } else if after.remote != before.remote {
        changes.push(("connection.peer_status", Some(after.remote.to_string())));
    }
    if before.is_undelivered() && !after.is_undelivered() {
        let word = if after.deleted {
            "deleted".to_owned()
        } else {
            after.word().status.to_string()
        };
        changes.push(("connection.told", Some(word)));
    }
    if after.contradicted && !before.contradicted {
        let detail = "the peer had ended it and says otherwise now; it stays severed".to_owned();
        changes.push(("connection.stays_severed", Some(detail)));
    } else if after.epoch > before.epoch {
        let detail = "the peer knew of a later decision than this state, which was restored from a backup; the present one was told it anew";
        changes.push(("connection.told_anew", Some(detail.to_owned())));
    }
    changes
}
