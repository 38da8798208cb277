//! The row layout: PostgreSQL's binary COPY tuple, on the wire, in memory and under the hash.
//!
//! A tuple is an `int16` field count, then per field an `int32` length (-1 is NULL) and that many bytes,
//! all big-endian (PostgreSQL documentation, COPY, "Tuples").
//! Invariant: a [`RowBatch`] holds whole tuples only.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::InvalidValue;
use crate::wire::buffer::Buffers;

/// The fields of one row; `None` is NULL.
pub type Fields<'a> = Vec<Option<&'a [u8]>>;

/// Some whole tuples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowBatch {
    /// How many.
    pub rows: u32,
    /// One after the other.
    pub data: Bytes,
}

/// Reads one tuple off the front of `data`: its fields and what follows it.
///
/// # Errors
/// When the bytes end early or a length is negative.
pub fn split_tuple(data: &[u8]) -> Result<(Fields<'_>, &[u8]), InvalidValue> {
    let (count, mut rest) = field_count(data)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let (field, after) = split_field(rest)?;
        fields.push(field);
        rest = after;
    }
    Ok((fields, rest))
}

/// How many fields the tuple at the front of `data` has, and where they begin.
///
/// # Errors
/// As [`split_tuple`].
pub fn field_count(data: &[u8]) -> Result<(usize, &[u8]), InvalidValue> {
    let (count, rest) = data.split_first_chunk::<2>().ok_or_else(cut)?;
    let count =
        u16::try_from(i16::from_be_bytes(*count)).map_err(|_| fault("a negative field count"))?;
    Ok((usize::from(count), rest))
}

/// Reads one field, of which `None` is NULL, off the front of `data`, and what follows it.
///
/// # Errors
/// As [`split_tuple`].
pub fn split_field(data: &[u8]) -> Result<(Option<&[u8]>, &[u8]), InvalidValue> {
    let (length, after) = data.split_first_chunk::<4>().ok_or_else(cut)?;
    match i32::from_be_bytes(*length) {
        -1 => Ok((None, after)),
        length => {
            let length = usize::try_from(length).map_err(|_| fault("a negative length"))?;
            let (value, after) = after.split_at_checked(length).ok_or_else(cut)?;
            Ok((Some(value), after))
        }
    }
}

/// The length in bytes of the tuple at the front of `data`; `None` when it is not all there yet.
///
/// # Errors
/// When a length is negative.
pub fn tuple_length(data: &[u8]) -> Result<Option<usize>, InvalidValue> {
    let Some((count, mut rest)) = data.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let count =
        u16::try_from(i16::from_be_bytes(*count)).map_err(|_| fault("a negative field count"))?;
    for _ in 0..count {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = match i32::from_be_bytes(*length) {
            -1 => 0,
            length => usize::try_from(length).map_err(|_| fault("a negative length"))?,
        };
        let Some((_, after)) = after.split_at_checked(length) else {
            return Ok(None);
        };
        rest = after;
    }
    Ok(Some(data.len() - rest.len()))
}

/// One field of the tuple at the front of `data`, by its place; `None` is NULL.
///
/// # Errors
/// When the bytes end early, a length is negative, or there is no such field.
pub fn field_at(data: &[u8], at: usize) -> Result<Option<&[u8]>, InvalidValue> {
    let (count, mut rest) = field_count(data)?;
    if at >= count {
        return Err(fault("it has too few fields"));
    }
    for _ in 0..at {
        rest = split_field(rest)?.1;
    }
    Ok(split_field(rest)?.0)
}

fn cut() -> InvalidValue {
    fault("it ends early")
}

fn fault(what: &str) -> InvalidValue {
    InvalidValue::new("row", what)
}

/// Iterates over the tuples of a batch, each as its own bytes.
#[derive(Clone, Debug)]
pub struct Tuples<'a>(&'a [u8]);

impl RowBatch {
    /// The tuples, in order.
    #[must_use]
    pub fn tuples(&self) -> Tuples<'_> {
        Tuples(&self.data)
    }
}

impl<'a> Iterator for Tuples<'a> {
    type Item = Result<&'a [u8], InvalidValue>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = tuple_length(self.0).and_then(|length| {
            length
                .and_then(|length| self.0.split_at_checked(length))
                .ok_or_else(cut)
        });
        match split {
            Ok((tuple, rest)) => {
                self.0 = rest;
                Some(Ok(tuple))
            }
            Err(err) => {
                self.0 = &[];
                Some(Err(err))
            }
        }
    }
}

