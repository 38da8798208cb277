//! The sending of rows to a peer as frames: counted, held to the day's bounds, and given up when nobody takes them.
//!
//! Invariant: the `end` frame is sent only after the database said that was all, and only while the connection is active;
//! whatever else ends the stream is an `error` frame or a cut.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, RowStream};
use crate::model::connection::{Connection, Status};
use crate::model::fault::FaultCode;
use crate::model::run::Transfer;
use crate::store::Usage;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, is_visible};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::framing::Framing;
use crate::sync::serve::history;
use crate::sync::serve::life::{Ending, Life};
use crate::sync::serve::limits::{LimitFault, check_asking, on_site};
use crate::sync::serve::sieve::Unfit;
use crate::sync::serve::told::{read_failed, told};
use crate::sync::serve::usage;
use crate::sync::serve::view::View;
use crate::wire::frame::{FrameKind, RowSum};
use crate::wire::messages::{Head, PublishedRefusal, StreamFault, StreamFaultCode};
use crate::wire::row::RowBatch;

/// Pieces of frames, none larger than a batch, that wait for the network.
const PIECES: usize = 2;
/// While no rows come, a sign of life is sent this often; while they do, the grant is looked at again this often.
const EVERY: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is gone: it would hold a snapshot of the site database.
const STALLED_AFTER: Duration = Duration::from_secs(600);

/// Why a stream ends without its end.
enum Halt {
    /// Nobody takes it any more.
    ClientGone,
    /// The client is told why.
    Fault(StreamFaultCode, String),
}

/// For whom rows are read, and by which view.
pub(super) struct Recipient {
    /// As it was when it was last looked at.
    pub(super) connection: Connection,
    pub(super) client: ClientKind,
    pub(super) address: Option<IpAddr>,
    /// By which the stream began.
    pub(super) view: View,
    /// Of the session that the stream is of.
    pub(super) life: Option<Life>,
}

/// One stream under way.
pub(super) struct Sending {
    ctx: Arc<Ctx>,
    recipient: Recipient,
    transfer: Transfer,
    out: mpsc::Sender<Bytes>,
    rows: u64,
    bytes: u64,
    /// That were sent.
    frames: u32,
    looked_at: Instant,
    sent_at: Instant,
}

impl Sending {
    /// Writes down that a transfer begins; the pieces of its frames come out at the other end.
    pub(super) async fn begin(
        ctx: &Arc<Ctx>,
        recipient: Recipient,
    ) -> (Self, mpsc::Receiver<Bytes>) {
        let table = recipient.view.table.name.clone();
        let transfer = history::begun(recipient.connection.id, table, Timestamp::now());
        history::insert(ctx, &transfer).await;
        ctx.usage.begin(recipient.connection.id);
        let (out, pieces) = mpsc::channel(PIECES);
        let sending = Self {
            ctx: Arc::clone(ctx),
            recipient,
            transfer,
            out,
            rows: 0,
            bytes: 0,
            frames: 0,
            looked_at: Instant::now(),
            sent_at: Instant::now(),
        };
        (sending, pieces)
    }

