//! Closing a session.

use crate::model::connection::Connection;
use crate::sync::Ctx;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::Found;
use crate::sync::serve::sessions::open::held_session;
use crate::wire::session::SessionClosed;

/// Ends the session that the peer of `connection` calls `name`, and signs those of `terms` that say what it saw; asked
/// again, the answer is the same.
///
/// # Errors
/// When it holds no such session, or there are more terms than tables.
pub fn close_session(
    ctx: &Ctx,
    connection: &Connection,
    name: &str,
    terms: &[String],
) -> Result<SessionClosed, SessionFault> {
    if let Found::Closed(answer) = ctx.sessions.find(connection.id, name)? {
        return Ok(answer);
    }
    let (session, _in_use) = held_session(ctx, connection, name)?;
    if terms.len() > session.tables.len() {
        let words = "more `receipts` than the session has tables";
        return Err(SessionFault::invalid("invalid_receipts", words));
    }
    let answer = SessionClosed {
        signatures: vec![None; terms.len()],
    };
    ctx.sessions.close(&session, answer.clone());
    Ok(answer)
}
