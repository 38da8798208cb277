//! `pull-data` within a session: all rows of a table, or those that were picked from its listings.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::driver::{BATCH_BYTES, RowFilter, RowStream, Selection};
use crate::model::connection::Connection;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::access::ClientKind;
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::framing::Framing;
use crate::sync::serve::places::Place;
use crate::sync::serve::sending::{Recipient, Sending};
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::open::held_session;
use crate::sync::serve::sessions::picks::{self, Picks};
use crate::sync::serve::sessions::session::{HeldTable, Session};
use crate::sync::serve::sieve::{ByContract, Contract, Picked, Sieve};
use crate::sync::serve::stream::head;
use crate::sync::serve::told::told;
use crate::wire::row::RowWriter;
use crate::wire::session::{Agreed, PickedLeaf};
use crate::wire::signing::Seal;
use crate::wire::tally::RowHasher;

/// Which rows of a session's table.
#[derive(Debug)]
pub enum WantedInSession {
    /// All of them.
    All,
    /// These of those that were listed.
    Picks(Vec<PickedLeaf>),
}

/// What to stream within a session, and how.
#[derive(Debug)]
pub struct SessionStream {
    /// The session, as its peer calls it.
    pub session: String,
    /// Where nothing was asked of the table before.
    pub agreed: Option<Agreed>,
    /// Which rows.
    pub wanted: WantedInSession,
    /// Payloads may go as zstd.
    pub compress: bool,
    /// What gives each frame its authenticator.
    pub seal: Option<Seal>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

/// Begins to read and returns the pieces of the stream's frames as they come; dropping them ends the reading.
///
/// # Errors
/// When the peer holds no such session, the order does not fit it, or reading cannot begin.
pub async fn open_session_stream(
    ctx: &Arc<Ctx>,
    connection: &Connection,
    table: &TableName,
    order: SessionStream,
) -> Result<mpsc::Receiver<Bytes>, ServeError> {
    let (session, in_use) = held_session(ctx, connection, &order.session)?;
    let held = session.table(table)?;
    let contract = held.contract(order.agreed.as_ref())?;
    let place = Place::take(connection.id)?;
    let wants_all = matches!(order.wanted, WantedInSession::All);
    let picks = match order.wanted {
        WantedInSession::All => None,
        WantedInSession::Picks(leaves) => Some(picks::prepare(held, &contract, leaves).await?),
    };
    let key = ctx.store.pseudonym_key(connection.id);
    let reading = held.view.reading(&contract.columns, &key);
    let selection = Selection {
        table: table.clone(),
        columns: reading.columns,
        rows: RowFilter::All,
        scope: held.scope.clone(),
        order: held.view.order(),
        page: None,
    };
    let (picked, rows) = read(ctx, &session, held, selection, picks).await?;
    let counting = ByContract {
        contract: Contract::clone(&contract),
        hasher: RowHasher::new(session.key.clone()),
        picked,
        fields: contract.key_fields(),
        writer: RowWriter::for_batches_of(BATCH_BYTES),
        scratch: Vec::new(),
    };
    let sieve = Sieve::masked_by(reading.mask).by_contract(counting);
    let framing = Framing::new(order.compress, order.seal).through(sieve);
    let head = head(&held.view, &contract.columns, held.filter.clone());
    let recipient = Recipient {
        connection: connection.clone(),
        client: ClientKind::Any,
        address: order.address,
        view: held.view.clone(),
        life: Some(session.life.clone()),
    };
    let (sending, pieces) = Sending::begin(ctx, recipient).await;
    let name = table.clone();
    ctx.tasks.spawn("send rows", async move {
        let total = sending.run(framing, head, rows).await;
        if let (Some(total), Ok(held), true) = (total, session.table(&name), wants_all) {
            // Twice the same: it is one moment.
            let _ = held.streamed.set(total);
        }
        drop((place, in_use));
    });
    Ok(pieces)
}

/// Begins to read what the selection or the picks say.
async fn read(
    ctx: &Arc<Ctx>,
    session: &Arc<Session>,
    held: &HeldTable,
    selection: Selection,
    picks: Option<Picks>,
) -> Result<(Option<Picked>, RowStream), ServeError> {
    let (picked, keys) = match picks {
        Some(Picks { picked, keys }) => (Some(picked), keys),
        None => (None, None),
    };
    if let Some(keys) = keys {
        let rows = picks::by_key(ctx, Arc::clone(session), selection, keys);
        return Ok((picked, rows));
    }
    let read = session.snapshot()?.read(selection).await;
    let rows = read.map_err(|err| {
        tracing::warn!(%err, connection = %session.connection, "reading for a peer failed");
        if let Some(ending) = session.life.ending() {
            return SessionFault::of(ending);
        }
        let (code, words) = told(&err, held.view.is_whole());
        SessionFault::Table {
            code: code.as_str(),
            words,
        }
    })?;
    Ok((picked, rows))
}
