//! Our administrator asks for access: the peer's decides which tables this site may read.

use crate::model::connection::{Connection, Direction};
use crate::model::table::TableName;
use crate::sync::connections::introduce::{Introduction, introduce};
use crate::sync::{Actor, Ctx, SyncError};

/// A connection our administrator asks for: this site would pull.
#[derive(Debug)]
pub struct Wish {
    /// Of whom.
    pub with: Introduction,
    /// What it would like to read; empty leaves it to the peer.
    pub tables: Vec<TableName>,
}

/// Makes the connection and asks the peer for access; what it refuses leaves no row. A peer that cannot be reached is
/// asked again by the healing loop.
///
/// # Errors
/// The peer's refusal, or why it must not be asked.
pub async fn request(ctx: &Ctx, wish: Wish, actor: &Actor) -> Result<Connection, SyncError> {
    let wanted_tables = wish.tables;
    let shape = |row| Connection {
        wanted_tables,
        // Only an Evenkeel can be asked, and those sign.
        requires_signed: true,
        ..row
    };
    introduce(ctx, wish.with, Direction::Receiver, shape, actor).await
}
