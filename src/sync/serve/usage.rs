//! What each connection took today: rows and bytes, in the day of the site's time zone.
//!
//! Counted here, in the one daemon that is active, and kept in the state. Invariant: where a day has a bound, the state
//! says at least as much as was sent, so that a crash gives nobody a second day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::connection::Connection;
use crate::model::grant::Limits;
use crate::model::id::ConnectionId;
use crate::store::{StoreError, Usage};
use crate::sync::Ctx;
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::limits::{LimitFault, on_site, until_tomorrow};

/// How far ahead of what is sent the state is written, so that it is not written for every frame.
const AHEAD: Usage = Usage {
    rows: 50_000,
    bytes: 8 << 20,
};

/// What was taken today.
#[derive(Debug, Default)]
pub struct DailyUsage(Mutex<HashMap<ConnectionId, Day>>);

#[derive(Clone, Copy, Debug)]
struct Day {
    date: Date,
    used: Usage,
    /// What the state says.
    kept: Usage,
    /// Streams under way.
    streams: u32,
}

impl DailyUsage {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<ConnectionId, Day>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A stream of `connection` begins.
    pub(super) fn begin(&self, connection: ConnectionId) {
        self.with(|days| {
            if let Some(day) = days.get_mut(&connection) {
                day.streams += 1;
            }
        });
    }

    /// Counts `more` in; gives what the state has to say before anything is sent.
    fn charge(
        &self,
        connection: &Connection,
        date: Date,
        more: Usage,
    ) -> Result<Option<Usage>, Exceeded> {
        let limits = &connection.grant.limits;
        self.with(|days| {
            let day = days
                .entry(connection.id)
                .or_insert(Day::new(date, Usage::default()));
            day.turn_to(date, Usage::default());
            let used = day.used.plus(more);
            exceeded(limits, used)?;
            day.used = used;
            let is_bounded = limits.rows_per_day.is_some() || limits.bytes_per_day.is_some();
            let is_behind = used.rows > day.kept.rows || used.bytes > day.kept.bytes;
            if !is_bounded || !is_behind {
                return Ok(None);
            }
            // Ahead only while a stream is under way, whose end writes what it really was.
            day.kept = if day.streams > 0 {
                used.plus(AHEAD)
            } else {
                used
            };
            Ok(Some(day.kept))
        })
    }
}

impl Day {
    fn new(date: Date, used: Usage) -> Self {
        Self {
            date,
            used,
            kept: used,
            streams: 0,
        }
    }

    /// Begins the day of `date` with what was used of it, unless it is that day already.
    fn turn_to(&mut self, date: Date, used: Usage) {
        if self.date != date {
            *self = Self {
                streams: self.streams,
                ..Self::new(date, used)
            };
        }
    }
}

/// Which bound, and what it is.
#[derive(Clone, Copy, Debug)]
enum Exceeded {
    Rows(u64),
    Bytes(u64),
}

impl Exceeded {
    fn told(self, retry_after: u64) -> LimitFault {
        match self {
            Self::Rows(limit) => LimitFault::Rows { limit, retry_after },
            Self::Bytes(limit) => LimitFault::Bytes { limit, retry_after },
        }
    }
}

fn exceeded(limits: &Limits, used: Usage) -> Result<(), Exceeded> {
    match (limits.rows_per_day, limits.bytes_per_day) {
        (Some(limit), _) if used.rows > limit => Err(Exceeded::Rows(limit)),
        (_, Some(limit)) if used.bytes > limit => Err(Exceeded::Bytes(limit)),
        _ => Ok(()),
    }
}

/// What `connection` may still take today; `None` is without end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) rows: Option<u64>,
    pub(super) bytes: Option<u64>,
}

/// What is left of the day. Reads what the state says where nothing is known yet.
///
/// # Errors
/// [`LimitFault`] where nothing is left of rows or bytes; our own state's.
pub(super) async fn left(
    ctx: &Ctx,
    connection: &Connection,
    now: Timestamp,
) -> Result<Left, ServeError> {
    let now = on_site(ctx, now);
    let used = load(ctx, connection.id, now.date()).await?;
    let limits = &connection.grant.limits;
    let one = Usage { rows: 1, bytes: 1 };
    exceeded(limits, used.plus(one)).map_err(|fault| fault.told(until_tomorrow(&now)))?;
    Ok(Left {
        rows: limits.rows_per_day.map(|limit| limit - used.rows),
        bytes: limits.bytes_per_day.map(|limit| limit - used.bytes),
    })
}

