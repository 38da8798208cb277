//! How a connection stands between both sides: one step of it is one statement, taken only from the standing it was
//! decided on.

use jiff::Timestamp;

use crate::model::connection::{Status, Unknown};
use crate::model::id::ConnectionId;
use crate::model::standing::Standing;
use crate::store::pool::execute;
use crate::store::record::{Record, micros, optional_micros};
use crate::store::{Store, StoreError};

/// A step from one standing to the next.
#[derive(Clone, Debug)]
pub struct StandingStep {
    /// As it was read.
    pub before: Standing,
    /// As it is to be: our own decision and deletion as before, which are set elsewhere.
    pub after: Standing,
    /// What people are told of it from now on; `None` leaves what they are told.
    pub reason: Option<Option<String>>,
}

impl Store {
    /// Takes `step`, and counts as contact with the peer; `false` where the connection stands otherwise by now, and
    /// nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_standing(
        &self,
        id: ConnectionId,
        step: &StandingStep,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let StandingStep { before, after, .. } = step;
        // PostgreSQL takes no NUL in text, and a peer may send anything.
        let reason = step.reason.as_ref().and_then(Option::as_deref);
        let reason = reason.map(|reason| reason.replace('\0', ""));
        let unknown = after.unknown;
        let touched = execute!(
            self,
            "update connection
            set epoch = $2,
                acked_epoch = $3,
                remote_status = $4,
                remote_epoch = $5,
                unknown_times = $6,
                unknown_since = $7,
                severed_from = $8,
                contradicted = $9,
                peer_deleted = $10,
                status_reason = case when $11 then $12 else status_reason end,
                exchanged_at = $13,
                last_contact_at = $13,
                unreachable_since = null,
                next_attempt_at = null
            where id = $1
              and (epoch, acked_epoch, remote_status, remote_epoch, unknown_times, local_status)
                = ($14, $15, $16, $17, $18, $19)
              and (deleted_at is not null) = $20",
            id.to_string(),
            after.epoch,
            after.acked_epoch,
            after.remote.as_str(),
            after.remote_epoch,
            unknown.map_or(0, |unknown| i64::from(unknown.times)),
            optional_micros(unknown.map(|unknown| unknown.since)),
            unknown
                .and_then(|unknown| unknown.severed_from)
                .map(Status::as_str),
            after.contradicted,
            after.peer_deleted,
            step.reason.is_some(),
            reason,
            micros(now),
            before.epoch,
            before.acked_epoch,
            before.remote.as_str(),
            before.remote_epoch,
            before.unknown.map_or(0, |unknown| i64::from(unknown.times)),
            before.local.as_str(),
            before.deleted
        );
        Ok(touched > 0)
    }
}

/// What a row says of a peer that does not know the connection.
pub(super) fn unknown(record: &Record) -> Result<Option<Unknown>, StoreError> {
    let times = u32::try_from(record.number("unknown_times")?)
        .map_err(|_| record.corrupt("unknown_times", "a number of times"))?;
    if times == 0 {
        return Ok(None);
    }
    let severed_from = record.optional_text("severed_from")?;
    Ok(Some(Unknown {
        times,
        since: record.time("unknown_since")?,
        severed_from: severed_from
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| record.corrupt("severed_from", "a status"))?,
    }))
}
