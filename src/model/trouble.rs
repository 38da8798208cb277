//! What a person should know of: everything that is late, failed, waiting, quarantined or unreachable.
//!
//! Decides from values alone; `status`, `/metrics` and the alerts all tell what stands here. Invariant: a cause is
//! told once, keeps its key for as long as it stands, and says what to do.

mod connection;
mod grant;
mod run;
mod site;
mod sync;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::connection::Connection;
use crate::model::id::{ConnectionId, SyncId};
use crate::model::outcome::Outcome;
use crate::model::run::Run;
use crate::model::sync::SyncDefinition;
use crate::model::table::TableName;
use crate::model::word::words;

/// What kind of thing it is; the word that scripts and alerts go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A peer asks for a connection and waits for this site's administrator.
    ConnectionPending,
    /// The peer's administrator has yet to approve a connection made here.
    ConnectionWaiting,
    /// One of the administrators halted a connection.
    ConnectionSuspended,
    /// A connection's time is over.
    ConnectionExpired,
    /// The peer ended a connection.
    ConnectionSevered,
    /// A peer moved, and does not answer there as itself.
    ConnectionUnproved,
    /// Calls to a peer fail.
    PeerUnreachable,
    /// A run is tried again later, or waits for another one.
    RunWaiting,
    /// A run gave up.
    RunFailed,
    /// A run left rows out.
    RowsQuarantined,
    /// A run waits for a person to approve what it would do.
    ApprovalNeeded,
    /// Rows drifted, and their sync repairs nothing by itself.
    DriftFound,
    /// A sync's tables could not be compared.
    ComparisonFailed,
    /// A sync did not come through for longer than it may.
    SyncLate,
    /// A fault halted a sync.
    SyncError,
    /// A table has columns that a grant which lists columns does not name.
    ColumnsUnclassified,
    /// A grant's row filter fits its table no more.
    GrantMisfit,
    /// The site database does not answer.
    DatabaseUnreachable,
    /// The disk of the daemon's own state is nearly full.
    StateDiskFull,
    /// What the administrator should have been told could not be.
    AlertsUndelivered,
}

words! {
    Event {
        ConnectionPending = "connection_pending", ConnectionWaiting = "connection_waiting",
        ConnectionSuspended = "connection_suspended", ConnectionExpired = "connection_expired",
        ConnectionSevered = "connection_severed", ConnectionUnproved = "connection_unproved",
        PeerUnreachable = "peer_unreachable",
        RunWaiting = "run_waiting", RunFailed = "run_failed", RowsQuarantined = "rows_quarantined",
        ApprovalNeeded = "approval_needed", DriftFound = "drift_found", ComparisonFailed = "comparison_failed",
        SyncLate = "sync_late", SyncError = "sync_error", AlertsUndelivered = "alerts_undelivered",
        ColumnsUnclassified = "columns_unclassified", GrantMisfit = "grant_misfit",
        DatabaseUnreachable = "database_unreachable", StateDiskFull = "state_disk_full",
    }
}

/// One thing a person should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its key: the event and what it is about, by ids that outlive a change of names.
    pub cause: String,
    /// What kind of thing it is.
    pub event: Event,
    /// What it is about, by the names people know.
    pub what: String,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
    /// When the daemon tries again by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// What happened.
    pub message: String,
    /// What to do, with the command to type.
    pub hint: String,
    /// The cause of the trouble this one comes from and goes away with.
    pub follows: Option<String>,
}

/// What a grant and a table no longer agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantGap {
    /// Whose grant.
    pub connection: ConnectionId,
    /// Which table.
    pub table: TableName,
    /// In what.
    pub gap: Gap,
}

/// In what a grant and a table no longer agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// These columns are not listed by a grant that lists columns.
    Unclassified(Vec<String>),
    /// The row filter does not fit, for this reason.
    Misfit(String),
}

/// How little is free where the daemon keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScarceDisk {
    /// The state's folder.
    pub folder: PathBuf,
    /// What is free there.
    pub mebibytes: u64,
}

/// What is known of this site, and of its connections, syncs and runs.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Why the site database does not answer, if it does not.
    pub database_fault: Option<String>,
    /// What is free on the disk of the state, where that is little.
    pub scarce_disk: Option<ScarceDisk>,
    /// All that are not deleted.
    pub connections: Vec<Connection>,
    /// All that are not deleted.
    pub syncs: Vec<SyncDefinition>,
    /// Those that are not `completed` and that nobody dismissed.
    pub outcomes: Vec<Outcome>,
    /// The runs that `outcomes` come from, and those that wait, newest first.
    pub runs: Vec<Run>,
    /// Of the connections on which this site gives.
    pub gaps: Vec<GrantGap>,
}

impl Known {
    fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.id == id)
    }

    fn sync(&self, id: SyncId) -> Option<&SyncDefinition> {
        self.syncs.iter().find(|sync| sync.id == id)
    }
}

/// What there is to tell at `now`.
#[must_use]
pub fn troubles(known: &Known, now: Timestamp) -> Vec<Trouble> {
    let mut told = site::troubles(known);
    told.extend(known.connections.iter().flat_map(connection::troubles));
    for gap in &known.gaps {
        let connection = known.connection(gap.connection);
        told.extend(connection.map(|connection| grant::trouble(gap, connection)));
    }
    for sync in &known.syncs {
        told.extend(sync::trouble(
            sync,
            known.connection(sync.connection_id),
            now,
        ));
        told.extend(sync::of_look(sync));
    }
    for run in &known.runs {
        told.extend(of_run(run, known, now));
    }
    let mut causes = HashSet::new();
    told.retain(|trouble| causes.insert(trouble.cause.clone()));
    told
}

/// Nothing can be done any more about a run whose connection or sync was deleted.
fn of_run(run: &Run, known: &Known, now: Timestamp) -> Vec<Trouble> {
    let Some(connection) = known.connection(run.connection_id) else {
        return Vec::new();
    };
    let sync = run.sync_id.and_then(|id| known.sync(id));
    if run.sync_id.is_some() && sync.is_none() {
        return Vec::new();
    }
    let case = run::Case {
        run,
        connection,
        sync,
        has_database: known.database_fault.is_none(),
    };
    case.troubles(&known.outcomes, now)
}

/// `word` as a shell takes it for one.
fn shell_word(word: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "._-:/@+".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
