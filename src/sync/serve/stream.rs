//! `pull-data` as frames: every row of a table, from one snapshot, in bounded memory.
//!
//! Invariant: the `end` frame is sent only after the database said that was all, and only while the connection is active;
//! whatever else ends the stream is an `error` frame or a cut.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, RowStream, Selection};
use crate::model::connection::{Connection, Status};
use crate::model::fault::FaultCode;
use crate::model::run::Transfer;
use crate::model::table::{NeutralType, Table, TableName};
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_table, is_visible, sent_columns};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::filter::WantedRows;
use crate::sync::serve::framing::Framing;
use crate::sync::serve::history;
use crate::sync::serve::places::Place;
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
    let table = granted_table(ctx, connection, client, name).await?;
    let rows = order.rows.on(&table)?;
    let columns = wanted_columns(&table, order.columns)?;
    let head = head(&table, &columns, order.rows);
    let place = Place::take(connection.id)?;
    let rows = ctx
        .driver
        .read(Selection {
            table: table.name.clone(),
            columns,
            rows,
            page: None,
        })
        .await?;
    let transfer = history::begun(connection, table.name);
    history::insert(ctx, &transfer).await;
    let (out, pieces) = mpsc::channel(PIECES);
    let sending = Sending {
        ctx: Arc::clone(ctx),
        client,
        transfer,
        out,
        bytes: 0,
        looked_at: Instant::now(),
    };
    let framing = Framing::new(order.compress, order.seal);
    ctx.tasks.spawn("send rows", async move {
        sending.run(framing, head, rows).await;
        drop(place);
    });
    Ok(pieces)
}

fn wanted_columns(
    table: &Table,
    names: Option<Vec<String>>,
) -> Result<Vec<(String, NeutralType)>, ServeError> {
    let known = sent_columns(table);
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

fn head(table: &Table, columns: &[(String, NeutralType)], rows: WantedRows) -> Head {
    Head {
        table: table.name.clone(),
        columns: columns
            .iter()
            .map(|(name, kind)| HeadColumn {
                name: name.clone(),
                kind: *kind,
            })
            .collect(),
        rows_estimate: table.row_estimate,
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
    client: ClientKind,
    transfer: Transfer,
    out: mpsc::Sender<Bytes>,
    bytes: u64,
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
                let frame = framing.message(FrameKind::Error, payload);
                // Whether they are heard or not, the stream ends here.
                drop(self.send(frame).await);
                Some((code.as_str(), words))
            }
        };
        let transfer = history::ended(self.transfer, framing.rows(), self.bytes, fault);
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
                Some(batch) => self.gather(framing, batch).await?,
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

    async fn send(&mut self, pieces: Vec<Bytes>) -> Result<(), Halt> {
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
        if is_visible(&self.ctx, &connection, self.client, &self.transfer.table) {
            Ok(())
        } else {
            let words = PublishedRefusal::TableNotGranted.to_string();
            Err(Halt::Fault(StreamFaultCode::TableNotGranted, words))
        }
    }

    fn database_fault(&self, err: &EngineError) -> Halt {
        tracing::warn!(%err, transfer = %self.transfer.id, connection = %self.transfer.connection_id, "reading for a peer failed");
        let (code, words) = told(err);
        Halt::Fault(code, words)
    }
}

/// What a peer is told: never the database's own words, which may quote statements.
fn told(err: &EngineError) -> (StreamFaultCode, String) {
    match err {
        EngineError::RowTooLarge { .. } => (StreamFaultCode::RowTooLarge, err.to_string()),
        EngineError::Unreadable { .. } => (StreamFaultCode::UnreadableValue, err.to_string()),
        EngineError::SchemaChanged(_) | EngineError::NoTable(_) => (
            StreamFaultCode::TableChanged,
            "the table was changed while it was being read".to_owned(),
        ),
        EngineError::Locked { .. } => (
            StreamFaultCode::TableLocked,
            "the table is locked by another session of the site database".to_owned(),
        ),
        EngineError::Yielded => (
            StreamFaultCode::TableLocked,
            "another session of the site database waited for the table".to_owned(),
        ),
        EngineError::Unreachable(_) | EngineError::Lost(_) => (
            StreamFaultCode::DatabaseLost,
            "the site database broke off while reading".to_owned(),
        ),
        EngineError::Url(_)
        | EngineError::Full(_)
        | EngineError::Denied(_)
        | EngineError::CopyTooLarge { .. }
        | EngineError::Cut(_)
        | EngineError::TooManyRejected { .. }
        | EngineError::Statement { .. } => (StreamFaultCode::ReadFailed, read_failed()),
    }
}

fn read_failed() -> String {
    "the site database failed while reading; the sender's log says why".to_owned()
}

/// Serializing our own messages cannot fail; an empty payload would be refused as nonsense, not taken for rows.
fn json_bytes(message: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(message).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::told;
    use crate::engine::EngineError;
    use crate::wire::messages::StreamFaultCode;

    #[test]
    fn a_peer_never_hears_the_databases_own_words() {
        let fault = EngineError::Statement {
            table: "orders".to_owned(),
            message: "syntax error at \"select secret\"".to_owned(),
        };
        let (code, words) = told(&fault);
        assert_eq!(code, StreamFaultCode::ReadFailed);
        assert!(!words.contains("secret"));
    }
}
