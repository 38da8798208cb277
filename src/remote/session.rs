//! A session at a peer: opened, asked for sums, listings and rows, renewed and closed.
//!
//! Invariant: an answer that is not about exactly what was asked is none.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::table::TableName;
use crate::remote::catalogue::excess;
use crate::remote::error::RemoteError;
use crate::remote::frames::Frames;
use crate::remote::peer::Peer;
use crate::remote::rows::{EndSum, IncomingRows};
use crate::remote::transport::MAX_BYTES;
use crate::wire::frame::{FrameKind, MEDIA_TYPE};
use crate::wire::receipt::Receipt;
use crate::wire::session::{
    Agreed, AskedTable, AskedTally, MAX_LISTED_BYTES, PickedLeaf, Scanning, SessionClosed,
    SessionOpened,
};
use crate::wire::signing::Credentials;
use crate::wire::tally::{Children, read_children};

/// Bytes of listings that are taken of one answer: no sender lists half as many.
const MOST_LISTED_BYTES: usize = 2 * MAX_LISTED_BYTES;

/// One answer may take so long to come, however often the peer says that it lives.
const LONGEST_ANSWER: Duration = Duration::from_secs(3_600);

/// What a peer answers to `tally`.
#[derive(Debug)]
pub enum Tallied {
    /// It still reads.
    Scanning(Scanning),
    /// Of each table that was asked about, in order: its sums, or a listing of each node.
    Told {
        /// In the order asked.
        tables: Vec<ToldTable>,
        /// Received for it.
        bytes: u64,
    },
}

/// What is told of one table.
#[derive(Debug)]
pub enum ToldTable {
    /// The children of each node.
    Sums(Vec<Children>),
    /// The rows below each node ([`crate::wire::tally::read_listing`]).
    Rows(Vec<Bytes>),
}

/// Which rows of a table.
#[derive(Clone, Debug)]
pub enum SessionRows<'a> {
    /// All.
    All,
    /// Those picked from listings.
    Picked(&'a [PickedLeaf]),
}

impl Peer {
    /// Opens a session over `tables`.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn open_session(
        &self,
        credentials: &Credentials,
        tables: &[AskedTable],
    ) -> Result<SessionOpened, RemoteError> {
        let opened: SessionOpened = self
            .session_call("open-session", credentials, json!({"tables": tables}))
            .await?;
        let told = opened.tables.iter().map(|table| &table.table);
        if !told.eq(tables.iter().map(|table| &table.table)) {
            return Err(self.transport.nonsense("its session is over other tables"));
        }
        let mut excess = opened
            .tables
            .iter()
            .filter_map(|table| excess(&table.evenkeel));
        if let Some(reason) = excess.next() {
            return Err(self.transport.nonsense(reason));
        }
        Ok(opened)
    }

    /// Keeps a session.
    ///
    /// # Errors
    /// As [`Self::open_session`].
    pub async fn renew_session(
        &self,
        credentials: &Credentials,
        session: &str,
    ) -> Result<(), RemoteError> {
        self.session_call::<SessionOpened>("open-session", credentials, json!({"session": session}))
            .await
            .map(drop)
    }

    /// Ends a session; the peer signs each of `receipts` that it agrees with.
    ///
    /// # Errors
    /// As [`Self::open_session`].
    pub async fn close_session(
        &self,
        credentials: &Credentials,
        session: &str,
        receipts: &[Receipt],
    ) -> Result<SessionClosed, RemoteError> {
        let asked = json!({"session": session, "receipts": receipts});
        self.session_call("close-session", credentials, asked).await
    }

    /// Asks for sums or listings.
    ///
    /// # Errors
    /// As [`Self::open_session`]; also when the answer is about something else, or is not there within an hour.
    pub async fn tally(
        &self,
        credentials: &Credentials,
        session: &str,
        tables: &[AskedTally],
    ) -> Result<Tallied, RemoteError> {
        let told = self.tallied(credentials, session, tables);
        within(LONGEST_ANSWER, &self.host(), told).await
    }

    async fn tallied(
        &self,
        credentials: &Credentials,
        session: &str,
        tables: &[AskedTally],
    ) -> Result<Tallied, RemoteError> {
        let body = named(credentials, json!({"session": session, "tables": tables}));
        let exchange = self
            .transport
            .ask("tally", &body, Some(credentials), Some(MEDIA_TYPE))
            .await?;
        match exchange.response.status().as_u16() {
            200 => {}
            202 => {
                let (_, body) = self.transport.finish(exchange, MAX_BYTES).await?;
                return serde_json::from_slice(&body)
                    .map(Tallied::Scanning)
                    .map_err(|err| self.transport.nonsense(&format!("in tally: {err}")));
            }
            _ => return Err(self.transport.refused(exchange).await),
        }
        let seal = exchange.seal();
        let mut frames = Frames::of(self.host(), exchange.response, seal);
        let tables = told_tables(&mut frames, tables).await?;
        let bytes = frames.bytes();
        Ok(Tallied::Told { tables, bytes })
    }

    /// Opens the stream of rows of a table in a session.
    ///
    /// # Errors
    /// As [`Self::open_session`].
    pub async fn session_rows(
        &self,
        credentials: &Credentials,
        session: &str,
        (table, agreed): (&TableName, &Agreed),
        rows: SessionRows<'_>,
    ) -> Result<IncomingRows, RemoteError> {
        let which = match rows {
            SessionRows::All => json!({"all": true, "agreed": agreed}),
            SessionRows::Picked(leaves) => json!({"picks": leaves}),
        };
        let mut body = json!({"session": session, "table_name": table});
        if let (Some(fields), Value::Object(more)) = (body.as_object_mut(), which) {
            fields.extend(more);
        }
        let frames = self
            .frames("pull-data", credentials, &named(credentials, body))
            .await?;
        IncomingRows::begin(frames, EndSum::NormalForms).await
    }

    /// Asks for an answer in frames.
    pub(super) async fn frames(
        &self,
        endpoint: &str,
        credentials: &Credentials,
        body: &Value,
    ) -> Result<Frames, RemoteError> {
        let exchange = self
            .transport
            .ask(endpoint, body, Some(credentials), Some(MEDIA_TYPE))
            .await?;
        if !exchange.response.status().is_success() {
            return Err(self.transport.refused(exchange).await);
        }
        let seal = exchange.seal();
        let response = exchange.response;
        let is_frames = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with(MEDIA_TYPE));
        if !is_frames {
            return Err(self
                .transport
                .nonsense("it sends no frames; is it an Evenkeel?"));
        }
        Ok(Frames::of(self.host(), response, seal))
    }

    async fn session_call<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        credentials: &Credentials,
        body: Value,
    ) -> Result<T, RemoteError> {
        let body = named(credentials, body);
        self.transport
            .call(endpoint, &body, Some(credentials))
            .await
    }
}

