//! Our administrator gives: a new connection on which the peer may read what the grant says.

use crate::model::connection::{Connection, Direction};
use crate::model::grant::Grant;
use crate::sync::connections::grant::checked_grant;
use crate::sync::connections::introduce::{Introduction, introduce};
use crate::sync::{Actor, Ctx, SyncError};

/// A connection our administrator makes: this site gives.
#[derive(Debug)]
pub struct NewConnection {
    /// To whom.
    pub with: Introduction,
    /// What it may see.
    pub grant: Grant,
    /// A peer that does not sign gets nothing.
    pub requires_signed: bool,
}

/// Makes a connection and registers it with the peer; a refusal leaves no row. A peer that cannot be reached is
/// asked again by the healing loop.
///
/// # Errors
/// The peer's refusal, or why it must not be asked.
pub async fn give(ctx: &Ctx, new: NewConnection, actor: &Actor) -> Result<Connection, SyncError> {
    let (grant, requires_signed) = (checked_grant(ctx, new.grant).await?, new.requires_signed);
    let shape = |row| Connection {
        grant,
        requires_signed,
        ..row
    };
    introduce(ctx, new.with, Direction::Sender, shape, actor).await
}
