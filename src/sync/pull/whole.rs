//! All rows of a table of a peer that sends JSON, each once.
//!
//! `pull-data` gives as many as it wants to at once; what is missing is asked for by ranges of the key where the peer
//! knows them, else page by page. Invariant: the rows end only when the peer showed that there are no others; what
//! cannot be completed is an error, never a short success.

use std::collections::HashSet;

use crate::model::fault::FaultCode;
use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;
use crate::remote::{JsonEnd, JsonRequest, JsonRows, Peer, RemoteError};
use crate::sync::SyncError;
use crate::sync::contract::refuse;
use crate::sync::pull::decode::{Decoder, write};
use crate::sync::pull::pages::{PAGE_ROWS, Pages, Step};
use crate::wire::InvalidValue;
use crate::wire::row::{RowBatch, RowWriter};
use crate::wire::signing::Credentials;

/// Keys that are remembered while rows come without an order of their own: some 40 MiB.
const MOST_KEYS: usize = 2_000_000;

/// Where the rows come from.
pub(super) struct JsonSource {
    pub(super) peer: Peer,
    pub(super) credentials: Credentials,
    /// As the peer names it.
    pub(super) table: TableName,
    /// Only told.
    pub(super) strategy: &'static str,
    /// How many rows the peer counted before.
    pub(super) told: Option<u64>,
}

/// Some rows, those that cannot be read apart.
pub(super) struct Piece {
    pub(super) batch: RowBatch,
    pub(super) refused: Vec<QuarantinedRow>,
}

/// The rows of one table, under way.
pub(super) struct WholeTable {
    source: JsonSource,
    /// The table here, for messages.
    table: TableName,
    decoder: Decoder,
    stage: Stage,
    answer: Option<JsonRows>,
    /// Of answers that are over.
    bytes: u64,
    rows: u64,
    seen: HashSet<u64>,
    /// What the present answer held so far.
    page: Page,
    writer: RowWriter,
}

enum Stage {
    /// All that the peer gives at once.
    First,
    /// Whether there is a row behind those that came.
    Probe,
    /// Ranges, each behind this key.
    Ranges,
    Pages(Pages),
}

#[derive(Default)]
struct Page {
    keys: Vec<u64>,
    fresh: u64,
    /// The highest key, as long as keys are whole numbers that rise; it stays from answer to answer.
    highest: Option<i64>,
    rises: bool,
}

