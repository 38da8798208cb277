//! What a plan for one table consists of: changes that hold for rows that are what the plan says they are.
//!
//! Values alone; who carries it out is each engine's business. Invariant: a change knows what its row is here, so that what
//! the site's own application wrote meanwhile is told from what the plan was made of.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use tokio::sync::mpsc;

use crate::engine::error::EngineError;
use crate::engine::held::Held;
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::tally::RowHash;

/// What a row is: of its bytes as they are read from the destination, in the job's columns.
pub type Fingerprint = Arc<dyn Fn(&[u8]) -> Result<RowHash, InvalidValue> + Send + Sync>;

/// What is to become of one row, and what it is here as the plan was made. Rows have the job's columns, keys the columns of
/// the job's key in its order, all in the destination's neutral types. A keyless row that is to be deleted comes without a
/// key; what stands there inside an engine is where the row is (`engine::enact::find`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is only there.
    Insert {
        /// The row.
        row: Bytes,
    },
    /// It is on both sides, with other values.
    Update {
        /// The row as it is there.
        row: Bytes,
        /// What it is here.
        here: RowHash,
    },
    /// It is only here. [`Mirror`](crate::model::run::SyncMode::Mirror) deletes it, every other mode leaves it. Where keys
    /// fold, a plan tells these in every mode: an incoming row whose key this database calls equal takes that row's place.
    Delete {
        /// Its key.
        key: Bytes,
        /// What it is here.
        here: RowHash,
    },
}

const INSERT: u8 = 0;
const UPDATE: u8 = 1;
const DELETE: u8 = 2;

impl Change {
    /// How many bytes its row or key has.
    pub(super) fn size(&self) -> usize {
        self.tuple().len()
    }

    /// Its row, or its key.
    pub(super) fn tuple(&self) -> &Bytes {
        match self {
            Self::Insert { row } | Self::Update { row, .. } => row,
            Self::Delete { key, .. } => key,
        }
    }

    /// The row as it is there.
    pub(super) fn row(&self) -> Option<&Bytes> {
        match self {
            Self::Insert { row } | Self::Update { row, .. } => Some(row),
            Self::Delete { .. } => None,
        }
    }

    /// What the row is here.
    pub(super) fn here(&self) -> Option<RowHash> {
        match self {
            Self::Insert { .. } => None,
            Self::Update { here, .. } | Self::Delete { here, .. } => Some(*here),
        }
    }

    /// In one piece, to be held.
    fn pack(&self) -> Vec<u8> {
        let (kind, here) = match self {
            Self::Insert { .. } => (INSERT, RowHash(0)),
            Self::Update { here, .. } => (UPDATE, *here),
            Self::Delete { here, .. } => (DELETE, *here),
        };
        let mut packed = Vec::with_capacity(17 + self.size());
        packed.put_u8(kind);
        packed.put_u128_le(here.0);
        packed.put_slice(self.tuple());
        packed
    }

    fn unpack(packed: &[u8]) -> Option<Self> {
        let (kind, rest) = packed.split_first()?;
        let (here, tuple) = rest.split_first_chunk::<16>()?;
        let (here, tuple) = (
            RowHash(u128::from_le_bytes(*here)),
            Bytes::copy_from_slice(tuple),
        );
        match *kind {
            INSERT => Some(Self::Insert { row: tuple }),
            UPDATE => Some(Self::Update { row: tuple, here }),
            DELETE => Some(Self::Delete { key: tuple, here }),
            _ => None,
        }
    }
}

/// A piece of a plan for one table. A plan that ends without [`Planned::End`] was cut.
#[derive(Debug)]
pub enum Planned {
    /// Some changes, in any order; but deletions of equal rows without a key follow each other.
    Changes(Vec<Change>),
    /// Rows that come and cannot be stored; of each the key alone. What stands in their place stays.
    Unfit(Vec<Bytes>),
    /// That was all of them.
    End,
}

/// A bounded stream of changes.
pub type PlanStream = mpsc::Receiver<Result<Planned, EngineError>>;

/// What becomes, at the end of a plan, of changes that only fit once other rows are there, or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They are given back, for a later call that begins with them.
    GiveBack,
    /// They are refused.
    Refuse,
}

/// Changes that fit only once other rows are there, or gone. Kept in a file without a name when they are many.
#[derive(Debug, Default)]
pub struct Waiting(Held);

impl Waiting {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, change: &Change) -> Result<(), EngineError> {
        self.0.push(&change.pack())
    }

    /// The change at `at`.
    pub(super) fn get(&mut self, at: usize) -> Result<Option<Change>, EngineError> {
        Ok(Change::unpack(&self.0.get(at)?))
    }

    /// Turns the order around.
    pub(super) fn reverse(&mut self) -> Result<(), EngineError> {
        self.0.reverse()
    }

    /// Keeps only the changes whose place `keep` wants.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) -> Result<(), EngineError> {
        self.0.retain(keep)
    }
}

/// Rows that differ from the source's because mode or strategy say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftInPlace {
    /// Those rows as they are here.
    pub here: RowSum,
    /// The rows of the source that they hide, or that are not taken over.
    pub there: RowSum,
}

impl LeftInPlace {
    /// Counts `other` in.
    pub fn add(&mut self, other: &Self) {
        self.here.merge(other.here);
        self.there.merge(other.there);
    }

    /// Whether the source's rows are exactly the destination's, less what is left, plus what that hides.
    #[must_use]
    pub fn proves(&self, source: RowSum, destination: RowSum) -> bool {
        source.plus(self.here) == destination.plus(self.there)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Waiting};
    use crate::wire::tally::RowHash;

    #[test]
    fn changes_come_back_as_they_went_to_wait() {
        let here = RowHash(7 << 100);
        let changes = [
            Change::Insert { row: "new".into() },
            Change::Update {
                row: "other".into(),
                here,
            },
            Change::Delete {
                key: "".into(),
                here,
            },
        ];
        let mut waiting = Waiting::default();
        for change in &changes {
            waiting.push(change).unwrap();
        }
        waiting.reverse().unwrap();
        for (at, change) in changes.iter().rev().enumerate() {
            assert_eq!(waiting.get(at).unwrap().as_ref(), Some(change));
        }
        assert_eq!(waiting.get(3).unwrap(), None);
    }
}
