//! Alerts: which causes stand, and what the administrator was told of them, so that a restart neither repeats nor
//! forgets.
//!
//! It decides nothing: what is told when stands in `model/alert.rs`.

use crate::model::alert::Alert;
use crate::store::pool::{execute, fetch_all};
use crate::store::record::{Record, micros, optional_micros};
use crate::store::{Store, StoreError};

impl Store {
    /// All there are, the longest seen first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        let rows = fetch_all!(
            self,
            "select cause, event, what, since, message, hint, seen_at, over_at, told, attempts,
                next_attempt_at, fault
            from alert
            order by seen_at, cause"
        );
        rows.into_iter()
            .map(|row| alert(&Record::new("alert", "cause", row)))
            .collect()
    }

    /// Keeps it, in place of the one of the same cause.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_alert(&self, alert: &Alert) -> Result<(), StoreError> {
        execute!(
            self,
            "insert into alert
                (cause, event, what, since, message, hint, seen_at, over_at, told, attempts,
                next_attempt_at, fault)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (cause) do update
            set event = excluded.event,
                what = excluded.what,
                since = excluded.since,
                message = excluded.message,
                hint = excluded.hint,
                seen_at = excluded.seen_at,
                over_at = excluded.over_at,
                told = excluded.told,
                attempts = excluded.attempts,
                next_attempt_at = excluded.next_attempt_at,
                fault = excluded.fault",
            &alert.cause,
            alert.event.as_str(),
            &alert.what,
            micros(alert.since),
            // PostgreSQL takes no NUL in text, and a message may hold a peer's words.
            alert.message.replace('\0', ""),
            alert.hint.replace('\0', ""),
            micros(alert.seen_at),
            optional_micros(alert.over_at),
            alert.told,
            i64::from(alert.attempts),
            optional_micros(alert.next_attempt_at),
            &alert.fault
        );
        Ok(())
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_alert(&self, cause: &str) -> Result<(), StoreError> {
        execute!(self, "delete from alert where cause = $1", cause);
        Ok(())
    }
}

fn alert(record: &Record) -> Result<Alert, StoreError> {
    Ok(Alert {
        cause: record.text("cause")?,
        event: record.parsed("event")?,
        what: record.text("what")?,
        since: record.time("since")?,
        message: record.text("message")?,
        hint: record.text("hint")?,
        seen_at: record.time("seen_at")?,
        over_at: record.optional_time("over_at")?,
        told: record.flag("told")?,
        attempts: record.count("attempts")?,
        next_attempt_at: record.optional_time("next_attempt_at")?,
        fault: record.optional_text("fault")?,
    })
}
