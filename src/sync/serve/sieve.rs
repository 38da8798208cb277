//! What becomes of rows between the database and a peer: masked, held against what was picked, counted by their hashes.
//!
//! Pure. Invariant: what the sum counts is what passes, no more and no less.

use std::collections::HashMap;

use crate::model::table::{NeutralType, TableName};
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::json::field_to_text;
use crate::wire::mask::Mask;
use crate::wire::normal::Normal;
use crate::wire::row::{RowBatch, RowWriter, field_at};
use crate::wire::tally::{KeyFields, Prefix, RowHash, RowHasher};

/// How both sides of a session see the rows of one table.
#[derive(Clone, Debug)]
pub(super) struct Contract {
    pub(super) table: TableName,
    /// As the peer gets them.
    pub(super) columns: Vec<(String, NeutralType)>,
    /// Where among them those of the key are; none: the rows are keyless.
    pub(super) key: Vec<usize>,
    pub(super) normal: Normal,
    /// The peer sees all of the table.
    pub(super) is_whole: bool,
}

/// A row that has no normal form, or is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// The bytes are no row.
    #[error(transparent)]
    Broken(#[from] InvalidValue),
    /// In words for the peer.
    #[error("{0}")]
    Row(String),
}

impl Contract {
    pub(super) fn key_fields(&self) -> KeyFields {
        KeyFields::new(self.key.clone())
    }

    /// The normal forms of a batch's rows.
    ///
    /// # Errors
    /// The first row that has none, told by its key where the peer sees all of the table.
    pub(super) fn normalised(
        &self,
        batch: &RowBatch,
        writer: &mut RowWriter,
    ) -> Result<RowBatch, Unfit> {
        let normal = self.normal.normalise_batch(batch, writer);
        normal.map_err(|(row, at, fault)| match batch.tuples().nth(row) {
            Some(Ok(tuple)) => Unfit::Row(self.misfit(tuple, at, &fault)),
            _ => Unfit::Broken(fault),
        })
    }

    /// A row whose field at `at` has no normal form, told by its key where the peer sees all of the table.
    pub(super) fn misfit(&self, tuple: &[u8], at: usize, fault: &InvalidValue) -> String {
        let table = &self.table;
        if !self.is_whole {
            return format!(
                "table {table}: a row has no form that both sites can compare; the sender's log says which"
            );
        }
        let key = self.key_in_words(|at| field_at(tuple, at).ok().flatten().map(<[u8]>::to_vec));
        let column = self.columns.get(at).map_or("?", |(name, _)| name.as_str());
        format!(
            "table {table}, key {key}, column {column}: the value has no form that both sites can compare: {fault}"
        )
    }

    /// A key, in its normal form, that two rows have.
    pub(super) fn twice(&self, key: &[u8]) -> String {
        let table = &self.table;
        let mut fields = 0..;
        let restored = |at| {
            let normal = field_at(key, fields.next()?).ok().flatten()?;
            self.normal.restore(at, normal).ok().flatten()
        };
        let key = self.key_in_words(restored);
        match self.is_whole {
            true => format!(
                "table {table}, key {key}: two rows have this key once it is compared by value"
            ),
            false => format!("table {table}: two rows have one key once it is compared by value"),
        }
    }

    fn key_in_words(&self, mut field: impl FnMut(usize) -> Option<Vec<u8>>) -> String {
        if self.key.is_empty() {
            return "(none)".to_owned();
        }
        let shown = self.key.iter().map(|at| {
            let (name, kind) = self.columns.get(*at)?;
            let value = field(*at)?;
            Some(format!("{name}={}", field_to_text(*kind, Some(&value))))
        });
        let shown: Vec<String> = shown
            .map(|part| part.unwrap_or_else(|| "?".to_owned()))
            .collect();
        shown.join(", ")
    }
}

/// Rows that a peer picked, out of all that are read.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// All below these, none of which stands below another, in order.
    pub(super) nodes: Vec<Prefix>,
    /// Those with these hashes, of each so many; taken out as they come by.
    pub(super) hashes: HashMap<u128, u64>,
    /// What they are together.
    pub(super) expected: RowSum,
}

