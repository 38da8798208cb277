//! What can go wrong in a use case. `api/error.rs` gives each a status, `sync/retry.rs` what to do next.

use crate::engine::EngineError;
use crate::model::connection::{NotAllowed, Status};
use crate::model::fault::FaultCode;
use crate::model::id::RunId;
use crate::model::run::RunStatus;
use crate::model::table::TableName;
use crate::model::url::InvalidPeerUrl;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::sync::scan::ScanError;

/// A use case's fault.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Our own state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The site database.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A table that cannot be tallied.
    #[error(transparent)]
    Scan(Box<ScanError>),
    /// The peer.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// No such connection, run or table; `what` with its name.
    #[error("there is no {what} {name}")]
    Unknown {
        /// `connection`, `run`, `table`.
        what: &'static str,
        /// As asked for.
        name: String,
    },
    /// The connection is not active.
    #[error(
        "connection {name} is {status}; that is {whose} decision; `evenkeel status` tells what to do"
    )]
    NotActive {
        /// Its name.
        name: String,
        /// Its effective status.
        status: Status,
        /// `this site's` or `the peer's`.
        whose: &'static str,
    },
    /// A connection of the other direction is needed.
    #[error("connection {name} gives data to the peer; pulling needs one that receives from it")]
    WrongDirection {
        /// Its name.
        name: String,
    },
    /// A decision that does not fit.
    #[error(transparent)]
    Decision(#[from] NotAllowed),
    /// Only a peer that signs is compared with.
    #[error(
        "{asks}, and this peer signs nothing: connect with a site that runs Evenkeel, or pull with --mode upsert"
    )]
    NeedsSigning {
        /// Why.
        asks: &'static str,
    },
    /// The peer did not prove who it is.
    #[error("{name} was not proved to be {url}: {reason}")]
    Unproved {
        /// Its name here.
        name: String,
        /// Where it was asked.
        url: String,
        /// In words.
        reason: String,
    },
    /// The connection's key cannot be changed now.
    #[error("the key of {name} is not changed: {reason}")]
    NoRotation {
        /// Its name.
        name: String,
        /// In words.
        reason: String,
    },
    /// A URL that cannot be a peer's.
    #[error(transparent)]
    Url(#[from] InvalidPeerUrl),
    /// A request that makes no sense; the field and what is wrong with it.
    #[error("{field}: {message}")]
    Invalid {
        /// As in the request.
        field: &'static str,
        /// In words.
        message: String,
    },
    /// The peer's tables and ours do not fit together; decided before any row.
    #[error("table {table}: {message}")]
    Contract {
        /// Here.
        table: TableName,
        /// For scripts.
        code: FaultCode,
        /// What does not fit.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Another connection writes this table.
    #[error(
        "table {table} is already written by connection {connection}; equal keys from two sites would replace each other (use --shared if that is meant)"
    )]
    OtherWriter {
        /// Here.
        table: TableName,
        /// Its name.
        connection: String,
    },
    /// The sync has a run that is not over.
    #[error("sync {sync} has a run that is {status} still: {run}")]
    RunGoesOn {
        /// Its name.
        sync: String,
        /// The run.
        run: RunId,
        /// `pending` or `running`.
        status: RunStatus,
    },
    /// The run is over already.
    #[error("run {run} is {status} already")]
    RunOver {
        /// The run.
        run: RunId,
        /// How it ended.
        status: RunStatus,
    },
    /// The run is not over yet.
    #[error("run {run} is {status}; `evenkeel runs cancel {run}` stops it")]
    RunNotOver {
        /// The run.
        run: RunId,
        /// Where it is.
        status: RunStatus,
    },
    /// The run waits for no approval.
    #[error("run {run} is {status}: there is nothing to approve")]
    NotWaiting {
        /// The run.
        run: RunId,
        /// Where it is.
        status: RunStatus,
    },
    /// The run is to do something else than what was approved.
    #[error("run {run} waits with another plan than the one approved")]
    OtherPlan {
        /// The run.
        run: RunId,
    },
    /// A person stopped it.
    #[error("cancelled")]
    Cancelled,
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

impl From<ScanError> for SyncError {
    fn from(err: ScanError) -> Self {
        Self::Scan(Box::new(err))
    }
}