fn named(credentials: &Credentials, mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        let hash = credentials.token_hash.expose().clone();
        fields.insert("auth_token_hash".into(), hash.into());
    }
    body
}

async fn within<T>(
    patience: Duration,
    host: &str,
    answer: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let stuck = |_| RemoteError::Stuck {
        host: host.to_owned(),
        reason: format!(
            "its answer to `tally` did not come to its end within {} s; look at the peer's log, and at the way to it",
            patience.as_secs()
        ),
    };
    tokio::time::timeout(patience, answer)
        .await
        .map_err(stuck)?
}

/// From the head to the end. What listings take unpacked is bounded over all of them: a few bytes may unpack to mebibytes.
async fn told_tables(
    frames: &mut Frames,
    asked: &[AskedTally],
) -> Result<Vec<ToldTable>, RemoteError> {
    expect(frames, FrameKind::Head).await?;
    let (mut told, mut room) = (Vec::with_capacity(asked.len()), MOST_LISTED_BYTES);
    for asked in asked {
        told.push(match asked.level {
            Some(_) => ToldTable::Sums(sums(frames, asked).await?),
            None => ToldTable::Rows(listings(frames, asked, &mut room).await?),
        });
    }
    expect(frames, FrameKind::End).await?;
    Ok(told)
}

async fn sums(frames: &mut Frames, asked: &AskedTally) -> Result<Vec<Children>, RemoteError> {
    let payload = expect(frames, FrameKind::Sums).await?;
    let children = read_children(&payload).map_err(|err| frames.nonsense(&err.to_string()))?;
    match children.len() == asked.prefixes.len() {
        true => Ok(children),
        false => Err(frames.nonsense("it tells the sums of other nodes than were asked about")),
    }
}

async fn listings(
    frames: &mut Frames,
    asked: &AskedTally,
    room: &mut usize,
) -> Result<Vec<Bytes>, RemoteError> {
    let mut listings = Vec::with_capacity(asked.prefixes.len());
    for _ in &asked.prefixes {
        let listing = expect(frames, FrameKind::Keys).await?;
        *room = room.checked_sub(listing.len()).ok_or_else(|| {
            frames.nonsense(&format!(
                "one answer lists more than {MOST_LISTED_BYTES} bytes of keys of table {}, and {MAX_LISTED_BYTES} are the most",
                asked.table
            ))
        })?;
        listings.push(listing);
    }
    Ok(listings)
}

/// The payload of the next frame, signs of life aside, which has to be of this kind.
async fn expect(frames: &mut Frames, kind: FrameKind) -> Result<Bytes, RemoteError> {
    loop {
        let frame = frames.next().await?;
        match frame.kind {
            found if found == kind => return Ok(frame.payload),
            FrameKind::Progress => {}
            FrameKind::Error => return Err(frames.fault(&frame.payload)),
            _ => return Err(frames.nonsense("a frame of another kind than was asked for")),
        }
    }
}

#[cfg(test)]
mod tests;
