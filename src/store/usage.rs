//! What each connection took, by day: what its grant's daily bounds are held against after a restart.

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::model::id::ConnectionId;
use crate::store::pool::{execute, fetch_optional};
use crate::store::record::{Record, bigint};
use crate::store::{Store, StoreError};

/// Days that are kept, for a person who looks into the state.
const KEPT_DAYS: i64 = 40;

/// Rows and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sent.
    pub rows: u64,
    /// Of these rows, on the wire.
    pub bytes: u64,
}

impl Usage {
    /// The sum.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(more.rows),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
}

impl Store {
    /// What a connection took on a day; nothing where nothing was written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(&self, connection: ConnectionId, day: Date) -> Result<Usage, StoreError> {
        let row = fetch_optional!(
            self,
            "select connection_id, row_count, byte_count
            from daily_usage
            where connection_id = $1
              and day = $2",
            connection.to_string(),
            day.to_string()
        );
        let Some(row) = row else {
            return Ok(Usage::default());
        };
        let record = Record::new("daily_usage", "connection_id", row);
        Ok(Usage {
            rows: record.count("row_count")?,
            bytes: record.count("byte_count")?,
        })
    }

    /// Writes down what a connection took on a day, in place of what stood there, and forgets days long past.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_usage(
        &self,
        connection: ConnectionId,
        day: Date,
        usage: Usage,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "insert into daily_usage (connection_id, day, row_count, byte_count)
            values ($1, $2, $3, $4)
            on conflict (connection_id, day) do update
            set row_count = excluded.row_count,
                byte_count = excluded.byte_count",
            connection.to_string(),
            day.to_string(),
            bigint(usage.rows)?,
            bigint(usage.bytes)?
        );
        let first = day.saturating_sub(KEPT_DAYS.days());
        execute!(
            self,
            "delete from daily_usage
            where connection_id = $1
              and day < $2",
            connection.to_string(),
            first.to_string()
        );
        Ok(())
    }
}
