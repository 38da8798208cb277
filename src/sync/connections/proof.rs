//! Who sent a signed request: the connection whose key signed it, taken once.
//!
//! Invariant: a nonce is remembered only for what passed every check, so a stranger can fill nothing.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::connection::{Auth, Connection, Direction};
use crate::model::id::ConnectionId;
use crate::store::StoreError;
use crate::sync::Ctx;
use crate::sync::connections::lookup::{Claim, LookupError};
use crate::wire::signing::{
    Answer, CHECKS, ConnectionKeys, Nonce, NonceBounds, Presented, Received, Remembered, Request,
    Seal, SeenNonces, Signature, SignatureFault, sign_answer,
};

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
        let credentials = ctx.store.credentials(connection.id).await?;
        let Some(keys) = credentials.and_then(|credentials| credentials.keys) else {
            continue;
        };
        let received = Received {
            presented,
            request,
            key: keys.signing(connection.direction.other()),
            now: now.as_second(),
            started: ctx.started_at.as_second(),
        };
        if keys.generation != presented.generation {
            outcome = Err(SignatureFault::INVALID.into());
        } else if let Err(fault) = received.pass(&CHECKS) {
            outcome = Err(fault.into());
        } else {
            take_once(ctx, connection.id, presented, now)?;
            return Ok(Some(Proved {
                connection: connection.id,
                name: presented.connection.clone(),
                keys,
                direction: connection.direction,
                request: presented.signature,
                nonce: presented.nonce,
            }));
        }
    }
    outcome
}

fn may_sign(connection: &Connection) -> bool {
    connection.auth == Auth::Signed && !connection.peer_deleted
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

    /// What seals the frames of the answer.
    #[must_use]
    pub fn seal(&self) -> Seal {
        Seal::of_stream(self.keys.signing(self.direction), self.nonce)
    }
}
