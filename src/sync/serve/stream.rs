//! `pull-data` as frames: every row of a table, from one snapshot, in bounded memory.
//!
//! Invariant: the `end` frame is sent only after the database said that was all, and only while the connection is active;
//! whatever else ends the stream is an `error` frame or a cut.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, RowStream, Selection};
use crate::model::connection::{Connection, Status};
use crate::model::fault::FaultCode;
use crate::model::run::Transfer;
use crate::model::table::{NeutralType, TableName};
use crate::store::Usage;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_view, is_visible};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::filter::WantedRows;
use crate::sync::serve::framing::Framing;
use crate::sync::serve::history;
use crate::sync::serve::limits::{LimitFault, check_asking, on_site};
use crate::sync::serve::places::Place;
use crate::sync::serve::told::{read_failed, told};
use crate::sync::serve::usage;
use crate::sync::serve::view::View;
use crate::wire::frame::FrameKind;
use crate::wire::messages::{Head, HeadColumn, PublishedRefusal, StreamFault, StreamFaultCode};
use crate::wire::row::RowBatch;
use crate::wire::signing::Seal;

/// Pieces of frames, none larger than a batch, that wait for the network.
const PIECES: usize = 2;
/// While no rows come, a sign of life is sent this often; while they do, the grant is looked at again this often.
const EVERY: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is gone: it would hold a snapshot of the site database.
const STALLED_AFTER: Duration = Duration::from_secs(600);

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
    let head = head(&view, &columns, order.rows);
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
    let transfer = history::begun(connection, view.table.name.clone());
    history::insert(ctx, &transfer).await;
    ctx.usage.begin(connection.id);
    let (out, pieces) = mpsc::channel(PIECES);
    let sending = Sending {
        ctx: Arc::clone(ctx),
        connection: connection.clone(),
        client,
        address: order.address,
        view,
        transfer,
        out,
        bytes: 0,
        frames: 0,
        looked_at: Instant::now(),
    };
    let framing = Framing::new(order.compress, order.seal).masked_by(reading.mask);
    ctx.tasks.spawn("send rows", async move {
        sending.run(framing, head, rows).await;
        drop(place);
    });
    Ok(pieces)
}

