//! Closing a session: this site signs what the peer says of it, where the session saw the same.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::Connection;
use crate::sync::Ctx;
use crate::sync::receipt::{SessionFacts, TableFacts, sign_as_source};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::Found;
use crate::sync::serve::sessions::open::held_session;
use crate::sync::serve::sessions::session::{HeldTable, Session};
use crate::wire::frame::RowSum;
use crate::wire::receipt::{Receipt, SignedBy};
use crate::wire::session::{Agreed, AskedTable, SessionClosed};

/// Ends the session that the peer of `connection` calls `name`, and signs those of `receipts` that say what it saw; asked
/// again, the answer is the same.
///
/// # Errors
/// When it holds no such session, there are more receipts than tables, or what was signed cannot be kept.
pub async fn close_session(
    ctx: &Ctx,
    connection: &Connection,
    name: &str,
    receipts: &[Receipt],
) -> Result<SessionClosed, ServeError> {
    if let Found::Closed(answer) = ctx.sessions.find(connection.id, name)? {
        return Ok(answer);
    }
    let (session, _in_use) = held_session(ctx, connection, name)?;
    if receipts.len() > session.tables.len() {
        let words = "more `receipts` than the session has tables";
        return Err(SessionFault::invalid("invalid_receipts", words).into());
    }
    let signatures = match receipts {
        [] => Vec::new(),
        receipts => signed(ctx, connection, &session, receipts).await?,
    };
    let answer = SessionClosed { signatures };
    ctx.sessions.close(&session, answer.clone());
    Ok(answer)
}

async fn signed(
    ctx: &Ctx,
    connection: &Connection,
    session: &Session,
    receipts: &[Receipt],
) -> Result<Vec<Option<SignedBy>>, ServeError> {
    let mut seen: Vec<(AskedTable, &Agreed, RowSum)> = Vec::with_capacity(session.tables.len());
    for held in &session.tables {
        let Some((agreed, _)) = held.agreed.get() else {
            continue;
        };
        if let Some(root) = root(held).await {
            let asked = AskedTable {
                table: held.view.table.name.clone(),
                filter: held.filter.clone(),
            };
            seen.push((asked, agreed, root));
        }
    }
    let tables: Vec<TableFacts<'_>> = seen
        .iter()
        .map(|(asked, agreed, root)| TableFacts {
            asked,
            agreed,
            root: *root,
        })
        .collect();
    let held_for = SignedDuration::try_from(ctx.config.sessions.max_hold);
    let (_, ends_at) = session.ends;
    let opened_at = ends_at.checked_sub(held_for.unwrap_or(SignedDuration::MAX));
    let facts = SessionFacts {
        read_point: &session.read_point,
        opened_at: opened_at.unwrap_or(Timestamp::MIN),
        tables: &tables,
    };
    Ok(sign_as_source(ctx, connection, facts, receipts).await?)
}

/// All rows of a table, where it was read to its end.
async fn root(held: &HeldTable) -> Option<RowSum> {
    if let Some(scan) = held.scan.get()
        && let Ok(Some(tally)) = scan.tally(Duration::ZERO).await
    {
        return Some(tally.total());
    }
    held.streamed.get().copied()
}
