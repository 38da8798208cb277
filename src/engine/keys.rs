//! The keys of rows that were asked for, told by their bytes.
//!
//! An engine looks rows up by its own `=`, which may call other values equal; what it finds is held against these.
//! Invariant: a key passes only if it was asked for byte by byte.

use std::collections::HashSet;

use bytes::Bytes;

use crate::engine::error::EngineError;
use crate::model::table::TableName;
use crate::wire::row::{Fields, RowWriter, split_tuple};

/// Keys as tuples of the row layout, each once.
#[derive(Debug)]
pub(super) struct Keys {
    tuples: HashSet<Bytes>,
    width: u16,
}

impl Keys {
    /// Those of `table` with a value for each of `columns`; a key with a NULL is no row's.
    ///
    /// # Errors
    /// [`EngineError::Statement`] when one is no tuple of that many fields.
    pub(super) fn new(
        table: &TableName,
        columns: &[String],
        keys: &[Bytes],
    ) -> Result<Self, EngineError> {
        let broken = || EngineError::of_table(table, "a key that was asked for is no key of it");
        let mut tuples = HashSet::with_capacity(keys.len());
        for key in keys {
            let (fields, rest) = split_tuple(key).map_err(|_| broken())?;
            if fields.len() != columns.len() || !rest.is_empty() || fields.is_empty() {
                return Err(broken());
            }
            if fields.iter().all(Option::is_some) {
                tuples.insert(key.clone());
            }
        }
        Ok(Self {
            tuples,
            width: u16::try_from(columns.len()).map_err(|_| broken())?,
        })
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// The fields of each, in no order.
    pub(super) fn fields(&self) -> impl Iterator<Item = Fields<'_>> {
        let split = |tuple| split_tuple(tuple).map(|(fields, _)| fields);
        self.tuples
            .iter()
            .filter_map(move |tuple| split(tuple).ok())
    }

    /// Whether the key of these `fields` is among them.
    pub(super) fn hold<'f>(&self, fields: impl Iterator<Item = Option<&'f [u8]>>) -> bool {
        self.tuples.contains(&self.tuple(fields))
    }

    /// Takes it out; whether it was among them.
    pub(super) fn take<'f>(&mut self, fields: impl Iterator<Item = Option<&'f [u8]>>) -> bool {
        let tuple = self.tuple(fields);
        self.tuples.remove(&tuple)
    }

    fn tuple<'f>(&self, fields: impl Iterator<Item = Option<&'f [u8]>>) -> Bytes {
        let mut writer = RowWriter::default();
        writer.begin(self.width);
        for field in fields {
            writer.field(field);
        }
        writer.take().data
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;
    use crate::model::table::TableName;
    use crate::wire::row::RowWriter;
    use bytes::Bytes;

    fn key(fields: &[Option<&str>]) -> Bytes {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        for field in fields {
            writer.field(field.map(str::as_bytes));
        }
        writer.take().data
    }

    #[test]
    fn only_the_very_bytes_pass_and_each_key_counts_once() {
        let (table, columns) = (TableName::bare("t"), ["a".to_owned(), "b".to_owned()]);
        let asked = [
            key(&[Some("a"), Some("b")]),
            key(&[Some("a"), Some("b")]),
            key(&[Some("A"), None]),
        ];
        let mut keys = Keys::new(&table, &columns, &asked).unwrap();
        assert_eq!(keys.fields().count(), 1);
        let fields = |one, other| [Some(one), Some(other)].map(|text| text.map(str::as_bytes));
        for (one, other, expected) in [("a", "b", true), ("A", "b", false), ("ab", "", false)] {
            assert_eq!(keys.hold(fields(one, other).into_iter()), expected, "{one}");
        }
        assert!(keys.take(fields("a", "b").into_iter()) && keys.is_empty());
        for broken in [
            key(&[Some("a")]),
            Bytes::from_static(b"\0\x02"),
            Bytes::new(),
        ] {
            assert!(Keys::new(&table, &columns, &[broken]).is_err());
        }
    }
}
