//! What to do about a run's fault: one exhaustive match from error to words for people and to the next step.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::backoff::jittered;
use crate::engine::EngineError;
use crate::engine::spool::SpoolError;
use crate::engine::tally::TallyError;
use crate::model::fault::FaultCode;
use crate::model::run::{Run, RunError, pause_after};
use crate::remote::RemoteError;
use crate::sync::{ScanError, SyncError};
use crate::wire::messages::{PublishedRefusal, StreamFaultCode};
use crate::wire::signing::SignatureCode;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Later, by itself.
    Retry,
    /// Only after a person did something.
    GiveUp,
}

/// When a run is tried again after a fault that may pass; `None` when its patience is over: a one-off's `patience`, a
/// scheduled run's when the next time of its sync comes.
/// `random` lies in `0.0..1.0`.
#[must_use]
pub fn next_attempt(
    run: &Run,
    error: &RunError,
    patience: Duration,
    now: Timestamp,
    random: f64,
) -> Option<Timestamp> {
    let asked = error
        .retry_after
        .map(Duration::from_secs)
        .unwrap_or_default();
    // A peer may ask for any pause, and patience may be set to any: what is beyond the calendar is never.
    let next = now
        .checked_add(jittered(pause_after(run.attempt), random).max(asked))
        .ok()?;
    let last = run.give_up_at.unwrap_or_else(|| {
        run.created_at
            .checked_add(patience)
            .unwrap_or(Timestamp::MAX)
    });
    (next <= last).then_some(next)
}

/// A fault as the run tells it, and what follows from it.
#[must_use]
pub fn assess(err: &SyncError) -> (RunError, NextStep) {
    let (code, hint, step) = match err {
        SyncError::Store(_) => (
            FaultCode::State,
            Some("look at the daemon's log"),
            NextStep::Retry,
        ),
        SyncError::Engine(err) => return engine(err),
        SyncError::Remote(err) => return remote(err),
        SyncError::Scan(err) => return scan(err),
        SyncError::Unknown { .. } => (
            FaultCode::Unknown,
            Some("see: evenkeel connections, evenkeel sync list"),
            NextStep::GiveUp,
        ),
        SyncError::NotActive { .. } => (
            FaultCode::ConnectionNotActive,
            Some("see: evenkeel connections"),
            NextStep::GiveUp,
        ),
        SyncError::WrongDirection { .. } => (FaultCode::WrongDirection, None, NextStep::GiveUp),
        SyncError::NeedsSigning { .. } => (FaultCode::PeerUnproved, None, NextStep::GiveUp),
        SyncError::NoRotation { .. } => (FaultCode::NotAllowed, None, NextStep::GiveUp),
        SyncError::Decision(_) => (FaultCode::NotAllowed, None, NextStep::GiveUp),
        SyncError::Unproved { .. } => (FaultCode::PeerUnproved, None, NextStep::GiveUp),
        SyncError::Url(_) => (
            FaultCode::Url,
            Some("correct it: evenkeel connections edit"),
            NextStep::GiveUp,
        ),
        SyncError::Invalid { .. } => (FaultCode::Invalid, None, NextStep::GiveUp),
        SyncError::Contract { code, hint, .. } => {
            return (error(code.as_str(), err, Some(hint)), NextStep::GiveUp);
        }
        SyncError::OtherWriter { .. } => (FaultCode::OtherWriter, None, NextStep::GiveUp),
        SyncError::RunGoesOn { .. } => (FaultCode::RunNotOver, None, NextStep::GiveUp),
        SyncError::RunOver { .. } => (FaultCode::RunOver, None, NextStep::GiveUp),
        SyncError::RunNotOver { .. } => (FaultCode::RunNotOver, None, NextStep::GiveUp),
        SyncError::NotWaiting { .. } => (FaultCode::NotAllowed, None, NextStep::GiveUp),
        SyncError::OtherPlan { .. } => (FaultCode::OtherPlan, None, NextStep::GiveUp),
        SyncError::Cancelled => (FaultCode::Cancelled, None, NextStep::GiveUp),
        SyncError::Stopping => (FaultCode::DaemonStopping, None, NextStep::Retry),
    };
    (error(code.as_str(), err, hint), step)
}