fn wanted_columns(
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

fn head(view: &View, columns: &[(String, NeutralType)], rows: WantedRows) -> Head {
    Head {
        table: view.table.name.clone(),
        columns: columns
            .iter()
            .map(|(name, kind)| HeadColumn {
                name: name.clone(),
                kind: *kind,
            })
            .collect(),
        rows_estimate: view.table.row_estimate,
        filter: match rows {
            WantedRows::Matching(filter) => Some(filter),
            WantedRows::All | WantedRows::Keys(_) => None,
        },
    }
}

/// Why a stream ends without its end.
enum Halt {
    /// Nobody takes it any more.
    ClientGone,
    /// The client is told why.
    Fault(StreamFaultCode, String),
}

/// One stream under way.
struct Sending {
    ctx: Arc<Ctx>,
    /// As it was when it was last looked at.
    connection: Connection,
    client: ClientKind,
    address: Option<IpAddr>,
    /// By which the stream began.
    view: View,
    transfer: Transfer,
    out: mpsc::Sender<Bytes>,
    bytes: u64,
    /// That were sent.
    frames: u32,
    looked_at: Instant,
}

impl Sending {
    async fn run(mut self, mut framing: Framing, head: Head, rows: RowStream) {
        let sent = self.send_all(&mut framing, &head, rows).await;
        let fault = match sent {
            Ok(()) => None,
            Err(Halt::ClientGone) => Some((
                FaultCode::ClientGone.as_str(),
                "the peer went away before the end".to_owned(),
            )),
            Err(Halt::Fault(code, words)) => {
                let last_words = StreamFault {
                    error: words.clone(),
                    error_code: code.to_string(),
                };
                let payload = json_bytes(&last_words);
                // What the day had no room for was made and not sent.
                framing.go_back_to(self.frames);
                let frame = framing.message(FrameKind::Error, payload);
                // Whether they are heard or not, the stream ends here.
                drop(self.pass_on(frame).await);
                Some((code.as_str(), words))
            }
        };
        let transfer = history::ended(self.transfer, framing.rows(), self.bytes, fault);
        usage::settle(&self.ctx, transfer.connection_id).await;
        history::finish(&self.ctx, &transfer).await;
    }

    async fn send_all(
        &mut self,
        framing: &mut Framing,
        head: &Head,
        mut rows: RowStream,
    ) -> Result<(), Halt> {
        let head = framing.message(FrameKind::Head, json_bytes(head));
        self.send(head).await?;
        loop {
            self.frames = framing.frames();
            let batch = tokio::select! {
                flow = rows.recv() => match flow {
                    Some(Ok(Flow::Rows(batch))) => Some(batch),
                    Some(Ok(Flow::End)) => {
                        return self.send(framing.end()).await;
                    }
                    Some(Err(err)) => return Err(self.database_fault(&err)),
                    None => {
                        let cut = EngineError::Cut(self.transfer.table.clone());
                        return Err(self.database_fault(&cut));
                    }
                },
                () = self.out.closed() => return Err(Halt::ClientGone),
                () = tokio::time::sleep(EVERY) => None,
            };
            if self.looked_at.elapsed() >= EVERY {
                self.look_at_grant().await?;
            }
            let pieces = match batch {
                Some(batch) => {
                    let rows = u64::from(batch.rows);
                    self.charge(Usage { rows, bytes: 0 }).await?;
                    self.gather(framing, batch).await?
                }
                None => {
                    let payload = json_bytes(&serde_json::json!({"rows": framing.rows()}));
                    framing.message(FrameKind::Progress, payload)
                }
            };
            self.send(pieces).await?;
        }
    }

    /// Hashing and compressing take milliseconds a frame: other tasks go on meanwhile.
    async fn gather(&self, framing: &mut Framing, batch: RowBatch) -> Result<Vec<Bytes>, Halt> {
        let mut working = std::mem::take(framing);
        let worked = tokio::task::spawn_blocking(move || {
            let pieces = working.gather(batch);
            (working, pieces)
        });
        match worked.await {
            Ok((back, pieces)) => {
                *framing = back;
                pieces.map_err(|err| {
                    tracing::error!(%err, transfer = %self.transfer.id, "the site database gave bytes that are no rows");
                    Halt::Fault(StreamFaultCode::ReadFailed, read_failed())
                })
            }
            Err(err) => {
                tracing::error!(%err, transfer = %self.transfer.id, "a frame could not be made");
                Err(Halt::Fault(StreamFaultCode::ReadFailed, read_failed()))
            }
        }
    }

    /// Sends what the day's bounds have room for, or nothing.
    async fn send(&mut self, pieces: Vec<Bytes>) -> Result<(), Halt> {
        let bytes = pieces
            .iter()
            .map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX));
        let bytes = bytes.fold(0, u64::saturating_add);
        self.charge(Usage { rows: 0, bytes }).await?;
        self.pass_on(pieces).await
    }

    async fn charge(&self, more: Usage) -> Result<(), Halt> {
        match usage::charge(&self.ctx, &self.connection, more, Timestamp::now()).await {
            Ok(()) => Ok(()),
            Err(ServeError::Limit(fault)) => Err(limited(&fault)),
            Err(err) => {
                tracing::error!(%err, transfer = %self.transfer.id, "what a peer takes cannot be counted");
                Err(Halt::Fault(StreamFaultCode::ReadFailed, read_failed()))
            }
        }
    }

    async fn pass_on(&mut self, pieces: Vec<Bytes>) -> Result<(), Halt> {
        for piece in pieces {
            if piece.is_empty() {
                continue;
            }
            self.bytes += u64::try_from(piece.len()).unwrap_or_default();
            match tokio::time::timeout(STALLED_AFTER, self.out.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Halt::ClientGone),
            }
        }
        Ok(())
    }

    /// Revoking, suspending or narrowing a grant ends what is under way.
    async fn look_at_grant(&mut self) -> Result<(), Halt> {
        self.looked_at = Instant::now();
        let found = self.ctx.store.connection(self.transfer.connection_id).await;
        let connection = found.map_err(|err| {
            tracing::error!(%err, transfer = %self.transfer.id, "the grant of a running transfer cannot be read");
            Halt::Fault(StreamFaultCode::ReadFailed, read_failed())
        })?;
        let active = connection.filter(|connection| connection.status() == Status::Active);
        let Some(connection) = active else {
            let words = PublishedRefusal::ConnectionNotActive.to_string();
            return Err(Halt::Fault(StreamFaultCode::ConnectionNotActive, words));
        };
        if !is_visible(&self.ctx, &connection, self.client, &self.transfer.table) {
            let words = PublishedRefusal::TableNotGranted.to_string();
            return Err(Halt::Fault(StreamFaultCode::TableNotGranted, words));
        }
        if !self.view.is_under(&connection.grant) {
            let words = "what this connection may see of the table was changed".to_owned();
            return Err(Halt::Fault(StreamFaultCode::GrantChanged, words));
        }
        self.connection = connection;
        let now = on_site(&self.ctx, Timestamp::now());
        check_asking(&self.connection.grant.limits, self.address, &now)
            .map_err(|fault| limited(&fault))
    }

    fn database_fault(&self, err: &EngineError) -> Halt {
        tracing::warn!(%err, transfer = %self.transfer.id, connection = %self.transfer.connection_id, "reading for a peer failed");
        let (code, words) = told(err, self.view.is_whole());
        Halt::Fault(code, words)
    }
}

/// A bound that was met, or set, while the stream ran.
fn limited(fault: &LimitFault) -> Halt {
    let code = fault.stream_code().unwrap_or(StreamFaultCode::GrantChanged);
    Halt::Fault(code, fault.to_string())
}

/// Serializing our own messages cannot fail; an empty payload would be refused as nonsense, not taken for rows.
fn json_bytes(message: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(message).unwrap_or_default().into()
}
