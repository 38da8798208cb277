//! Rows as parameters of a statement: an array for each column, sent with the statement and answered at once.
//!
//! A COPY ends with a message of its own. Over TCP that waits until the server has acknowledged the one before, which it
//! puts off for some 40 ms: more than the rows of a small piece take.
//! Invariant: an array holds the bytes of the rows as they are.

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Postgres, Row as _, Type};

use crate::engine::postgres::apply::stage::Given;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::types::{Travels, travels};
use crate::model::table::NeutralType;
use crate::wire::InvalidValue;
use crate::wire::row::{RowWriter, split_tuple};

/// The values of one column, in the binary form of an array's elements.
struct Array {
    of: Travels,
    count: i32,
    has_nulls: bool,
    elements: Vec<u8>,
}

impl Array {
    fn new(of: Travels) -> Self {
        Self {
            of,
            count: 0,
            has_nulls: false,
            elements: Vec::new(),
        }
    }

    fn push(&mut self, value: Option<&[u8]>) -> Result<(), InvalidValue> {
        let length = value.map_or(Ok(-1), |value| i32::try_from(value.len()));
        let length = length.map_err(|_| InvalidValue::new("row", "a value is too large"))?;
        self.elements.extend_from_slice(&length.to_be_bytes());
        self.elements.extend_from_slice(value.unwrap_or_default());
        self.has_nulls |= value.is_none();
        self.count += 1;
        Ok(())
    }
}

impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("anyarray")
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&1_i32.to_be_bytes());
        buffer.extend_from_slice(&i32::from(self.has_nulls).to_be_bytes());
        buffer.extend_from_slice(&self.of.oid.to_be_bytes());
        buffer.extend_from_slice(&self.count.to_be_bytes());
        buffer.extend_from_slice(&1_i32.to_be_bytes());
        buffer.extend_from_slice(&self.elements);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.of.array)))
    }
}

/// What `given` takes of `rows`, which are at least one.
pub(super) fn arguments(given: &Given, rows: &[Bytes]) -> Result<PgArguments, InvalidValue> {
    let columns = given.columns.iter();
    let mut arrays: Vec<Array> = columns.map(|(_, of)| Array::new(*of)).collect();
    for row in rows {
        let (fields, _) = split_tuple(row)?;
        for (array, (at, _)) in arrays.iter_mut().zip(&given.columns) {
            array.push(fields.get(*at).copied().flatten())?;
        }
    }
    if given.is_placed {
        let mut places = Array::new(travels(NeutralType::Int4));
        for (place, _) in (0_i32..).zip(rows) {
            places.push(Some(&place.to_be_bytes()))?;
        }
        arrays.push(places);
    }
    let mut arguments = PgArguments::default();
    for array in arrays {
        let added = arguments.add(array);
        added.map_err(|err| InvalidValue::new("row", err.to_string()))?;
    }
    Ok(arguments)
}

impl Session {
    /// Runs a statement; how many rows it touched.
    pub(super) async fn execute_given(
        &mut self,
        given: &Given,
        arguments: PgArguments,
    ) -> Result<u64, sqlx::Error> {
        let text = AssertSqlSafe(given.statement.text().to_owned());
        let done = sqlx::query_with(text, arguments)
            .execute(self.raw()?)
            .await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement; the rows it answers with, each with its place if it has to tell that.
    pub(super) async fn fetch_given(
        &mut self,
        given: &Given,
        arguments: PgArguments,
    ) -> Result<Vec<(usize, Bytes)>, sqlx::Error> {
        let text = AssertSqlSafe(given.statement.text().to_owned());
        let mut answer = sqlx::query_with(text, arguments).fetch(self.raw()?);
        let (mut found, mut writer) = (Vec::new(), RowWriter::default());
        while let Some(row) = answer.try_next().await? {
            let place = if given.is_placed {
                usize::try_from(row.try_get::<i32, _>(0)?).unwrap_or(usize::MAX)
            } else {
                found.len()
            };
            let began = writer.len();
            put(&row, usize::from(given.is_placed), &mut writer)?;
            found.push((place, began..writer.len()));
        }
        let data = writer.take().data;
        let rows = found.into_iter();
        Ok(rows.map(|(place, row)| (place, data.slice(row))).collect())
    }
}

/// Adds the columns of `row` from `first` on.
fn put(row: &PgRow, first: usize, writer: &mut RowWriter) -> Result<(), sqlx::Error> {
    writer.begin(u16::try_from(row.len() - first).unwrap_or(u16::MAX));
    for at in first..row.len() {
        // The only fault there can be is that it is NULL.
        writer.field(row.try_get_raw(at)?.as_bytes().ok());
    }
    Ok(())
}