fn engine(err: &EngineError) -> (RunError, NextStep) {
    let (code, hint, step) = match err {
        EngineError::Url(_) => (
            FaultCode::DatabaseUrl,
            Some("correct site.database"),
            NextStep::GiveUp,
        ),
        EngineError::Unreachable(_) => (
            FaultCode::DatabaseUnreachable,
            Some("start the site database, or correct site.database"),
            NextStep::Retry,
        ),
        EngineError::Lost(_) => (
            FaultCode::DatabaseLost,
            Some("the run goes on by itself once the database is back"),
            NextStep::Retry,
        ),
        EngineError::Full(_) => (
            FaultCode::DatabaseFull,
            Some("make space for the site database"),
            NextStep::Retry,
        ),
        EngineError::Denied(_) => (
            FaultCode::DatabaseDenied,
            Some("grant the right to the role in site.database, or see: evenkeel doctor"),
            NextStep::GiveUp,
        ),
        EngineError::Locked { .. } => (
            FaultCode::TableLocked,
            Some("end the session that holds the lock"),
            NextStep::Retry,
        ),
        EngineError::NoTable(_) => (
            FaultCode::MissingHere,
            Some("make it, or let --create make it"),
            NextStep::GiveUp,
        ),
        EngineError::SchemaChanged(_) => (FaultCode::SchemaChanged, None, NextStep::Retry),
        EngineError::Yielded => (
            FaultCode::SessionYielded,
            Some("the run goes on by itself; plan it for a time when tables are not being altered"),
            NextStep::Retry,
        ),
        EngineError::CopyTooLarge { .. } => (
            FaultCode::CopyTooLarge,
            Some("let the application use write-ahead logging: pragma journal_mode = wal"),
            NextStep::GiveUp,
        ),
        EngineError::Unreadable { .. } => (
            FaultCode::UnreadableValue,
            Some("correct the value, or declare the column as what it holds"),
            NextStep::GiveUp,
        ),
        EngineError::RowTooLarge { .. } => (
            FaultCode::RowTooLarge,
            Some(
                "a row may have 16 MiB; make this one smaller here, or leave it out by `row_filter`",
            ),
            NextStep::GiveUp,
        ),
        EngineError::Cut(_) => (FaultCode::RowsCut, None, NextStep::Retry),
        EngineError::TooManyRejected { .. } => (
            FaultCode::TooManyRejected,
            Some("see: evenkeel runs errors"),
            NextStep::GiveUp,
        ),
        EngineError::Statement { .. } => (FaultCode::DatabaseRefused, None, NextStep::GiveUp),
    };
    (error(code.as_str(), err, hint), step)
}

fn scan(err: &ScanError) -> (RunError, NextStep) {
    let (code, hint, step) = match err {
        ScanError::Engine(err) => return engine(err),
        ScanError::Tally {
            source: TallyError::Row(_),
            ..
        }
        | ScanError::Value { .. } => (
            FaultCode::UnreadableValue,
            Some("correct the value, or declare the column as what it holds"),
            NextStep::GiveUp,
        ),
        ScanError::Tally {
            source: TallyError::Spool(SpoolError::Full(_)),
            ..
        } => (
            FaultCode::CopyTooLarge,
            Some("raise compare.spool"),
            NextStep::GiveUp,
        ),
        ScanError::Tally {
            source: TallyError::Spool(SpoolError::Io { .. }),
            ..
        } => (
            FaultCode::State,
            Some("make space in the folder"),
            NextStep::Retry,
        ),
        ScanError::Tally {
            source: TallyError::KeyTwice(_),
            ..
        } => (
            FaultCode::NoKey,
            Some("two rows have the same key: correct that, or name another key"),
            NextStep::GiveUp,
        ),
        ScanError::Broken(_) => (FaultCode::DaemonStopping, None, NextStep::Retry),
    };
    (error(code.as_str(), err, hint), step)
}

const NOT_GRANTED: &str =
    "ask the peer's administrator to approve the connection or to grant the table";

fn remote(err: &RemoteError) -> (RunError, NextStep) {
    let (code, hint, step) = match err {
        RemoteError::Setup(_) => (FaultCode::Client, None, NextStep::GiveUp),
        RemoteError::Forbidden { .. } | RemoteError::Unencrypted { .. } => {
            (FaultCode::AddressForbidden, None, NextStep::GiveUp)
        }
        RemoteError::Untrusted { .. } => (
            FaultCode::PeerUntrusted,
            Some("the run goes on by itself once the certificate is accepted"),
            NextStep::Retry,
        ),
        RemoteError::Unreachable { .. } => (
            FaultCode::PeerUnreachable,
            Some("the run goes on by itself once the peer answers"),
            NextStep::Retry,
        ),
        RemoteError::NoApi { .. } => (FaultCode::PeerNoApi, None, NextStep::Retry),
        RemoteError::Stuck { .. } | RemoteError::Cut { .. } => (
            FaultCode::StreamCut,
            Some("the run goes on by itself; what was committed stays"),
            NextStep::Retry,
        ),
        RemoteError::Unfit { .. } => (FaultCode::PeerRefused, None, NextStep::GiveUp),
        RemoteError::Protocol { .. } => (
            FaultCode::PeerNonsense,
            Some("look at the peer's log and version"),
            NextStep::GiveUp,
        ),
        RemoteError::Unproved { .. } => (
            FaultCode::PeerUnproved,
            Some(
                "somebody between the two sites may be altering answers; if the peer was set up anew, make the connection again",
            ),
            NextStep::GiveUp,
        ),
        RemoteError::Refused {
            status,
            code,
            retry_after,
            ..
        } => {
            let (hint, step) = refusal(*status, code.as_deref());
            // Its administrator's decision has not reached us, or not yet.
            let ours = match err.published() {
                Some(PublishedRefusal::ConnectionNotActive) => FaultCode::ConnectionNotActive,
                _ => FaultCode::PeerRefused,
            };
            let code = code.as_deref().unwrap_or(ours.as_str());
            let mut told = error(code, err, hint);
            told.retry_after = *retry_after;
            return (told, step);
        }
    };
    (error(code.as_str(), err, hint), step)
}

