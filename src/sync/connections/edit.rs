//! Changing a connection's name, URL or grant: all of it or nothing that does not fit.

use crate::model::connection::{Connection, Direction};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::store::{ConnectionEdit, StoreError};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::grant::checked_grant;
use crate::sync::connections::lookup::existing;
use crate::sync::connections::name::cleaned;
use crate::sync::connections::naming::make_way;
use crate::sync::{Actor, Ctx, SyncError};

/// What an administrator changes of a connection.
#[derive(Debug, Default)]
pub struct Edit {
    /// Its name here.
    pub name: Option<String>,
    /// Where the peer is reached.
    pub url: Option<String>,
    /// What it may see.
    pub grant: Option<Grant>,
}

/// Changes name, URL or grant.
///
/// # Errors
/// When there is no such connection, or a value does not fit.
pub async fn edit(
    ctx: &Ctx,
    id: ConnectionId,
    edit: Edit,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let known = existing(ctx, id).await?;
    // Everything is checked before anything is changed.
    let url = match &edit.url {
        Some(text) => {
            let url = checked_url(ctx, text)?;
            ctx.remote.check_token_may_cross(&url).await?;
            Some(url)
        }
        None => None,
    };
    let name = edit.name.as_deref().map(checked_name).transpose()?;
    let grant = match edit.grant {
        Some(grant) => Some(fitting_grant(ctx, &known, grant).await?),
        None => None,
    };
    let edit = ConnectionEdit {
        name: name.filter(|name| *name != known.name),
        url: url.filter(|url| *url != known.url),
        grant: grant.filter(|grant| *grant != known.grant),
    };
    let changed = changed(&edit);
    if !changed.is_empty() {
        match ctx.store.edit_connection(id, &edit).await {
            Err(StoreError::NameTaken(name)) if make_way(ctx, &name).await? => {
                ctx.store.edit_connection(id, &edit).await?;
            }
            done => done?,
        }
        // Who reads under a grant that was narrowed must not read on.
        ctx.sessions.ask_again(id);
        // Another URL has to be proved.
        ctx.janitor.wake();
        ctx.audit(
            actor,
            "connection.edit",
            &id.to_string(),
            Some(changed.join(", ")),
        )
        .await;
        ctx.healer.wake();
    }
    existing(ctx, id).await
}

/// A grant that `known` can have.
///
/// # Errors
/// [`SyncError::Invalid`] when it cannot; [`SyncError::Engine`] when the site database cannot be asked.
pub(super) async fn fitting_grant(
    ctx: &Ctx,
    known: &Connection,
    grant: Grant,
) -> Result<Grant, SyncError> {
    if known.direction == Direction::Receiver {
        return Err(SyncError::Invalid {
            field: "grant",
            message: "this connection receives; what it may see, the peer decides".to_owned(),
        });
    }
    checked_grant(ctx, grant).await
}

/// What an edit changes, for the audit.
fn changed(edit: &ConnectionEdit) -> Vec<&'static str> {
    let changes = [
        ("name", edit.name.is_some()),
        ("url", edit.url.is_some()),
        ("grant", edit.grant.is_some()),
    ];
    let changed = changes.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(name, _)| name).collect()
}

/// A connection's name as an administrator writes it.
///
/// # Errors
/// [`SyncError::Invalid`] when it is empty, too long or not plain text.
pub(in crate::sync) fn checked_name(text: &str) -> Result<String, SyncError> {
    cleaned(text)
        .filter(|name| name == text.trim())
        .ok_or_else(|| SyncError::Invalid {
            field: "name",
            message: "a name has 1 to 100 printable characters".to_owned(),
        })
}
