//! Between columns and values: what is read from a row of the state, and what is written to one.
//!
//! Invariant: a value this program did not write is [`StoreError::Corrupt`], naming table, row and column and never
//! the value itself.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;

use crate::store::StoreError;
use crate::store::pool::Row;

/// A row of a state table, with what it takes to name it.
pub(super) struct Record {
    table: &'static str,
    key: &'static str,
    row: Row,
}

macro_rules! column {
    ($record:expr, $column:expr, $kind:literal) => {
        match &$record.row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(|_| $record.corrupt($column, $kind))
    };
}

impl Record {
    /// `row` of `table`, whose column `key` tells it from others.
    pub(super) fn new(table: &'static str, key: &'static str, row: Row) -> Self {
        Self { table, key, row }
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        column!(self, column, "text")
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        column!(self, column, "text")
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        column!(self, column, "bytes")
    }

    pub(super) fn optional_bytes(
        &self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        column!(self, column, "bytes")
    }

    pub(super) fn number(&self, column: &'static str) -> Result<i64, StoreError> {
        column!(self, column, "a number")
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        column!(self, column, "true or false")
    }

    /// A number that is not negative and fits `T`.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.number(column)?).map_err(|_| self.corrupt(column, "a count"))
    }

    /// Like [`Self::count`], where the column may be NULL.
    pub(super) fn optional_count<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = column!(self, column, "a number")?;
        number
            .map(|number| T::try_from(number).map_err(|_| self.corrupt(column, "a count")))
            .transpose()
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        let micros = self.number(column)?;
        self.timestamp(column, micros)
    }

    pub(super) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let micros: Option<i64> = column!(self, column, "a time")?;
        micros
            .map(|micros| self.timestamp(column, micros))
            .transpose()
    }

    /// An identifier, a word of an enum, a name: whatever is read from text.
    pub(super) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse()
            .map_err(|_| self.corrupt(column, "what it should be"))
    }

    /// Like [`Self::parsed`], where the column may be NULL.
    pub(super) fn optional_parsed<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.optional_text(column)? else {
            return Ok(None);
        };
        let parsed = text
            .parse()
            .map_err(|_| self.corrupt(column, "what it should be"))?;
        Ok(Some(parsed))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| self.corrupt(column, "the JSON it should be"))
    }

    /// Like [`Self::json`], where the column may be NULL.
    pub(super) fn optional_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.optional_text(column)? else {
            return Ok(None);
        };
        let value = serde_json::from_str(&text)
            .map_err(|_| self.corrupt(column, "the JSON it should be"))?;
        Ok(Some(value))
    }

    /// The fault of a column that does not hold `kind`.
    pub(super) fn corrupt(&self, column: &'static str, kind: &'static str) -> StoreError {
        let key: Option<String> = match &self.row {
            Row::Sqlite(row) => row.try_get(self.key).ok(),
            Row::Postgres(row) => row.try_get(self.key).ok(),
        };
        let key = key.unwrap_or_else(|| "unknown".to_owned());
        StoreError::Corrupt(format!(
            "table {}, row {key}, column {column} is not {kind}",
            self.table
        ))
    }

    fn timestamp(&self, column: &'static str, micros: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(micros).map_err(|_| self.corrupt(column, "a time"))
    }
}

/// A time as it is stored: microseconds UTC, cut.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Like [`micros`], NULL for none.
pub(super) fn optional_micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(micros)
}

/// A count as it is stored.
pub(super) fn bigint(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|fault| sqlx::Error::Encode(fault.into()).into())
}

/// Like [`bigint`], NULL for none.
pub(super) fn optional_bigint(count: Option<u64>) -> Result<Option<i64>, StoreError> {
    count.map(bigint).transpose()
}

/// A list or object as it is stored.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|fault| sqlx::Error::Encode(fault.into()).into())
}

/// Like [`to_json`], NULL for none.
pub(super) fn optional_json<T: Serialize + ?Sized>(
    value: Option<&T>,
) -> Result<Option<String>, StoreError> {
    value.map(to_json).transpose()
}

/// Whether `fault` says that another row of `table` has the name already; only those not deleted share an index.
pub(super) fn is_name_taken(fault: &StoreError, table: &str) -> bool {
    let StoreError::Database(sqlx::Error::Database(cause)) = fault else {
        return false;
    };
    // PostgreSQL names the index, SQLite the column.
    cause.is_unique_violation()
        && (cause.constraint() == Some(&format!("{table}_name"))
            || cause.message().contains(&format!("{table}.name")))
}