    /// Sends it all, and writes down how that ended; the sum of the rows where all were sent.
    pub(super) async fn run(
        mut self,
        mut framing: Framing,
        head: Head,
        rows: RowStream,
    ) -> Option<RowSum> {
        let sent = self.send_all(&mut framing, &head, rows).await;
        let total = sent.is_ok().then(|| framing.total());
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
        let transfer = history::ended(self.transfer, self.rows, self.bytes, fault);
        usage::settle(&self.ctx, transfer.connection_id).await;
        history::finish(&self.ctx, &transfer).await;
        total
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
                    Some(Ok(Flow::End)) => return self.end(framing).await,
                    Some(Err(err)) => return Err(self.database_fault(&err)),
                    None => {
                        let cut = EngineError::Cut(self.transfer.table.clone());
                        return Err(self.database_fault(&cut));
                    }
                },
                () = self.out.closed() => return Err(Halt::ClientGone),
                ending = over(self.recipient.life.as_ref()) => return Err(ended(ending)),
                () = tokio::time::sleep_until(self.sent_at + EVERY) => None,
            };
            if self.looked_at.elapsed() >= EVERY {
                self.look_at_grant().await?;
            }
            let mut pieces = Vec::new();
            if let Some(batch) = batch {
                pieces = self.gather(framing, batch).await?;
                let rows = framing.total().rows.saturating_sub(self.rows);
                self.charge(Usage { rows, bytes: 0 }).await?;
                self.rows += rows;
            }
            // Where few of many rows were picked, a long time may pass until a frame is full.
            if pieces.is_empty() && self.sent_at.elapsed() >= EVERY {
                let payload = json_bytes(&serde_json::json!({"rows": self.rows}));
                pieces = framing.message(FrameKind::Progress, payload);
            }
            self.send(pieces).await?;
        }
    }

    async fn end(&mut self, framing: &mut Framing) -> Result<(), Halt> {
        if framing.lacks_rows() {
            tracing::error!(transfer = %self.transfer.id, "rows that a peer picked were not found again in the same snapshot");
            let words = "rows that were picked were not found again; open another session";
            return Err(Halt::Fault(StreamFaultCode::ReadFailed, words.to_owned()));
        }
        self.send(framing.end()).await
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
                    tracing::error!(%err, transfer = %self.transfer.id, "the site database gave a row that cannot be sent");
                    match err {
                        Unfit::Broken(_) => Halt::Fault(StreamFaultCode::ReadFailed, read_failed()),
                        Unfit::Row(words) => Halt::Fault(StreamFaultCode::Unfit, words),
                    }
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
        if pieces.is_empty() {
            return Ok(());
        }
        let bytes = pieces
            .iter()
            .map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX));
        let bytes = bytes.fold(0, u64::saturating_add);
        self.charge(Usage { rows: 0, bytes }).await?;
        self.pass_on(pieces).await?;
        self.sent_at = Instant::now();
        Ok(())
    }

    async fn charge(&self, more: Usage) -> Result<(), Halt> {
        match usage::charge(
            &self.ctx,
            &self.recipient.connection,
            more,
            Timestamp::now(),
        )
        .await
        {
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
        if !is_visible(
            &self.ctx,
            &connection,
            self.recipient.client,
            &self.transfer.table,
        ) {
            let words = PublishedRefusal::TableNotGranted.to_string();
            return Err(Halt::Fault(StreamFaultCode::TableNotGranted, words));
        }
        if !self.recipient.view.is_under(&connection.grant) {
            let words = "what this connection may see of the table was changed".to_owned();
            return Err(Halt::Fault(StreamFaultCode::GrantChanged, words));
        }
        let now = on_site(&self.ctx, Timestamp::now());
        self.recipient.connection = connection;
        let limits = &self.recipient.connection.grant.limits;
        check_asking(limits, self.recipient.address, &now).map_err(|fault| limited(&fault))
    }

    fn database_fault(&self, err: &EngineError) -> Halt {
        tracing::warn!(%err, transfer = %self.transfer.id, connection = %self.transfer.connection_id, "reading for a peer failed");
        let (code, words) = told(err, self.recipient.view.is_whole());
        Halt::Fault(code, words)
    }
}

/// Waits for the end of the session, where the stream is of one.
async fn over(life: Option<&Life>) -> Ending {
    match life {
        Some(life) => life.over().await,
        None => std::future::pending().await,
    }
}

fn ended(ending: Ending) -> Halt {
    let words = format!("the session has ended: {}", ending.words());
    Halt::Fault(ending.stream_code(), words)
}

/// A bound that was met, or set, while the stream ran.
fn limited(fault: &LimitFault) -> Halt {
    let code = fault.stream_code().unwrap_or(StreamFaultCode::GrantChanged);
    Halt::Fault(code, fault.to_string())
}

/// Serializing our own messages cannot fail; an empty payload would be refused as nonsense, not taken for rows.
pub(super) fn json_bytes(message: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(message).unwrap_or_default().into()
}