/// A peer's refusal passes when it says so (429), when it is the peer's own trouble (5xx), or when the fault lay in the
/// middle of a stream (200) or of a scan (409) and its code names one of the passing kinds.
fn refusal(status: u16, code: Option<&str>) -> (Option<&'static str>, NextStep) {
    match status {
        200 | 409 => code
            .and_then(|code| code.parse().ok())
            .map_or((None, NextStep::GiveUp), of_stream),
        401 => code
            .and_then(|code| code.parse().ok())
            .map_or(NOT_KNOWN, of_signature),
        403 => code
            .and_then(|code| code.parse().ok())
            .map_or((Some(NOT_GRANTED), NextStep::GiveUp), of_stream),
        404 => (
            Some("see what the peer offers: evenkeel tables"),
            NextStep::GiveUp,
        ),
        410 => (
            Some("the run goes on by itself in a new session"),
            NextStep::Retry,
        ),
        429 => (
            Some("the peer limits how often it is asked"),
            NextStep::Retry,
        ),
        500..=599 => match code.and_then(|code| code.parse().ok()) {
            Some(code @ StreamFaultCode::ReadDenied) => of_stream(code),
            _ => (
                Some(
                    "the run goes on by itself once the peer's site serves again; its log says why it does not",
                ),
                NextStep::Retry,
            ),
        },
        _ => (None, NextStep::GiveUp),
    }
}

const NOT_KNOWN: (Option<&str>, NextStep) = (
    Some("the peer does not know this connection; see: evenkeel connections verify"),
    NextStep::GiveUp,
);

/// What follows when the peer does not believe our signature. A new request has a new time and a new nonce.
fn of_signature(code: SignatureCode) -> (Option<&'static str>, NextStep) {
    match code {
        SignatureCode::Expired => (
            Some("compare the clocks of both sites; the run goes on by itself once they agree"),
            NextStep::Retry,
        ),
        SignatureCode::Replayed => (None, NextStep::Retry),
        SignatureCode::Missing | SignatureCode::Invalid => (
            Some("the two sites no longer have the same key; make the connection again"),
            NextStep::GiveUp,
        ),
    }
}

/// What follows from a fault on the sender's side, as [`engine`] says of the same fault on ours.
fn of_stream(code: StreamFaultCode) -> (Option<&'static str>, NextStep) {
    match code {
        StreamFaultCode::TableChanged
        | StreamFaultCode::GrantChanged
        | StreamFaultCode::SessionGone
        | StreamFaultCode::SessionYielded => (None, NextStep::Retry),
        StreamFaultCode::OutsideHours => (
            Some("the peer gives rows at other hours; a schedule within them always comes through"),
            NextStep::Retry,
        ),
        StreamFaultCode::RowsPerDay | StreamFaultCode::BytesPerDay => (
            Some("the peer gives so much a day; ask its administrator for more, or pull less"),
            NextStep::Retry,
        ),
        StreamFaultCode::Expired | StreamFaultCode::NetworkNotAllowed => (
            Some("ask the peer's administrator to change what it grants this connection"),
            NextStep::GiveUp,
        ),
        StreamFaultCode::TableLocked => (
            Some(
                "a session of the peer's own database holds the table, or waits for it; the run goes on by itself",
            ),
            NextStep::Retry,
        ),
        StreamFaultCode::DatabaseLost => (
            Some("the run goes on by itself once the peer's database answers"),
            NextStep::Retry,
        ),
        StreamFaultCode::RowTooLarge => (
            Some(
                "a row may have 16 MiB; leave the large column out by `field_mapping`, or the row by `row_filter`",
            ),
            NextStep::GiveUp,
        ),
        StreamFaultCode::UnreadableValue | StreamFaultCode::Unfit => (
            Some(
                "ask the peer's administrator to correct the value, or leave the column out by `field_mapping`",
            ),
            NextStep::GiveUp,
        ),
        StreamFaultCode::ReadDenied => (
            Some("ask the peer's administrator to let its database login read the table"),
            NextStep::Retry,
        ),
        StreamFaultCode::ReadFailed => (
            Some("ask the peer's administrator to look at its log"),
            NextStep::GiveUp,
        ),
        StreamFaultCode::ConnectionNotActive | StreamFaultCode::TableNotGranted => {
            (Some(NOT_GRANTED), NextStep::GiveUp)
        }
    }
}

fn error(code: &str, err: &impl std::fmt::Display, hint: Option<&str>) -> RunError {
    RunError {
        code: code.to_owned(),
        message: err.to_string(),
        hint: hint.map(str::to_owned),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests;