async fn load(ctx: &Ctx, connection: ConnectionId, date: Date) -> Result<Usage, StoreError> {
    let known = ctx.usage.with(|days| days.get(&connection).copied());
    if let Some(day) = known.filter(|day| day.date == date) {
        return Ok(day.used);
    }
    let kept = ctx.store.usage(connection, date).await?;
    Ok(ctx.usage.with(|days| {
        let day = days.entry(connection).or_insert(Day::new(date, kept));
        // Another request may have been faster.
        day.turn_to(date, kept);
        day.used
    }))
}

/// Counts rows and bytes that are about to be sent. [`left`] was asked before.
///
/// # Errors
/// [`LimitFault`] when they would be too many: then they must not be sent; our own state's.
pub(super) async fn charge(
    ctx: &Ctx,
    connection: &Connection,
    more: Usage,
    now: Timestamp,
) -> Result<(), ServeError> {
    let now = on_site(ctx, now);
    let charged = ctx.usage.charge(connection, now.date(), more);
    let charged = charged.map_err(|fault| fault.told(until_tomorrow(&now)))?;
    if let Some(kept) = charged {
        ctx.store
            .keep_usage(connection.id, now.date(), kept)
            .await?;
    }
    Ok(())
}

/// A stream ended: keeps what was really taken. What cannot be kept is logged.
pub(super) async fn settle(ctx: &Ctx, connection: ConnectionId) {
    let day = ctx.usage.with(|days| {
        let day = days.get_mut(&connection)?;
        day.streams = day.streams.saturating_sub(1);
        if day.streams == 0 {
            day.kept = day.used;
        }
        Some(*day)
    });
    let Some(day) = day.filter(|day| day.streams == 0) else {
        return;
    };
    if let Err(err) = ctx.store.keep_usage(connection, day.date, day.used).await {
        tracing::error!(%err, %connection, "what a peer took today was not written down");
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, DailyUsage, Exceeded};
    use crate::model::connection::{Connection, Status};
    use crate::model::fixture;
    use crate::store::Usage;
    use jiff::civil::{Date, date};

    const TODAY: Date = date(2026, 11, 21);

    fn connection(rows: Option<u64>, bytes: Option<u64>) -> Connection {
        let mut connection = fixture::connection(Status::Active, Status::Active);
        connection.grant.limits.rows_per_day = rows;
        connection.grant.limits.bytes_per_day = bytes;
        connection
    }

    fn of(rows: u64, bytes: u64) -> Usage {
        Usage { rows, bytes }
    }

    #[test]
    fn a_day_is_used_up_to_its_last_row_and_the_next_begins_anew() {
        let (usage, giving) = (DailyUsage::default(), connection(Some(10), Some(100)));
        let charge = |date, more| usage.charge(&giving, date, more);
        charge(TODAY, of(9, 50)).unwrap();
        assert!(matches!(charge(TODAY, of(2, 0)), Err(Exceeded::Rows(10))));
        assert!(matches!(
            charge(TODAY, of(1, 51)),
            Err(Exceeded::Bytes(100))
        ));
        // What was refused was not taken.
        charge(TODAY, of(1, 50)).unwrap();
        assert!(charge(TODAY, of(1, 0)).is_err());
        charge(date(2026, 11, 22), of(10, 100)).unwrap();
        let other = connection(Some(10), None);
        usage.charge(&other, TODAY, of(10, 1_000_000)).unwrap();
    }

    #[test]
    fn the_state_is_written_before_and_ahead_of_what_a_bounded_stream_sends() {
        let (usage, giving) = (DailyUsage::default(), connection(Some(1_000_000), None));
        let charge = |rows| {
            usage
                .charge(&giving, TODAY, of(rows, 0))
                .unwrap_or_else(|_| panic!("refused"))
        };
        assert_eq!(charge(5), Some(of(5, 0)));
        usage.begin(giving.id);
        let kept = charge(5).unwrap();
        assert_eq!(kept, of(10 + AHEAD.rows, AHEAD.bytes));
        assert_eq!(charge(AHEAD.rows), None);
        assert!(charge(1).unwrap().rows > kept.rows);
        let free = connection(None, None);
        let charged = usage
            .charge(&free, TODAY, of(5, 5))
            .unwrap_or_else(|_| panic!("refused"));
        assert_eq!(charged, None);
    }
}
