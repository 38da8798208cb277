//! What there is to tell of a run: that it waits, for a person or for its next attempt, failed, or left rows out.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Status};
use crate::model::fault::FaultCode;
use crate::model::order::TableOrder;
use crate::model::outcome::Outcome;
use crate::model::run::{
    Changes, ConflictStrategy, Run, RunError, RunOrder, RunStatus, RunTable, SyncMode,
};
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::model::table::TableName;
use crate::model::trouble::connection::unreachable_cause;
use crate::model::trouble::site::DATABASE_CAUSE;
use crate::model::trouble::{Event, Trouble, shell_word};

/// A failed run that nobody repeated is told this long: whoever ordered it has seen it fail.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Tables named in a message at most.
const NAMED: usize = 5;

/// A run with what it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) run: &'a Run,
    pub(super) connection: &'a Connection,
    /// `None`: it is a one-off.
    pub(super) sync: Option<&'a SyncDefinition>,
    /// Whether the site database answers now.
    pub(super) has_database: bool,
}

impl Case<'_> {
    /// What the run leaves to be told; `outcomes` are the last words about tables that are not good.
    pub(super) fn troubles(self, outcomes: &[Outcome], now: Timestamp) -> Vec<Trouble> {
        if self.run.status == RunStatus::Pending {
            return self.waiting().into_iter().collect();
        }
        // Over a connection that ended nothing can be repeated.
        if matches!(self.connection.status(), Status::Revoked | Status::Severed) {
            return Vec::new();
        }
        if self.run.status == RunStatus::NeedsApproval {
            return vec![self.to_approve()];
        }
        let of = |status| {
            let outcomes = outcomes.iter().filter(move |outcome| {
                outcome.run_id == self.run.id
                    && outcome.status == status
                    && outcome.dismissed_at.is_none()
                    && self.still_writes(&outcome.table)
            });
            outcomes.map(|outcome| &outcome.table).collect::<Vec<_>>()
        };
        let (failed, incomplete) = (of(RunStatus::Failed), of(RunStatus::CompletedWithErrors));
        let failed = (!failed.is_empty() && self.is_failure_news(now))
            .then(|| self.told_of(Event::RunFailed, &failed));
        let incomplete =
            (!incomplete.is_empty()).then(|| self.told_of(Event::RowsQuarantined, &incomplete));
        failed.into_iter().chain(incomplete).collect()
    }

    fn still_writes(self, table: &TableName) -> bool {
        self.sync
            .is_none_or(|sync| sync.order.destinations().contains(table))
    }

    /// A sync that a fault halted tells that itself, and one that somebody paused is their business.
    fn is_failure_news(self, now: Timestamp) -> bool {
        match self.sync {
            Some(sync) => sync.status == SyncStatus::Active,
            None => now.duration_since(self.ended()) <= REMEMBERED,
        }
    }

    fn ended(self) -> Timestamp {
        self.run.completed_at.unwrap_or(self.run.created_at)
    }

    fn waiting(self) -> Option<Trouble> {
        let error = self.run.error.as_ref()?;
        let id = self.run.id;
        let hint = error
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!("{hint}; "));
        Some(Trouble {
            since: Some(self.run.created_at),
            next_attempt_at: self.run.next_attempt_at,
            hint: format!("{hint}see: evenkeel runs show {id} (or: evenkeel runs cancel {id})"),
            follows: self.follows(),
            ..self.about(
                Event::RunWaiting,
                &destinations(self.run),
                format!("run waits: {}", error.message),
            )
        })
    }

    fn to_approve(self) -> Trouble {
        let (id, mut changes) = (self.run.id, Changes::default());
        let waits = |table: &&RunTable| table.status == RunStatus::NeedsApproval;
        for table in self.run.tables.iter().filter(waits) {
            changes.add(&table.changes);
        }
        let why = self
            .run
            .error
            .as_ref()
            .map_or_else(String::new, |error| format!(": {}", error.message));
        let message = format!(
            "a run waits for approval{why} ({} rows to add, {} to update, {} to delete)",
            changes.added, changes.updated, changes.deleted
        );
        Trouble {
            since: Some(self.run.created_at),
            hint: format!("evenkeel runs approve {id} (or: evenkeel runs cancel {id})"),
            ..self.about(Event::ApprovalNeeded, &destinations(self.run), message)
        }
    }

    /// The absence of the peer or of the site database, where that is what the run met.
    fn follows(self) -> Option<String> {
        let code = self.run.error.as_ref().and_then(RunError::known_code)?;
        if matches!(
            code,
            FaultCode::DatabaseUnreachable | FaultCode::DatabaseLost
        ) {
            return (!self.has_database).then(|| DATABASE_CAUSE.to_owned());
        }
        let gone = self.connection.unreachable_since.is_some() && code.is_of_peer();
        gone.then(|| unreachable_cause(self.connection))
    }

    fn told_of(self, event: Event, tables: &[&TableName]) -> Trouble {
        let (id, error) = (self.run.id, self.run.error.as_ref());
        let message = match (event, error) {
            (Event::RowsQuarantined, _) => match quarantined(self.run, tables) {
                0 => format!("the two sides still differ in {}", named(tables)),
                rows => format!("{rows} rows quarantined in {}", named(tables)),
            },
            (_, Some(error)) => format!("run of {} failed: {}", named(tables), error.message),
            (_, None) => format!("run of {} failed", named(tables)),
        };
        let first = match (event, error.and_then(|error| error.hint.as_ref())) {
            (Event::RowsQuarantined, _) if quarantined(self.run, tables) > 0 => {
                format!("evenkeel runs errors {id}")
            }
            (Event::RowsQuarantined, _) => format!("evenkeel runs show {id}"),
            (_, Some(hint)) => hint.clone(),
            (_, None) => format!("evenkeel runs show {id}"),
        };
        let again = self
            .again(tables)
            .map_or_else(String::new, |command| format!("; again: {command}"));
        let next = self.sync.and_then(|sync| sync.next);
        Trouble {
            since: Some(self.ended()),
            next_attempt_at: next.map(|next| next.starts_at),
            hint: format!("{first}{again} (or: evenkeel runs dismiss {id})"),
            // A one-off stays undone when the peer is back; a sync runs again by itself.
            follows: self.sync.and_then(|_| self.follows()),
            ..self.about(event, tables, message)
        }
    }

    fn about(self, event: Event, tables: &[&TableName], message: String) -> Trouble {
        let (cause, what) = match self.sync {
            Some(sync) => (
                format!("{event}:{}", sync.id),
                format!("sync {}", sync.name),
            ),
            None => (
                format!(
                    "{event}:{}:{}",
                    self.run.connection_id,
                    digest(&destinations(self.run))
                ),
                format!("{} from {}", named(tables), self.connection.name),
            ),
        };
        Trouble {
            cause,
            event,
            what,
            since: None,
            next_attempt_at: None,
            message,
            hint: String::new(),
            follows: None,
        }
    }

    /// The command that does the same once more, for `tables` alone; `None` where no command can say what they asked
    /// for.
    fn again(self, tables: &[&TableName]) -> Option<String> {
        if let Some(sync) = self.sync {
            return Some(format!("evenkeel sync trigger {}", shell_word(&sync.name)));
        }
        let mut ordered = self.run.order.tables.iter();
        let is_plain = |order: &TableOrder| *order == TableOrder::of(order.destination().clone());
        if ordered.any(|order| tables.contains(&order.destination()) && !is_plain(order)) {
            return None;
        }
        Some(pull_command(&self.run.order, self.connection, tables))
    }
}

