//! Who sent a signed request: the connection whose key signed it, taken once.
//!
//! Invariant: a nonce is remembered only for what passed every check, so a stranger can fill nothing.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::connection::{Auth, Connection, Direction};
use crate::model::id::ConnectionId;
use crate::store::{AcceptedKeys, StoreError};
use crate::sync::Ctx;
use crate::sync::connections::lookup::{Claim, LookupError};
use crate::sync::connections::rotate::note_use;
use crate::wire::signing::{
    Answer, CHECKS, ConnectionKeys, Nonce, NonceBounds, Presented, Received, Remembered, Request,
    Seal, SeenNonces, Signature, SignatureFault, sign_answer,
};
use crate::wire::tally::TallyKey;

/// At two minutes each, 136 requests a second of one peer.
const BOUNDS: NonceBounds = NonceBounds {
    per_connection: 16_384,
    in_total: 131_072,
};

/// The nonces that peers used, while their signatures are good.
#[derive(Debug)]
pub struct Nonces(Mutex<SeenNonces>);

impl Default for Nonces {
    fn default() -> Self {
        Self(Mutex::new(SeenNonces::new(BOUNDS)))
    }
}

/// A request that came from the peer of a signed connection.
#[derive(Debug)]
pub struct Proved {
    connection: ConnectionId,
    name: String,
    keys: ConnectionKeys,
    /// Ours.
    direction: Direction,
    /// Set while the connection changes from one key to the next.
    changing: Option<Box<(Connection, AcceptedKeys)>>,
    request: Signature,
    nonce: Nonce,
}

/// Why a signed request is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// It is not the peer's, not of now, or not new.
    #[error(transparent)]
    Fault(#[from] SignatureFault),
    /// The peer asks more often than its nonces can be remembered.
    #[error("too many requests at once")]
    TooMany,
    /// Our own state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds whose signature a request carries; `None` when this site has no signed connection of the name it gives, so that
/// the signature says nothing. `request` is as it arrived.
///
/// # Errors
/// See [`ProofError`].
pub async fn prove(
    ctx: &Ctx,
    presented: &Presented,
    request: Request<'_>,
    now: Timestamp,
) -> Result<Option<Proved>, ProofError> {
    let named = ctx.store.connections_by_hash(&presented.connection).await?;
    let mut outcome = Ok(None);
    for connection in named.iter().filter(|row| may_sign(row)) {
        let Some(accepted) = ctx.store.accepted_keys(connection.id, now).await? else {
            continue;
        };
        let Some(keys) = of_generation(&accepted, presented.generation) else {
            outcome = Err(SignatureFault::INVALID.into());
            continue;
        };
        let received = Received {
            presented,
            request,
            key: keys.signing(connection.direction.other()),
            now: now.as_second(),
            started: ctx.started_at.as_second(),
        };
        if let Err(fault) = received.pass(&CHECKS) {
            outcome = Err(fault.into());
        } else {
            take_once(ctx, connection.id, presented, now)?;
            return Ok(Some(Proved {
                connection: connection.id,
                name: presented.connection.clone(),
                keys,
                direction: connection.direction,
                changing: accepted
                    .second
                    .is_some()
                    .then(|| Box::new((connection.clone(), accepted))),
                request: presented.signature,
                nonce: presented.nonce,
            }));
        }
    }
    outcome
}

fn of_generation(accepted: &AcceptedKeys, generation: u32) -> Option<ConnectionKeys> {
    let second = accepted.second.as_ref();
    if accepted.current.generation == generation {
        return Some(accepted.current.clone());
    }
    second
        .filter(|second| second.generation == generation)
        .map(|second| ConnectionKeys::derive(&second.root_key, generation))
}

/// What the peer's use of a key tells, once its request is known to be no offer of another.
///
/// # Errors
/// Only our own state's.
pub async fn note_proved(ctx: &Ctx, proved: &Proved, now: Timestamp) -> Result<(), StoreError> {
    let Some(changing) = &proved.changing else {
        return Ok(());
    };
    let (connection, accepted) = &**changing;
    note_use(ctx, connection, accepted, proved.keys.generation, now).await
}

/// A peer that has our registration may sign before its answer has come: it holds the token.
fn may_sign(connection: &Connection) -> bool {
    let is_signed = connection.auth == Auth::Signed || !connection.registered;
    is_signed && !connection.peer_deleted
}

fn take_once(
    ctx: &Ctx,
    id: ConnectionId,
    presented: &Presented,
    now: Timestamp,
) -> Result<(), ProofError> {
    let mut seen = ctx.nonces.0.lock().unwrap_or_else(PoisonError::into_inner);
    match seen.remember(id, presented.nonce, presented.expires, now.as_second()) {
        Remembered::New => Ok(()),
        Remembered::Again => Err(SignatureFault::REPLAYED.into()),
        Remembered::NoRoom => Err(ProofError::TooMany),
    }
}

impl Proved {
    /// Of the key that signed it.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.keys.generation
    }

    /// The connection that a request of this proof may speak of, by the name that stands in its body.
    ///
    /// # Errors
    /// [`LookupError::Signature`] when the body names another.
    pub fn claim<'a>(&self, token_hash: &'a str) -> Result<Claim<'a>, LookupError> {
        if token_hash != self.name {
            return Err(SignatureFault::INVALID.into());
        }
        Ok(Claim {
            token_hash,
            proved: Some(self.connection),
            from: None,
        })
    }

    /// The headers that make a JSON answer ours.
    #[must_use]
    pub fn sign_answer(
        &self,
        status: u16,
        body: &[u8],
        now: Timestamp,
    ) -> [(&'static str, String); 3] {
        let answer = Answer {
            status,
            connection: &self.name,
            request: self.request,
            body,
        };
        let key = self.keys.signing(self.direction);
        sign_answer((key, self.keys.generation), &answer, now.as_second())
    }

    /// What both sides hash rows with, in a session that this request opens.
    #[must_use]
    pub fn tally_key(&self) -> TallyKey {
        TallyKey::of(&self.keys.row())
    }

    /// What seals the frames of the answer.
    #[must_use]
    pub fn seal(&self) -> Seal {
        Seal::of_stream(self.keys.signing(self.direction), self.nonce)
    }
}