impl Picked {
    /// Counts in `rows` that are equal.
    pub(super) fn add(&mut self, hash: RowHash, rows: u64) {
        self.expected.rows = self.expected.rows.saturating_add(rows);
        let sum = hash.0.wrapping_mul(u128::from(rows));
        self.expected.sum = self.expected.sum.wrapping_add(sum);
        *self.hashes.entry(hash.0).or_default() += rows;
    }

    /// Takes out one row; whether it was meant.
    fn take(&mut self, hash: RowHash) -> bool {
        match self.hashes.get_mut(&hash.0) {
            Some(rows) if *rows > 1 => {
                *rows -= 1;
                true
            }
            Some(_) => self.hashes.remove(&hash.0).is_some(),
            None => false,
        }
    }
}

/// Counts by hashes of normal forms.
#[derive(Debug)]
pub(super) struct ByContract {
    pub(super) contract: Contract,
    pub(super) hasher: RowHasher,
    /// `None`: all rows.
    pub(super) picked: Option<Picked>,
    pub(super) fields: KeyFields,
    pub(super) writer: RowWriter,
    pub(super) scratch: Vec<u8>,
}

/// How rows are counted, and which of them pass.
#[derive(Debug, Default)]
enum Counting {
    /// All of them, by the hashes of their bytes as they are sent.
    #[default]
    Plain,
    ByContract(Box<ByContract>),
}

/// What rows go through.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    mask: Option<Mask>,
    counting: Counting,
    total: RowSum,
}

impl Sieve {
    /// Lets of each row through what `mask` leaves; `None`: all of it.
    pub(super) fn masked_by(mask: Option<Mask>) -> Self {
        Self {
            mask,
            ..Self::default()
        }
    }

    /// Counts rows, and picks them, by a contract.
    pub(super) fn by_contract(self, contract: ByContract) -> Self {
        Self {
            counting: Counting::ByContract(Box::new(contract)),
            ..self
        }
    }

    /// What has passed.
    pub(super) fn total(&self) -> RowSum {
        self.total
    }

    /// Whether rows that were picked have not passed.
    pub(super) fn lacks_rows(&self) -> bool {
        match &self.counting {
            Counting::Plain => false,
            Counting::ByContract(by) => {
                let mut picked = by.picked.iter();
                picked.any(|picked| picked.expected != self.total)
            }
        }
    }

    /// Those of the rows that pass, as the peer sees them.
    ///
    /// # Errors
    /// When the bytes are no rows, or a row does not fit the contract.
    pub(super) fn pass(&mut self, mut batch: RowBatch) -> Result<RowBatch, Unfit> {
        if let Some(mask) = &self.mask {
            batch = mask.apply(&batch)?;
        }
        match &mut self.counting {
            Counting::Plain => {
                for tuple in batch.tuples() {
                    self.total.add(tuple?);
                }
                Ok(batch)
            }
            Counting::ByContract(by) => by.pass(batch, &mut self.total),
        }
    }
}

impl ByContract {
    fn pass(&mut self, batch: RowBatch, total: &mut RowSum) -> Result<RowBatch, Unfit> {
        let normal = self.contract.normalised(&batch, &mut self.writer)?;
        let place_of = self.hasher.key().clone();
        let hashes = self.hasher.hashes(normal.tuples())?;
        let Some(picked) = &mut self.picked else {
            for hash in hashes {
                total.count(hash.0);
            }
            return Ok(batch);
        };
        for ((tuple, normal), hash) in batch.tuples().zip(normal.tuples()).zip(hashes) {
            let (tuple, normal) = (tuple?, normal?);
            let mut is_picked = picked.take(*hash);
            if !is_picked && !picked.nodes.is_empty() {
                self.scratch.clear();
                self.fields.append(normal, &mut self.scratch)?;
                let place = match self.fields.is_keyless() {
                    false => place_of.place(&self.scratch),
                    true => place_of.place_of_keyless(*hash),
                };
                let behind = picked
                    .nodes
                    .partition_point(|node| *node <= Prefix::above(place, u8::MAX));
                let node = behind.checked_sub(1).and_then(|at| picked.nodes.get(at));
                is_picked = node.is_some_and(|node| node.contains(place));
            }
            if is_picked {
                total.count(hash.0);
                self.writer.tuple(tuple);
            }
        }
        Ok(self.writer.take())
    }
}