/// The tables the run writes, as they are called here.
fn destinations(run: &Run) -> Vec<&TableName> {
    let tables = run.order.tables.iter();
    tables.map(TableOrder::destination).collect()
}

/// The same for every run of the same tables, and short however many they are.
fn digest(tables: &[&TableName]) -> String {
    let mut names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    names.sort();
    let hash = blake3::hash(names.join("\n").as_bytes());
    hash.to_hex().chars().take(16).collect()
}

fn quarantined(run: &Run, tables: &[&TableName]) -> u64 {
    let told = run
        .tables
        .iter()
        .filter(|table| tables.contains(&&table.table));
    told.map(|table| table.rows_failed).sum()
}

fn named(tables: &[&TableName]) -> String {
    let first: Vec<String> = tables.iter().take(NAMED).map(ToString::to_string).collect();
    match tables.len().checked_sub(NAMED) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

fn pull_command(order: &RunOrder, connection: &Connection, tables: &[&TableName]) -> String {
    let mut words = vec!["evenkeel pull".to_owned(), shell_word(&connection.name)];
    words.extend(tables.iter().map(|table| shell_word(&table.to_string())));
    if order.sync_mode != SyncMode::default() {
        words.push(format!("--mode {}", order.sync_mode));
    }
    if order.conflict_strategy != ConflictStrategy::default() {
        words.push(format!("--conflict {}", order.conflict_strategy));
    }
    if order.create_missing {
        words.push("--create".to_owned());
    }
    if order.shared {
        words.push("--shared".to_owned());
    }
    words.join(" ")
}
