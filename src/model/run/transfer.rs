//! The history of what was moved, table by table.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId, TransferId};
use crate::model::run::{Changes, RunError, RunStatus};
use crate::model::table::TableName;
use crate::model::word::words;

/// Which side of a transfer this site was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferDirection {
    /// Rows came in.
    Receive,
    /// Rows went out.
    Send,
}

words! {
    TransferDirection { Receive = "receive", Send = "send" }
}

/// One table moved, as this side saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its identifier.
    pub id: TransferId,
    /// In or out.
    pub direction: TransferDirection,
    /// Our run; `None` on the sending side.
    pub run_id: Option<RunId>,
    /// With whom.
    pub connection_id: ConnectionId,
    /// Its name here.
    pub table: TableName,
    /// How it ended.
    pub status: RunStatus,
    /// Rows sent or received.
    pub rows: u64,
    /// With headers of frames, without those of HTTP.
    pub bytes_on_wire: u64,
    /// What it changed here.
    pub changes: Changes,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<RunError>,
}