/// Builds batches tuple by tuple.
#[derive(Debug, Default)]
pub struct RowWriter {
    rows: u32,
    data: BytesMut,
    buffers: Buffers,
}

impl RowWriter {
    /// For a stream of batches that are taken once they hold `target` bytes: their memory is used again.
    #[must_use]
    pub fn for_batches_of(target: usize) -> Self {
        Self {
            buffers: Buffers::for_batches_of(target),
            ..Self::default()
        }
    }

    /// Begins a tuple of `fields` fields; exactly that many calls of [`Self::field`] must follow.
    pub fn begin(&mut self, fields: u16) {
        self.begin_row();
        self.data.put_u16(fields);
    }

    /// Adds one field; `None` is NULL. A value above 2 GiB cannot occur: rows are bounded far below.
    pub fn field(&mut self, value: Option<&[u8]>) {
        match value.map(|value| (i32::try_from(value.len()), value)) {
            Some((Ok(length), value)) => {
                self.data.put_i32(length);
                self.data.put_slice(value);
            }
            Some((Err(_), _)) | None => self.data.put_i32(-1),
        }
    }

    /// Adds a whole tuple as it is.
    pub fn tuple(&mut self, tuple: &[u8]) {
        self.begin_row();
        self.data.put_slice(tuple);
    }

    /// Adds the tuple `tuple`, which must have a field for each of `steps`, as `put` adds it; on an error nothing.
    ///
    /// # Errors
    /// That of `put`, with the field's place; 0 and what is wrong when the tuple itself is broken.
    pub fn rewrite<S>(
        &mut self,
        tuple: &[u8],
        steps: &[S],
        put: impl Fn(&S, Option<&[u8]>, &mut Self) -> Result<(), InvalidValue>,
    ) -> Result<(), (usize, InvalidValue)> {
        let broken = |what: &str| (0, fault(what));
        // Read field by field: a list of them would take memory for every row.
        let (found, mut rest) = field_count(tuple).map_err(|err| (0, err))?;
        let wanted = steps.len();
        if found != wanted {
            return Err(broken(&format!(
                "it has {found} fields instead of {wanted}"
            )));
        }
        let before = self.len();
        self.begin(u16::try_from(found).map_err(|_| broken("it has too many fields"))?);
        for (at, step) in steps.iter().enumerate() {
            let put = match split_field(rest) {
                Ok((field, after)) => {
                    rest = after;
                    put(step, field, self).map_err(|err| (at, err))
                }
                Err(err) => Err((0, err)),
            };
            if put.is_err() {
                self.take_back(before);
                return put;
            }
        }
        if !rest.is_empty() {
            self.take_back(before);
            return Err(broken("something follows it"));
        }
        Ok(())
    }

    /// Takes back the tuple added last, before which there were `length` bytes.
    pub fn take_back(&mut self, length: usize) {
        self.data.truncate(length);
        self.rows = self.rows.saturating_sub(1);
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// What was written, leaving nothing.
    pub fn take(&mut self) -> RowBatch {
        let length = self.data.len();
        RowBatch {
            rows: std::mem::take(&mut self.rows),
            data: self.buffers.pass_on(&mut self.data, length),
        }
    }

    fn begin_row(&mut self) {
        self.rows += 1;
        if self.data.capacity() == 0 {
            self.data = self.buffers.empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{RowBatch, RowWriter, field_at, split_tuple};

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(
            prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..5), 0..10))
        {
            let mut writer = RowWriter::default();
            for row in &rows {
                writer.begin(u16::try_from(row.len()).unwrap());
                for field in row {
                    writer.field(field.as_deref());
                }
            }
            let batch = writer.take();
            prop_assert_eq!(usize::try_from(batch.rows).unwrap(), rows.len());
            let read: Vec<Vec<Option<Vec<u8>>>> = batch
                .tuples()
                .map(|tuple| {
                    let tuple = tuple.unwrap();
                    let (fields, rest) = split_tuple(tuple).unwrap();
                    assert!(rest.is_empty() && field_at(tuple, fields.len()).is_err());
                    for (at, field) in fields.iter().enumerate() {
                        assert_eq!(field_at(tuple, at), Ok(*field));
                    }
                    fields.into_iter().map(|field| field.map(<[u8]>::to_vec)).collect()
                })
                .collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn any_bytes_are_an_error_or_tuples_but_never_a_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let batch = RowBatch { rows: 0, data: data.into() };
            for tuple in batch.tuples().flatten() {
                let _ = (split_tuple(tuple), field_at(tuple, 1));
            }
        }
    }
}
