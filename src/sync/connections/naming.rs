//! Names are unique: strangers take what is free, and make way for what a person chose.
//!
//! Invariant: nobody's claim keeps an administrator from a name.

use crate::base::secret::Secret;
use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::store::{Kept, StoreError};
use crate::sync::connections::name::NAME_CHARACTERS;
use crate::sync::{Ctx, SyncError};

/// Inserts `connection` under the name that our administrator chose; a stranger's claim that has it gets another.
///
/// # Errors
/// [`StoreError::NameTaken`] when another connection has it, or our own state's.
pub(super) async fn insert_under_this_name(
    ctx: &Ctx,
    connection: &Connection,
    hash: &Secret<String>,
    kept: Kept<'_>,
) -> Result<(), SyncError> {
    match ctx.store.insert_connection(connection, hash, kept).await {
        Err(StoreError::NameTaken(name)) if make_way(ctx, &name).await? => {
            Ok(ctx.store.insert_connection(connection, hash, kept).await?)
        }
        done => Ok(done?),
    }
}

/// Gives the stranger's claim that is called `name`, if it is one, another name.
///
/// # Errors
/// Only our own state's.
pub(super) async fn make_way(ctx: &Ctx, name: &str) -> Result<bool, StoreError> {
    for at in 2..=NUMBERED + 1 {
        let other = numbered(name, at, ConnectionId::generate());
        match ctx.store.rename_claim(name, &other).await {
            Err(StoreError::NameTaken(_)) if at <= NUMBERED => {}
            done => return done,
        }
    }
    Ok(false)
}

/// Inserts `connection`, under its name or with `-2`, `-3`, ... behind it.
///
/// # Errors
/// Only our own state's.
pub(super) async fn insert_under_free_name(
    ctx: &Ctx,
    mut connection: Connection,
    hash: &Secret<String>,
    kept: Kept<'_>,
) -> Result<Connection, SyncError> {
    let wanted = connection.name.clone();
    for at in 1_u32.. {
        connection.name = numbered(&wanted, at, connection.id);
        match ctx.store.insert_connection(&connection, hash, kept).await {
            Err(StoreError::NameTaken(_)) if at <= NUMBERED => {}
            done => {
                done?;
                break;
            }
        }
    }
    Ok(connection)
}

/// After so many equal names the row's own identifier makes the difference.
const NUMBERED: u32 = 50;

fn numbered(name: &str, at: u32, id: ConnectionId) -> String {
    let ending = match at {
        1 => return name.to_owned(),
        at if at <= NUMBERED => format!("-{at}"),
        _ => format!("-{id}"),
    };
    let kept: String = name
        .chars()
        .take(NAME_CHARACTERS.saturating_sub(ending.len()))
        .collect();
    kept + &ending
}
