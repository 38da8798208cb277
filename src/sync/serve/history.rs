//! What peers took: one transfer per table and request, as this side saw it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::id::{ConnectionId, TransferId};
use crate::model::run::{Changes, RunError, RunStatus, Transfer, TransferDirection};
use crate::model::table::TableName;
use crate::sync::Ctx;

/// A transfer to the peer of `connection` that began at `started_at`.
pub(super) fn begun(connection: ConnectionId, table: TableName, started_at: Timestamp) -> Transfer {
    Transfer {
        id: TransferId::generate(),
        direction: TransferDirection::Send,
        run_id: None,
        connection_id: connection,
        table,
        status: RunStatus::Running,
        rows: 0,
        bytes_on_wire: 0,
        changes: Changes::default(),
        started_at,
        completed_at: None,
        error: None,
    }
}

/// `transfer` as it ended: with its code and words where it failed.
pub(super) fn ended(
    mut transfer: Transfer,
    rows: u64,
    bytes: u64,
    fault: Option<(&str, String)>,
) -> Transfer {
    transfer.rows = rows;
    transfer.bytes_on_wire = bytes;
    transfer.completed_at = Some(Timestamp::now());
    transfer.status = match &fault {
        None => RunStatus::Completed,
        Some(_) => RunStatus::Failed,
    };
    transfer.error = fault.map(|(code, message)| RunError {
        code: code.to_owned(),
        message,
        hint: None,
        retry_after: None,
    });
    transfer
}

/// Writes down a transfer that ended within one answer, also when the client is gone by then.
/// The answer stands even where the history cannot be written: that is logged.
pub(super) async fn record(ctx: &Arc<Ctx>, begun: Transfer, ended: Transfer) {
    let owned = Arc::clone(ctx);
    let recording = ctx.tasks.spawn("record transfer", async move {
        insert(&owned, &begun).await;
        finish(&owned, &ended).await;
    });
    // A panic in there was reported by the task itself.
    drop(recording.await);
}

/// Writes down that a transfer begins.
pub(super) async fn insert(ctx: &Ctx, transfer: &Transfer) {
    if let Err(err) = ctx.store.insert_transfer(transfer).await {
        tracing::error!(%err, transfer = %transfer.id, connection = %transfer.connection_id, "a transfer was not written down");
    }
}

/// Writes down how a transfer ended.
pub(super) async fn finish(ctx: &Ctx, transfer: &Transfer) {
    if let Err(err) = ctx.store.finish_transfer(transfer).await {
        tracing::error!(%err, transfer = %transfer.id, connection = %transfer.connection_id, "a transfer's end was not written down");
    }
}
