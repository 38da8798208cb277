//! What there is to tell of this site: reads the state and lets `model` decide.

use jiff::Timestamp;

use crate::model::alert::completed;
use crate::model::id::ConnectionId;
use crate::model::trouble::{Known, Trouble, troubles};
use crate::store::{ListPage, StoreError};
use crate::sync::Ctx;

/// Connections read at a time.
const PAGE: u32 = 200;

/// Everything that is late, failed, waiting, quarantined or unreachable at `now`.
///
/// # Errors
/// When the state cannot be read.
pub async fn status(ctx: &Ctx, now: Timestamp) -> Result<Vec<Trouble>, StoreError> {
    let mut known = Known {
        outcomes: ctx.store.outcomes_to_tell().await?,
        runs: ctx.store.runs_to_tell().await?,
        ..Known::default()
    };
    let mut before: Option<ConnectionId> = None;
    loop {
        let limit = PAGE;
        let page = ctx.store.connections(ListPage { limit, before }).await?;
        before = page.last().map(|connection| connection.id);
        known.connections.extend(page);
        if before.is_none() {
            let alerts = ctx.store.alerts().await?;
            return Ok(completed(troubles(&known, now), &alerts));
        }
    }
}
