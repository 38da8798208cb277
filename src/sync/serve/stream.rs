//! `pull-data` as frames: the rows of a table, from a snapshot of their own, in bounded memory.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::driver::Selection;
use crate::model::connection::Connection;
use crate::model::filter::Filter;
use crate::model::table::{NeutralType, TableName};
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_view};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::filter::WantedRows;
use crate::sync::serve::framing::Framing;
use crate::sync::serve::places::Place;
use crate::sync::serve::sending::{Recipient, Sending};
use crate::sync::serve::sieve::Sieve;
use crate::sync::serve::view::View;
use crate::wire::messages::{Head, HeadColumn};
use crate::wire::signing::Seal;

/// Which rows and columns to stream, and how.
#[derive(Clone, Debug, Default)]
pub struct StreamOrder {
    /// Just these, in this order; `None`: all that can be sent.
    pub columns: Option<Vec<String>>,
    /// Only these rows.
    pub rows: WantedRows,
    /// Payloads may go as zstd.
    pub compress: bool,
    /// Set where the connection is signed.
    pub seal: Option<Seal>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

/// Begins to read and returns the pieces of the stream's frames as they come; dropping them ends the reading.
///
/// # Errors
/// When the connection does not see such a table, the order does not fit it, or reading cannot begin.
pub async fn open_stream(
    ctx: &Arc<Ctx>,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
    order: StreamOrder,
) -> Result<mpsc::Receiver<Bytes>, ServeError> {
    let view = granted_view(ctx, connection, client, name).await?;
    let (rows, scope) = order.rows.on(&view)?;
    let columns = wanted_columns(&view, order.columns)?;
    let filter = match order.rows {
        WantedRows::Matching(filter) => Some(filter),
        WantedRows::All | WantedRows::Keys(_) => None,
    };
    let head = head(&view, &columns, filter);
    let reading = view.reading(&columns, &ctx.store.pseudonym_key(connection.id));
    let place = Place::take(connection.id)?;
    let rows = ctx
        .driver
        .read(Selection {
            table: view.table.name.clone(),
            columns: reading.columns,
            rows,
            scope,
            order: view.order(),
            page: None,
        })
        .await?;
    let recipient = Recipient {
        connection: connection.clone(),
        client,
        address: order.address,
        view,
        life: None,
    };
    let (sending, pieces) = Sending::begin(ctx, recipient).await;
    let sieve = Sieve::masked_by(reading.mask);
    let framing = Framing::new(order.compress, order.seal).through(sieve);
    ctx.tasks.spawn("send rows", async move {
        sending.run(framing, head, rows).await;
        drop(place);
    });
    Ok(pieces)
}

/// The columns of these names, in their order; `None`: all that can be sent.
pub(super) fn wanted_columns(
    view: &View,
    names: Option<Vec<String>>,
) -> Result<Vec<(String, NeutralType)>, ServeError> {
    let known = view.sent_columns();
    let Some(names) = names else {
        return Ok(known);
    };
    let mut taken = HashSet::new();
    names
        .into_iter()
        .map(|name| {
            // Named again and again, one column would make rows of any size.
            if !taken.insert(name.clone()) {
                return Err(ServeError::RepeatedColumn(name));
            }
            known
                .iter()
                .find(|(column, _)| *column == name)
                .cloned()
                .ok_or(ServeError::UnknownColumn(name))
        })
        .collect()
}

/// What comes before rows of these columns, all of which pass `filter`.
pub(super) fn head(view: &View, columns: &[(String, NeutralType)], filter: Option<Filter>) -> Head {
    let column = |(name, kind): &(String, NeutralType)| HeadColumn {
        name: name.clone(),
        kind: *kind,
    };
    Head {
        table: view.table.name.clone(),
        columns: columns.iter().map(column).collect(),
        rows_estimate: view.table.row_estimate,
        filter,
    }
}