impl WholeTable {
    /// Asks for the first rows.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub(super) async fn begin(
        source: JsonSource,
        table: TableName,
        decoder: Decoder,
    ) -> Result<Self, SyncError> {
        let mut whole = Self {
            source,
            table,
            decoder,
            stage: Stage::First,
            answer: None,
            bytes: 0,
            rows: 0,
            seen: HashSet::new(),
            page: Page {
                rises: true,
                ..Page::default()
            },
            writer: RowWriter::default(),
        };
        whole.ask(JsonRequest::Pull(None)).await?;
        Ok(whole)
    }

    /// Bytes received so far.
    pub(super) fn bytes(&self) -> u64 {
        let running = self.answer.as_ref().map_or(0, JsonRows::bytes);
        self.bytes.saturating_add(running)
    }

    /// Some more rows; `None` once the table is whole.
    ///
    /// # Errors
    /// When it cannot be completed, or the peer sends something else.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, SyncError> {
        while let Some(answer) = &mut self.answer {
            if let Some(rows) = answer.next().await? {
                return self.taken(&rows).map(Some);
            }
            let end = answer.end();
            self.bytes = self.bytes();
            self.answer = None;
            self.go_on(end).await?;
        }
        Ok(None)
    }

    async fn ask(&mut self, request: JsonRequest) -> Result<(), SyncError> {
        let JsonSource {
            peer,
            credentials,
            table,
            strategy,
            ..
        } = &self.source;
        let answer = peer
            .json_rows(credentials, table, strategy, request)
            .await?;
        self.page.keys.clear();
        self.page.fresh = 0;
        self.answer = Some(answer);
        Ok(())
    }

    fn taken(&mut self, rows: &[Vec<u8>]) -> Result<Piece, SyncError> {
        let mut refused = Vec::new();
        for json in rows {
            let row = self.decoder.read(json).map_err(|err| self.nonsense(&err))?;
            let rises = row.number.is_some() && row.number > self.page.highest;
            self.page.rises &= rises;
            self.page.highest = self.page.highest.max(row.number);
            self.page.keys.push(row.key);
            if !self.is_new(row.key, rises)? {
                continue;
            }
            self.rows += 1;
            self.page.fresh += 1;
            match row.fields {
                Ok(fields) => write(&fields, &mut self.writer),
                Err(row) => refused.push(row),
            }
        }
        let batch = self.writer.take();
        Ok(Piece { batch, refused })
    }

    /// Whether no row with this key came before.
    fn is_new(&mut self, key: u64, rises: bool) -> Result<bool, SyncError> {
        if matches!(self.stage, Stage::Ranges) {
            // In rising order nothing has to be remembered.
            return match rises {
                true => Ok(true),
                false => Err(self.protocol("it does not keep to `id_start`")),
            };
        }
        if self.seen.len() >= MOST_KEYS {
            return Err(refuse(
                &self.table,
                FaultCode::RowsCut,
                format!("the peer gives its rows page by page, and has more than {MOST_KEYS}"),
                "update the peer's software, or pull its table in parts that are views there",
            ));
        }
        Ok(self.seen.insert(key))
    }

    /// After an answer: asks for the next, or for none.
    async fn go_on(&mut self, end: JsonEnd) -> Result<(), SyncError> {
        let page_at = |offset| JsonRequest::Page {
            limit: PAGE_ROWS,
            offset,
        };
        match &mut self.stage {
            Stage::First => self.after_first(end).await,
            Stage::Probe if self.page.keys.is_empty() => Ok(()),
            Stage::Probe => {
                self.stage = Stage::Pages(Pages::default());
                self.ask(page_at(0)).await
            }
            Stage::Ranges if !end.filtered => {
                Err(self.protocol("it says that it has more rows, and does not keep to `id_start`"))
            }
            Stage::Ranges if end.truncated => self.ask_behind().await,
            Stage::Ranges => Ok(()),
            Stage::Pages(pages) => match pages.step(&self.page.keys, self.page.fresh, self.rows) {
                Step::Ask(offset) => self.ask(page_at(offset)).await,
                Step::Over(rows) if self.rows >= rows => Ok(()),
                Step::Over(rows) => Err(self.cut(&format!(
                    "it has {rows} rows, and not as many that differ in {}",
                    self.decoder.key_names()
                ))),
                Step::Moving => Err(self.cut(
                    "its rows come in another order each time, or change too fast to be asked for page by page",
                )),
            },
        }
    }

    async fn after_first(&mut self, end: JsonEnd) -> Result<(), SyncError> {
        // One statement gave them all, so that no row can have moved.
        if self.rows < u64::try_from(self.page.keys.len()).unwrap_or(u64::MAX) {
            return Err(refuse(
                &self.table,
                FaultCode::NoKey,
                format!(
                    "the peer has several rows with the same {}",
                    self.decoder.key_names()
                ),
                "name a key that is one there, too",
            ));
        }
        if end.truncated && self.page.rises && self.page.highest.is_some() {
            self.stage = Stage::Ranges;
            return self.ask_behind().await;
        }
        if end.truncated || self.source.told.is_some_and(|told| self.rows < told) {
            self.stage = Stage::Pages(Pages::default());
            let first = JsonRequest::Page {
                limit: PAGE_ROWS,
                offset: 0,
            };
            return self.ask(first).await;
        }
        self.stage = Stage::Probe;
        let behind = JsonRequest::Page {
            limit: 1,
            offset: self.rows,
        };
        match self.ask(behind).await {
            // Some versions cannot order every table; that it gave as many rows as it counted must do then.
            Err(SyncError::Remote(RemoteError::Refused { .. })) if self.source.told.is_some() => {
                Ok(())
            }
            asked => asked,
        }
    }

    async fn ask_behind(&mut self) -> Result<(), SyncError> {
        if self.page.keys.is_empty() {
            return Err(self.protocol("it says that it has more rows, and sends none"));
        }
        match self.page.highest.and_then(|highest| highest.checked_add(1)) {
            Some(start) => self.ask(JsonRequest::Pull(Some(start))).await,
            None => Err(self.protocol("it says that it has rows behind the highest number")),
        }
    }

    fn nonsense(&self, err: &InvalidValue) -> SyncError {
        self.protocol(&format!("in a row: {err}"))
    }

    fn protocol(&self, reason: &str) -> SyncError {
        RemoteError::Protocol {
            host: self.source.peer.host(),
            reason: format!("table {}: {reason}", self.table),
        }
        .into()
    }

    fn cut(&self, reason: &str) -> SyncError {
        RemoteError::Cut {
            host: self.source.peer.host(),
            after: format!(" after {} rows", self.rows),
            reason: format!("table {}: {reason}", self.table),
        }
        .into()
    }
}
