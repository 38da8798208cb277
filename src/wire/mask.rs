//! Rows as a peer may see them: some fields as they are, some NULL, some replaced by pseudonyms.
//!
//! A pseudonym is 128 bits of BLAKE3, keyed for one connection, over its name and the value's normal form; it goes as a
//! uuid, or as the text of one. Invariant: a field comes through unchanged only where its slot says so.

use crate::base::secret::Secret;
use crate::model::table::NeutralType;
use crate::wire::row::{RowBatch, RowWriter, split_tuple};
use crate::wire::{InvalidValue, field, numeric};

/// Characters of a pseudonym that goes as text.
pub const PSEUDONYM_CHARACTERS: u32 = 36;

/// What makes a connection's pseudonyms its own.
#[derive(Clone, Debug)]
pub struct PseudonymKey(Secret<[u8; 32]>);

impl PseudonymKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: Secret<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// What turns values of type `kind` into pseudonyms called `name`. Equal values have equal pseudonyms: integers of
    /// every width, and decimals that are whole, by their value; text and bytes by their bytes; uuids by theirs.
    #[must_use]
    pub fn pseudonym(&self, name: &str, kind: NeutralType) -> Pseudonym {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose());
        let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
        hasher.update(&length.to_le_bytes());
        hasher.update(name.as_bytes());
        Pseudonym {
            hasher: Box::new(hasher),
            kind,
        }
    }
}

/// Pseudonyms of one name for values of one type.
#[derive(Clone, Debug)]
pub struct Pseudonym {
    /// Has taken in the name.
    hasher: Box<blake3::Hasher>,
    kind: NeutralType,
}

impl Pseudonym {
    /// The type that pseudonyms of values of type `kind` travel as.
    #[must_use]
    pub fn kind_of(kind: NeutralType) -> NeutralType {
        match kind {
            NeutralType::Uuid => NeutralType::Uuid,
            _ => NeutralType::Text,
        }
    }

    /// Adds what stands for `value`; NULL stays NULL.
    fn write(&self, value: Option<&[u8]>, row: &mut RowWriter) -> Result<(), InvalidValue> {
        let Some(value) = value else {
            row.field(None);
            return Ok(());
        };
        let bits = self.of(value)?;
        match Self::kind_of(self.kind) {
            NeutralType::Uuid => row.field(Some(&bits)),
            _ => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let text = uuid::Uuid::from_bytes(bits)
                    .hyphenated()
                    .encode_lower(&mut text);
                row.field(Some(text.as_bytes()));
            }
        }
        Ok(())
    }

    /// The 128 bits that stand for a value in the row layout.
    ///
    /// # Errors
    /// When the bytes are no value of the type.
    pub fn of(&self, value: &[u8]) -> Result<[u8; 16], InvalidValue> {
        let mut hasher = blake3::Hasher::clone(&self.hasher);
        let mut update = |tag: u8, bytes: &[u8]| {
            hasher.update(&[tag]).update(bytes);
        };
        match self.kind {
            NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
                update(b'i', &field::integer(self.kind, value)?.to_be_bytes());
            }
            NeutralType::Numeric => match numeric::to_i64(value)? {
                Some(whole) => update(b'i', &whole.to_be_bytes()),
                None => update(b'n', plain(&numeric::decode(value)?).as_bytes()),
            },
            NeutralType::Uuid => update(b'u', value),
            NeutralType::Bytea => update(b'b', value),
            _ => update(b't', value),
        }
        let mut bits = [0; 16];
        hasher.finalize_xof().fill(&mut bits);
        Ok(bits)
    }
}

/// A decimal without the zeros at its end that do not change its value.
fn plain(decimal: &str) -> &str {
    match decimal.contains('.') {
        true => decimal.trim_end_matches('0').trim_end_matches('.'),
        false => decimal,
    }
}

/// Where one field of a row for a peer comes from.
#[derive(Clone, Debug)]
pub enum Slot {
    /// The field at this place of the row that was read, as it is.
    Field(usize),
    /// Nothing.
    Null,
    /// What stands for the field at this place.
    Pseudonym(usize, Pseudonym),
}

/// The fields of a peer's rows, in their order.
#[derive(Clone, Debug)]
pub struct Mask(Vec<Slot>);

impl Mask {
    /// Rows of these fields.
    #[must_use]
    pub fn new(slots: Vec<Slot>) -> Self {
        Self(slots)
    }

    /// Adds the row that a peer sees of `tuple`.
    ///
    /// # Errors
    /// When the bytes are no row of the columns that this was made for.
    pub fn write(&self, tuple: &[u8], row: &mut RowWriter) -> Result<(), InvalidValue> {
        let (fields, _) = split_tuple(tuple)?;
        let too_many = |_| InvalidValue::new("row", "it has too many fields");
        row.begin(u16::try_from(self.0.len()).map_err(too_many)?);
        for slot in &self.0 {
            let at = |at: &usize| {
                let found = fields.get(*at).copied();
                found.ok_or_else(|| InvalidValue::new("row", "it has too few fields"))
            };
            match slot {
                Slot::Field(place) => row.field(at(place)?),
                Slot::Null => row.field(None),
                Slot::Pseudonym(place, pseudonym) => pseudonym.write(at(place)?, row)?,
            }
        }
        Ok(())
    }

    /// The rows that a peer sees of `batch`.
    ///
    /// # Errors
    /// See [`Self::write`].
    pub fn apply(&self, batch: &RowBatch) -> Result<RowBatch, InvalidValue> {
        let mut rows = RowWriter::default();
        for tuple in batch.tuples() {
            self.write(tuple?, &mut rows)?;
        }
        Ok(rows.take())
    }
}

#[cfg(test)]
mod tests;
