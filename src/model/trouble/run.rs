//! What there is to tell of a run: that it waits, failed, or left rows out.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Status};
use crate::model::fault::FaultCode;
use crate::model::order::TableOrder;
use crate::model::outcome::Outcome;
use crate::model::run::{ConflictStrategy, Run, RunStatus, SyncMode};
use crate::model::table::TableName;
use crate::model::trouble::connection::unreachable_cause;
use crate::model::trouble::{Event, Trouble, shell_word};

/// A failed run that nobody repeated is told this long: whoever ordered it has seen it fail.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Tables named in a message at most.
const NAMED: usize = 5;

/// What `run` leaves to be told; `outcomes` are the last words about tables that are not good.
pub(super) fn troubles(
    run: &Run,
    connection: &Connection,
    outcomes: &[Outcome],
    now: Timestamp,
) -> Vec<Trouble> {
    if run.status == RunStatus::Pending {
        return waiting(run, connection).into_iter().collect();
    }
    // Over a connection that ended nothing can be repeated.
    if matches!(connection.status(), Status::Revoked | Status::Severed) {
        return Vec::new();
    }
    let of = |status| {
        let outcomes = outcomes.iter().filter(move |outcome| {
            outcome.run_id == run.id && outcome.status == status && outcome.dismissed_at.is_none()
        });
        outcomes.map(|outcome| &outcome.table).collect::<Vec<_>>()
    };
    let ended = run.completed_at.unwrap_or(run.created_at);
    let mut told = Vec::new();
    let failed = of(RunStatus::Failed);
    if !failed.is_empty() && now.duration_since(ended) <= REMEMBERED {
        told.push(told_of(run, connection, Event::RunFailed, &failed));
    }
    let incomplete = of(RunStatus::CompletedWithErrors);
    if !incomplete.is_empty() {
        told.push(told_of(
            run,
            connection,
            Event::RowsQuarantined,
            &incomplete,
        ));
    }
    told
}

fn waiting(run: &Run, connection: &Connection) -> Option<Trouble> {
    let error = run.error.as_ref()?;
    let tables = destinations(run);
    let id = run.id;
    let hint = error
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!("{hint}; "));
    let gone = connection.unreachable_since.is_some()
        && (error.code.starts_with("peer_") || error.code == FaultCode::StreamCut.as_str());
    Some(Trouble {
        since: Some(run.created_at),
        next_attempt_at: run.next_attempt_at,
        hint: format!("{hint}see: evenkeel runs show {id} (or: evenkeel runs cancel {id})"),
        follows: gone.then(|| unreachable_cause(connection)),
        ..about(
            run,
            connection,
            Event::RunWaiting,
            &tables,
            format!("run waits: {}", error.message),
        )
    })
}

fn told_of(run: &Run, connection: &Connection, event: Event, tables: &[&TableName]) -> Trouble {
    let id = run.id;
    let error = run.error.as_ref();
    let message = match (event, error) {
        (Event::RowsQuarantined, _) => format!(
            "{} rows quarantined in {}",
            quarantined(run, tables),
            named(tables)
        ),
        (_, Some(error)) => format!("run of {} failed: {}", named(tables), error.message),
        (_, None) => format!("run of {} failed", named(tables)),
    };
    let first = match (event, error.and_then(|error| error.hint.as_ref())) {
        (Event::RowsQuarantined, _) => format!("evenkeel runs errors {id}"),
        (_, Some(hint)) => hint.clone(),
        (_, None) => format!("evenkeel runs show {id}"),
    };
    let again = again(run, connection, tables)
        .map_or_else(String::new, |command| format!("; again: {command}"));
    Trouble {
        since: Some(run.completed_at.unwrap_or(run.created_at)),
        hint: format!("{first}{again} (or: evenkeel runs dismiss {id})"),
        ..about(run, connection, event, tables, message)
    }
}

fn about(
    run: &Run,
    connection: &Connection,
    event: Event,
    tables: &[&TableName],
    message: String,
) -> Trouble {
    Trouble {
        cause: format!(
            "{event}:{}:{}",
            run.connection_id,
            digest(&destinations(run))
        ),
        event,
        what: format!("{} from {}", named(tables), connection.name),
        since: None,
        next_attempt_at: None,
        message,
        hint: String::new(),
        follows: None,
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

/// The command that orders the same once more, for `tables` alone; `None` where no command can say what they asked for.
fn again(run: &Run, connection: &Connection, tables: &[&TableName]) -> Option<String> {
    let mut ordered = run.order.tables.iter();
    let is_plain = |order: &TableOrder| *order == TableOrder::of(order.destination().clone());
    if ordered.any(|order| tables.contains(&order.destination()) && !is_plain(order)) {
        return None;
    }
    let mut words = vec!["evenkeel pull".to_owned(), shell_word(&connection.name)];
    words.extend(tables.iter().map(|table| shell_word(&table.to_string())));
    let order = &run.order;
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
    Some(words.join(" "))
}
