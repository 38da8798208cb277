//! Syncs: what is pulled by itself, and what the end of a run means for the sync it belongs to.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::drift::{Budget, Look};
use crate::model::fault::FaultCode;
use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::run::{Apply, Run, RunError, RunOrder, RunStatus};
use crate::model::schedule::{Planned, Schedule};
use crate::model::word::words;

/// Whether a sync runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStatus {
    /// Not yet: somebody still writes it.
    Draft,
    /// On its schedule.
    Active,
    /// A person halted it.
    Paused,
    /// A fault that does not pass halted it; resuming, editing or a run by hand that comes through lifts this.
    Error,
}

words! {
    SyncStatus { Draft = "draft", Active = "active", Paused = "paused", Error = "error" }
}

/// What is pulled by itself: the tables of a connection, how, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncDefinition {
    /// Its identifier.
    pub id: SyncId,
    /// For people; no other sync has it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The source.
    pub connection_id: ConnectionId,
    /// What each of its runs does.
    pub order: RunOrder,
    /// When it runs by itself; `None`: by hand only.
    pub schedule: Option<Schedule>,
    /// When it compares besides, and repairs what drifted; `None`: never.
    pub compare_schedule: Option<Schedule>,
    /// How much of that it repairs by itself; `None`: nothing.
    pub repair: Option<Budget>,
    /// How old what it wrote may become before it is late; `None`: until two planned times have passed.
    pub max_age: Option<Duration>,
    /// Whether it runs by itself.
    pub status: SyncStatus,
    /// The fault of [`SyncStatus::Error`].
    pub status_error: Option<RunError>,
    /// Who made it: `unix:anna`, `token:backup`.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a person last changed it.
    pub updated_at: Timestamp,
    /// When it last became active.
    pub active_since: Option<Timestamp>,
    /// When a run last came through, though it may have left rows out.
    pub last_synced_at: Option<Timestamp>,
    /// Since when all its tables are known to have been equal; forgotten when what it pulls is changed.
    pub proved_equal_at: Option<Timestamp>,
    /// Its newest run.
    pub last_run_id: Option<RunId>,
    /// Its next time; `None` unless it is active and has a schedule.
    pub next: Option<Planned>,
    /// When it compares next; `None` unless it is active and has a schedule for that.
    pub next_look: Option<Planned>,
    /// What it found when it compared last.
    pub last_look: Option<Look>,
}

impl SyncDefinition {
    /// Its next time after `after`, when it runs by itself at all.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, jitter: Duration) -> Option<Planned> {
        self.time_after(self.schedule.as_ref(), after, jitter)
    }

    /// When it compares next after `after`, when it does so by itself at all.
    #[must_use]
    pub fn next_look_after(&self, after: Timestamp, jitter: Duration) -> Option<Planned> {
        self.time_after(self.compare_schedule.as_ref(), after, jitter)
    }

    fn time_after(
        &self,
        schedule: Option<&Schedule>,
        after: Timestamp,
        jitter: Duration,
    ) -> Option<Planned> {
        if self.status != SyncStatus::Active {
            return None;
        }
        schedule?.plan_after(after, self.id, jitter)
    }

    /// What the scheduler has to do about it at `now`. However many times were missed while the daemon was down, one
    /// run makes up for them: the next time is the first that still lies ahead.
    #[must_use]
    pub fn step(&self, now: Timestamp, jitter: Duration) -> Step {
        step(self.next, |after| self.next_after(after, jitter), now)
    }

    /// What the scheduler has to do about its comparing at `now`; missed times are made up for in the same way.
    #[must_use]
    pub fn look_step(&self, now: Timestamp, jitter: Duration) -> Step {
        step(
            self.next_look,
            |after| self.next_look_after(after, jitter),
            now,
        )
    }

    /// The moment from which it is late: it was active since, and no run came through. `None`: it never will be, since
    /// nothing is expected of it.
    #[must_use]
    pub fn late_at(&self) -> Option<Timestamp> {
        if !matches!(self.status, SyncStatus::Active | SyncStatus::Error) {
            return None;
        }
        let fresh = self.last_synced_at.max(self.active_since)?;
        match self.max_age {
            Some(age) => fresh.checked_add(age).ok(),
            None => {
                let schedule = self.schedule.as_ref()?;
                schedule.next_after(schedule.next_after(fresh)?)
            }
        }
    }
}

fn step(
    next: Option<Planned>,
    next_after: impl Fn(Timestamp) -> Option<Planned>,
    now: Timestamp,
) -> Step {
    let Some(due) = next else {
        return match next_after(now) {
            Some(next) => Step::Plan(next),
            None => Step::Rest,
        };
    };
    if due.starts_at <= now {
        let next = next_after(due.planned_at.max(now));
        return Step::Begin { due, next };
    }
    let next = next_after(now);
    let after_that = next.and_then(|next| next_after(next.planned_at));
    match (next, after_that) {
        // Planned while the clock was ahead by more than one of its times.
        (Some(next), Some(after)) if due.planned_at > after.planned_at => Step::Plan(next),
        _ => Step::Wait(due.starts_at),
    }
}

/// What the scheduler has to do about a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it has no time.
    Rest,
    /// Write down its next time.
    Plan(Planned),
    /// Nothing before this moment.
    Wait(Timestamp),
    /// Its time has come.
    Begin {
        /// The time that has come.
        due: Planned,
        /// The time after it.
        next: Option<Planned>,
    },
}

/// What becomes of a planned time when it has come.
#[derive(Clone, Debug, PartialEq)]
pub enum AtDue {
    /// A run is made.
    Begin,
    /// The sync's run still goes on; it stands for this time, too.
    PassOver,
    /// The sync's run only waits for another attempt: it gives up, and a new one is made.
    Replace(Box<Run>),
}

/// What becomes of a planned time, seeing the sync's run that is not over.
#[must_use]
pub fn at_due(unfinished: Option<Run>) -> AtDue {
    let Some(run) = unfinished else {
        return AtDue::Begin;
    };
    // A run that the daemon's own end interrupted, or that waits for another writer, has not failed.
    let failed = run.error.as_ref().is_some_and(|err| {
        !matches!(
            err.known_code(),
            Some(FaultCode::DaemonStopping | FaultCode::WaitingForRun)
        )
    });
    if run.status == RunStatus::Pending && run.attempt > 0 && failed {
        AtDue::Replace(Box::new(run))
    } else {
        AtDue::PassOver
    }
}

/// What the end of a run means for its sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing: it goes on as it was.
    None,
    /// It is fresh, and whatever stopped it is over.
    CameThrough,
    /// It runs no more by itself until a person has done something.
    Stops,
}

/// What the end of `run` means for its sync; `permanent`: trying again cannot help. A connection that is not active
/// stops no sync: it may come back.
#[must_use]
pub fn consequence(run: &Run, permanent: bool) -> Consequence {
    match run.status {
        // What was only compared is as old as it was, and whatever keeps a look from coming through is told as such.
        _ if run.order.apply == Apply::No => Consequence::None,
        RunStatus::Completed | RunStatus::CompletedWithErrors => Consequence::CameThrough,
        RunStatus::Failed if permanent => match run.error.as_ref().and_then(RunError::known_code) {
            Some(FaultCode::ConnectionNotActive) => Consequence::None,
            _ => Consequence::Stops,
        },
        RunStatus::Failed
        | RunStatus::Cancelled
        | RunStatus::NeedsApproval
        | RunStatus::Pending
        | RunStatus::Running => Consequence::None,
    }
}

#[cfg(test)]
mod tests;
