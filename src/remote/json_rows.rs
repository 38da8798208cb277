//! Rows of a peer that sends no frames: JSON answers of `pull-data` and `table-records`, read row by row.
//!
//! Says what came, not whether that was all of a table. Invariant: [`JsonRows::next`] says `None` only after a whole
//! answer; of one no more is held than some rows.

use serde_json::{Map, Value, json};

use crate::base::cause::last_cause;
use crate::model::table::TableName;
use crate::remote::catalogue::excess;
use crate::remote::error::{RemoteError, quoted};
use crate::remote::peer::Peer;
use crate::remote::transport::Transport;
use crate::wire::json::elements::{Elements, ElementsFault};
use crate::wire::published::{PublishedTable, described};
use crate::wire::signing::Credentials;

/// The JSON of one row has at most so many bytes: twice what a row may have in the row layout.
const MAX_ROW_JSON: usize = 32 << 20;
/// Rows are passed on once they have so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// Which rows a JSON answer is asked for.
#[derive(Clone, Copy, Debug)]
pub enum JsonRequest {
    /// As many as the peer gives at once, in whatever order; with a number only rows whose key is not below it.
    Pull(Option<i64>),
    /// Up to so many, in the order of the key, after so many others.
    Page {
        /// 1 to 100.
        limit: u32,
        /// Rows left out before.
        offset: u64,
    },
}

/// A JSON answer under way.
#[derive(Debug)]
pub struct JsonRows {
    transport: Transport,
    response: reqwest::Response,
    member: &'static str,
    elements: Option<Elements>,
    bytes: u64,
    rows: u64,
    end: JsonEnd,
}

/// What a JSON answer says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonEnd {
    /// There are more rows than it holds. A peer of an earlier version leaves rows out without a word.
    pub truncated: bool,
    /// It holds only rows that were asked for by key.
    pub filtered: bool,
}

impl Peer {
    /// Asks for rows of `table` as JSON, as the peer of an unsigned connection gives them. `strategy` is only told.
    ///
    /// # Errors
    /// The peer's refusal, why it could not be asked, or that the connection is signed: such an answer proves nothing.
    pub async fn json_rows(
        &self,
        credentials: &Credentials,
        table: &TableName,
        strategy: &str,
        request: JsonRequest,
    ) -> Result<JsonRows, RemoteError> {
        let transport = self.transport.clone();
        if credentials.keys.is_some() {
            return Err(transport.nonsense("it sends no frames; is it an Evenkeel?"));
        }
        let hash = credentials.token_hash.expose();
        let (endpoint, member, body) = match request {
            JsonRequest::Pull(None) => (
                "pull-data",
                "data",
                json!({"auth_token_hash": hash, "table_name": table, "conflict_strategy": strategy}),
            ),
            JsonRequest::Pull(Some(start)) => (
                "pull-data",
                "data",
                json!({"auth_token_hash": hash, "table_name": table, "conflict_strategy": strategy, "id_start": start}),
            ),
            JsonRequest::Page { limit, offset } => (
                "table-records",
                "records",
                json!({"auth_token_hash": hash, "table_name": table, "limit": limit, "offset": offset}),
            ),
        };
        let accept = Some("application/json");
        let exchange = transport
            .ask(endpoint, &body, Some(credentials), accept)
            .await?;
        if !exchange.response.status().is_success() {
            return Err(transport.refused(exchange).await);
        }
        Ok(JsonRows {
            transport,
            response: exchange.response,
            member,
            elements: Some(Elements::of(member, MAX_ROW_JSON)),
            bytes: 0,
            rows: 0,
            end: JsonEnd::default(),
        })
    }

    /// What a published schema says of its table; `row_count` is the peer's own count.
    ///
    /// # Errors
    /// [`RemoteError::Protocol`] when it describes no table, or one that no database has.
    pub fn described(
        &self,
        schema: &Value,
        row_count: Option<u64>,
    ) -> Result<PublishedTable, RemoteError> {
        let nonsense = |reason: &str| {
            self.transport
                .nonsense(&format!("in table-schema: {reason}"))
        };
        let table = described(schema, row_count).map_err(|err| nonsense(&err.to_string()))?;
        match excess(&table.catalogue) {
            Some(reason) => Err(nonsense(reason)),
            None => Ok(table),
        }
    }
}

impl JsonRows {
    /// Bytes received so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the answer says of itself, once it is over.
    #[must_use]
    pub fn end(&self) -> JsonEnd {
        self.end
    }

    /// Some more rows, each as its JSON; `None` after the end of the answer.
    ///
    /// # Errors
    /// When it breaks off, is none of these answers, or is a refusal.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, RemoteError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES && self.elements.is_some() {
            let piece = self.response.chunk().await;
            let Some(piece) = piece.map_err(|err| self.cut(&last_cause(&err)))? else {
                self.conclude()?;
                break;
            };
            self.bytes += u64::try_from(piece.len()).unwrap_or_default();
            let taken = self.elements.as_mut().map_or(Ok(()), |elements| {
                elements.push(&piece, |row| {
                    bytes += row.len();
                    rows.push(row);
                })
            });
            taken.map_err(|fault| self.fault(fault))?;
        }
        self.rows += u64::try_from(rows.len()).unwrap_or_default();
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// Reads what stands around the rows.
    fn conclude(&mut self) -> Result<(), RemoteError> {
        let Some(elements) = self.elements.take() else {
            return Ok(());
        };
        let rest = elements.finish().map_err(|fault| self.fault(fault))?;
        let around: Map<String, Value> =
            serde_json::from_slice(&rest).map_err(|_| self.fault(ElementsFault::Rest))?;
        let says = |key: &str| around.get(key).and_then(Value::as_bool);
        if says("success") == Some(false) {
            return Err(self.transport.refusal(200, &rest, None));
        }
        if !around.get(self.member).is_some_and(Value::is_array) {
            return Err(self.fault(ElementsFault::Rest));
        }
        self.end = JsonEnd {
            truncated: says("truncated") == Some(true),
            filtered: says("filtered") == Some(true),
        };
        Ok(())
    }

    fn fault(&self, fault: ElementsFault) -> RemoteError {
        match fault {
            ElementsFault::Cut => self.cut(&fault.to_string()),
            ElementsFault::TooLong(_) | ElementsFault::Rest | ElementsFault::Array => {
                self.transport.nonsense(&fault.to_string())
            }
        }
    }

    fn cut(&self, reason: &str) -> RemoteError {
        RemoteError::Cut {
            host: self.transport.host(),
            after: format!(" after {} rows", self.rows),
            reason: quoted(reason),
        }
    }
}
