//! Rows out of a COPY, a batch at a time, and their first fields taken off.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::cutter::{CutFault, Cutter};
use crate::engine::postgres::fault::{fault, writing};
use crate::engine::sql::Sql;
use crate::model::table::TableName;
use crate::wire::InvalidValue;
use crate::wire::row::{RowBatch, field_count, split_field};

/// Shows all batches of `statement`, a `copy ... to stdout (format binary)`, to `see`.
pub(super) async fn copied_out(
    session: &mut Session,
    table: &TableName,
    statement: &Sql,
    mut see: impl FnMut(RowBatch) -> Result<(), EngineError>,
) -> Result<(), Fault> {
    let connection = session.raw().map_err(|err| fault(err, table))?;
    let copy = connection.copy_out_raw(statement.text()).await;
    let mut messages = copy.map_err(|err| writing(err, table))?;
    let mut cutter = Cutter::default();
    while let Some(message) = messages
        .try_next()
        .await
        .map_err(|err| writing(err, table))?
    {
        cutter.push(&message).map_err(|err| match err {
            CutFault::Malformed(err) => EngineError::Lost(err.to_string()),
            CutFault::TooLarge(tuple) => EngineError::of_table(
                table,
                format!(
                    "a row here has {} bytes, more than any may have",
                    tuple.len()
                ),
            ),
        })?;
        cutter.full().map_or(Ok(()), &mut see)?;
    }
    cutter.take().map_or(Ok(()), &mut see)?;
    match cutter.has_ended() {
        true => Ok(()),
        false => Err(EngineError::Lost("a COPY ended early".to_owned()).into()),
    }
}

/// A tuple with the first `fields` of another, and one with the rest.
pub(super) struct Split<'t> {
    fields: usize,
    first: &'t [u8],
    others: usize,
    rest: &'t [u8],
}

impl<'t> Split<'t> {
    /// Takes the first `fields` off `tuple`.
    pub(super) fn of(tuple: &'t [u8], fields: usize) -> Result<Self, InvalidValue> {
        let (count, behind) = field_count(tuple)?;
        let too_few = || InvalidValue::new("row", "it has too few fields");
        let others = count.checked_sub(fields).ok_or_else(too_few)?;
        let mut rest = behind;
        for _ in 0..fields {
            (_, rest) = split_field(rest)?;
        }
        let first = behind.get(..behind.len() - rest.len()).unwrap_or_default();
        Ok(Self {
            fields,
            first,
            others,
            rest,
        })
    }

    /// The tuple of the first fields.
    pub(super) fn first(&self) -> Bytes {
        tuple(self.fields, self.first)
    }

    /// The tuple of the others.
    pub(super) fn rest(&self) -> Bytes {
        tuple(self.others, self.rest)
    }
}

fn tuple(count: usize, fields: &[u8]) -> Bytes {
    let mut tuple = BytesMut::with_capacity(2 + fields.len());
    tuple.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
    tuple.put_slice(fields);
    tuple.freeze()
}
