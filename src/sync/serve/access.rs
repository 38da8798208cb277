//! Who may see what: the first questions of every data request.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::model::connection::{Connection, Status};
use crate::model::grant::GrantedTables;
use crate::model::table::{Table, TableName};
use crate::sync::Ctx;
use crate::sync::connections::{Claim, by_token_hash, note_contact};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::limits::{LimitFault, check_asking, check_request, on_site};
use crate::sync::serve::usage;
use crate::sync::serve::view::View;

/// Where the state's own migrations are recorded when it lies in the site database: never shown, whatever a grant says.
const OWN_TABLE: &str = "_sqlx_migrations";

/// Which kind of program asks; some see less, because they could not use more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Evenkeel, curl, anything.
    Any,
    /// A PhoenixKit site: it knows only its default schema.
    PhoenixKit,
}

/// A peer whose connection is active, and what keeps it from data all the same.
#[derive(Debug)]
pub struct Admitted {
    connection: Connection,
    hindrance: Option<LimitFault>,
}

/// What a request for data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// One that counts against the connection's rate.
    Anew,
    /// One within a session, which counted when it was opened.
    InSession,
}

/// The active connection on which this site gives to the holder of this token. Counts as contact, and against its rate.
///
/// # Errors
/// [`ServeError::Signature`], [`ServeError::UnknownConnection`], [`ServeError::NotActive`], or our own state's.
pub async fn admit(
    ctx: &Ctx,
    claim: Claim<'_>,
    asking: Asking,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Admitted, ServeError> {
    let connection = by_token_hash(ctx, claim)
        .await?
        .ok_or(ServeError::UnknownConnection)?;
    note_contact(ctx, &connection, now).await?;
    let counted = match asking {
        Asking::Anew => check_request(ctx, &connection, address),
        Asking::InSession => Ok(()),
    };
    if connection.status() != Status::Active {
        return Err(ServeError::NotActive);
    }
    let asking = check_asking(&connection.grant.limits, address, &on_site(ctx, now));
    let hindrance = match asking.and(counted) {
        Err(fault) => Some(fault),
        Ok(()) => match usage::left(ctx, &connection, now).await {
            Ok(_) => None,
            Err(ServeError::Limit(fault)) => Some(fault),
            Err(err) => return Err(err),
        },
    };
    Ok(Admitted {
        connection,
        hindrance,
    })
}

impl Admitted {
    /// The connection, within the bounds of its grant.
    ///
    /// # Errors
    /// [`ServeError::Limit`].
    pub fn within_limits(self) -> Result<Connection, ServeError> {
        match self.hindrance {
            None => Ok(self.connection),
            Some(fault) => Err(fault.into()),
        }
    }

    /// The connection, and the table it names, when the grant lets it see a table of that name; whether there is one is
    /// asked later.
    ///
    /// # Errors
    /// [`ServeError::NotGranted`]; [`ServeError::NoTable`] for what can be no table's name under a grant of all;
    /// [`ServeError::Limit`].
    pub fn table(
        self,
        ctx: &Ctx,
        client: ClientKind,
        text: &str,
    ) -> Result<(Connection, TableName), ServeError> {
        let name = granted_name(ctx, &self.connection, client, text);
        if let Err(ServeError::NotGranted(_)) = name {
            return name.map(|name| (self.connection, name));
        }
        let connection = self.within_limits()?;
        Ok((connection, name?))
    }
}

fn granted_name(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    text: &str,
) -> Result<TableName, ServeError> {
    match text.parse::<TableName>() {
        Ok(name) if is_visible(ctx, connection, client, &name) => Ok(name),
        Ok(_) => Err(ServeError::NotGranted(text.to_owned())),
        Err(_) if matches!(connection.grant.tables, GrantedTables::All(_)) => {
            Err(ServeError::NoTable(text.to_owned()))
        }
        Err(_) => Err(ServeError::NotGranted(text.to_owned())),
    }
}

/// Whether the connection may see a table that the catalogue calls `name`.
pub(super) fn is_visible(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
) -> bool {
    let is_in_reach = client == ClientKind::Any || name.schema.is_none();
    is_in_reach
        && name.name != OWN_TABLE
        && connection.grant.allows(name, &ctx.config.grants.withheld)
}

/// What the connection sees of a table.
///
/// # Errors
/// [`ServeError::NotGranted`], also where the grant's row filter no longer fits; [`ServeError::NoTable`], or the site
/// database's.
pub(super) async fn granted_view(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
) -> Result<View, ServeError> {
    if !is_visible(ctx, connection, client, name) {
        return Err(ServeError::NotGranted(name.to_string()));
    }
    // A database may find a table under another spelling than its own; the grant was asked about this one.
    let found = ctx.driver.table(name).await?;
    let table = found
        .filter(|table| table.name == *name)
        .ok_or_else(|| ServeError::NoTable(name.to_string()))?;
    view_of(ctx, connection, client, table).ok_or_else(|| ServeError::NotGranted(name.to_string()))
}

/// What the connection sees of a visible table: nothing where the grant's row filter no longer fits it.
pub(super) fn view_of(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    table: Table,
) -> Option<View> {
    let name = table.name.clone();
    let is_shown = |name: &TableName| is_visible(ctx, connection, client, name);
    match View::of(table, &connection.grant, is_shown) {
        Ok(view) => Some(view),
        Err(err) => {
            tracing::error!(%err, table = %name, connection = %connection.id, "the grant's row filter does not fit the table any more: nothing of it is given until the grant is changed");
            None
        }
    }
}
