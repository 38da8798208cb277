//! Nonces: each request is taken once.
//!
//! Invariant: a nonce is remembered until the signature that carried it has expired; where there is no room for one,
//! its request is refused and none is forgotten early.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::id::ConnectionId;

/// 16 random bytes that name one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

impl Nonce {
    /// As it is sent: 22 characters of base64url without padding.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What [`Self::to_text`] wrote, and nothing else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// How many nonces are remembered.
#[derive(Clone, Copy, Debug)]
pub struct NonceBounds {
    /// Of one connection: one peer keeps no other waiting.
    pub per_connection: usize,
    /// Of all.
    pub in_total: usize,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It was new and is remembered from now on.
    New,
    /// It was used before.
    Again,
    /// There is no room for it.
    NoRoom,
}

/// The nonces whose signatures have not expired.
#[derive(Debug)]
pub struct SeenNonces {
    bounds: NonceBounds,
    in_total: usize,
    swept_at: i64,
    /// By connection: each nonce, and until when it is remembered.
    seen: HashMap<ConnectionId, HashMap<Nonce, i64>>,
}

impl SeenNonces {
    /// None yet.
    #[must_use]
    pub fn new(bounds: NonceBounds) -> Self {
        Self {
            bounds,
            in_total: 0,
            swept_at: i64::MIN,
            seen: HashMap::new(),
        }
    }

    /// Remembers `nonce`, whose signature is good up to and including second `expires`.
    pub fn remember(
        &mut self,
        connection: ConnectionId,
        nonce: Nonce,
        expires: i64,
        now: i64,
    ) -> Remembered {
        // Looking through all of them once a second is enough.
        if now > self.swept_at {
            self.sweep(now);
        }
        let of_connection = self.seen.entry(connection).or_default();
        if of_connection.contains_key(&nonce) {
            return Remembered::Again;
        }
        if of_connection.len() >= self.bounds.per_connection
            || self.in_total >= self.bounds.in_total
        {
            return Remembered::NoRoom;
        }
        of_connection.insert(nonce, expires);
        self.in_total += 1;
        Remembered::New
    }

    fn sweep(&mut self, now: i64) {
        self.swept_at = now;
        for of_connection in self.seen.values_mut() {
            of_connection.retain(|_, expires| *expires >= now);
        }
        self.seen.retain(|_, nonces| !nonces.is_empty());
        self.in_total = self.seen.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::{Nonce, NonceBounds, Remembered, SeenNonces};
    use crate::model::id::ConnectionId;

    fn nonce(number: u8) -> Nonce {
        Nonce([number; 16])
    }

    #[test]
    fn a_nonce_is_taken_once_until_its_signature_has_expired() {
        let mut seen = SeenNonces::new(NonceBounds {
            per_connection: 9,
            in_total: 9,
        });
        let (one, other) = (ConnectionId::generate(), ConnectionId::generate());
        let mut take = |connection, now| seen.remember(connection, nonce(1), 60, now);
        assert_eq!(take(one, 0), Remembered::New);
        assert_eq!(take(one, 0), Remembered::Again);
        assert_eq!(take(one, 60), Remembered::Again);
        assert_eq!(take(other, 60), Remembered::New);
        assert_eq!(take(one, 61), Remembered::New);
    }

    #[test]
    fn where_there_is_no_room_nothing_is_forgotten_early() {
        let mut seen = SeenNonces::new(NonceBounds {
            per_connection: 2,
            in_total: 3,
        });
        let (one, other) = (ConnectionId::generate(), ConnectionId::generate());
        let mut take =
            |connection, number, now| seen.remember(connection, nonce(number), now + 60, now);
        assert_eq!(take(one, 1, 0), Remembered::New);
        assert_eq!(take(one, 2, 5), Remembered::New);
        assert_eq!(take(one, 3, 6), Remembered::NoRoom);
        assert_eq!(take(other, 3, 6), Remembered::New);
        assert_eq!(take(other, 4, 6), Remembered::NoRoom);
        assert_eq!(take(one, 1, 60), Remembered::Again);
        assert_eq!(take(one, 3, 61), Remembered::New);
        assert_eq!(take(one, 2, 61), Remembered::Again);
    }

    #[test]
    fn a_nonce_has_one_text() {
        let text = nonce(7).to_text();
        assert_eq!(text.len(), 22);
        assert_eq!(Nonce::from_text(&text), Some(nonce(7)));
        for other in [
            "",
            "AAAA",
            &format!("{text}=="),
            &format!("{text}A"),
            &text.replace('w', "x"),
        ] {
            assert_ne!(Nonce::from_text(other), Some(nonce(7)), "{other}");
        }
    }
}
