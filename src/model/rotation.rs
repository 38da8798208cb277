//! How a signed connection goes over from one key to the next while both sides go on talking.
//!
//! One side makes the next key and offers it until the other has it; whoever has been offered a key signs with it at
//! once, and whoever hears the other use it knows that it arrived. Invariant: at every moment, whatever is lost or
//! repeated, each side accepts what the other signs with.

use crate::model::connection::Direction;
use crate::model::word::words;

/// What the second key of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The next one, made here: the peer may not have it yet.
    Offered,
    /// The one before: the peer may still sign with it.
    Previous,
}

words! { Stage { Offered = "offered", Previous = "previous" } }

/// The keys a side holds, by their generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// What it signs with.
    pub current: u32,
    /// What it accepts besides.
    pub second: Option<(Stage, u32)>,
}

impl Held {
    /// Whether what is signed with `generation` is looked at.
    #[must_use]
    pub fn accepts(self, generation: u32) -> bool {
        self.current == generation || self.second.is_some_and(|(_, second)| second == generation)
    }

    /// What it means that the peer signed with `generation`.
    #[must_use]
    pub fn heard(self, generation: u32) -> Heard {
        match self.second {
            Some((Stage::Offered, offered)) if offered == generation => Heard::HasOffered,
            Some((Stage::Previous, _)) if self.current == generation => Heard::UsesCurrent,
            _ => Heard::Nothing,
        }
    }
}

/// What the generation of a peer's signature tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// It has the key that was offered: this side signs with it from now on.
    HasOffered,
    /// It signs with the current key: the one before is no longer needed.
    UsesCurrent,
}

/// A key that the peer offers, by a request that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its generation.
    pub generation: u32,
    /// That of the key which signed the offer.
    pub signed_with: u32,
    /// It is the key that this side holds as `current`.
    pub is_current: bool,
}

/// What becomes of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It becomes current; the one so far is accepted still.
    Take,
    /// It was taken before, and the answer was lost.
    Known,
    /// This side offers one of its own, which stands.
    Crossed,
    /// It is not the next one.
    Stale,
}

/// One condition of an offer, to the side of `direction` that holds `held`.
pub type Check = fn(direction: Direction, held: Held, offer: Offer) -> Result<(), Reply>;

/// All of them: what passes is taken.
pub const CHECKS: [Check; 3] = [is_new, follows, gives_way];

/// What becomes of an offer, held against `checks` in their order.
#[must_use]
pub fn reply(checks: &[Check], direction: Direction, held: Held, offer: Offer) -> Reply {
    let passed = checks
        .iter()
        .try_for_each(|check| check(direction, held, offer));
    passed.err().unwrap_or(Reply::Take)
}

fn is_new(_: Direction, held: Held, offer: Offer) -> Result<(), Reply> {
    if offer.generation == held.current && offer.is_current {
        return Err(Reply::Known);
    }
    Ok(())
}

/// Another key of a generation that is in use was offered at the same time as that one.
fn follows(_: Direction, held: Held, offer: Offer) -> Result<(), Reply> {
    if offer.generation == held.current {
        return Err(Reply::Crossed);
    }
    let is_next = held.current.checked_add(1) == Some(offer.generation);
    if is_next && offer.signed_with == held.current {
        Ok(())
    } else {
        Err(Reply::Stale)
    }
}

/// Of two offers at once that of the site that gives stands, so that both sides agree on one without a word.
fn gives_way(direction: Direction, held: Held, _: Offer) -> Result<(), Reply> {
    match held.second {
        Some((Stage::Offered, _)) if direction == Direction::Sender => Err(Reply::Crossed),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
