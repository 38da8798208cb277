//! Writing one chunk inside an open transaction: straight, or looked up first, halved until the rows at fault are alone.
//!
//! Neither begins nor commits. A statement that fails leaves nothing behind, and rows that need several statements are
//! written under a savepoint. Invariant: after every call the transaction holds exactly the rows that were counted.

use bytes::Bytes;
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

use crate::engine::chunk::tuples;
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::mysql::apply::Work;
use crate::engine::mysql::apply::look::key_image;
use crate::engine::mysql::apply::seen::Mark;
use crate::engine::mysql::apply::statements::Lock;
use crate::engine::mysql::apply::verdict::Verdict;
use crate::engine::mysql::fault::writing;
use crate::engine::mysql::value::Value;
use crate::engine::sql::Sql;
use crate::engine::transaction::Way;
use crate::model::run::Changes;
use crate::wire::row::split_tuple;

/// Rows of one statement: always powers of two, so that few statements are prepared.
const STATEMENT_ROWS: usize = 256;
/// Bytes of one statement, unless a single row has more.
const STATEMENT_BYTES: usize = 256 << 10;
/// The protocol counts parameters in 16 bits.
const STATEMENT_PARAMETERS: usize = 65_535;
/// Around the parameters of a packet.
const PACKET_HEAD: usize = 64;
/// So many rows are updated one by one.
const SINGLY: usize = 4;
/// After so many statements that did not go straight, the rest is looked up at once.
const STRAIGHT_FAILURES: u32 = 16;

const SAVE: &str = "savepoint evenkeel";
const KEEP: &str = "release savepoint evenkeel";
const UNDO: &str = "rollback to savepoint evenkeel; release savepoint evenkeel";

/// Rows by what is to be done with them; `changes` counts those with which nothing is.
#[derive(Default)]
struct Sorted {
    changes: Changes,
    absent: Vec<Bytes>,
    differing: Vec<Bytes>,
}

impl Work {
    /// How the next rows go.
    pub(super) fn way(&self) -> Way {
        let may = self.destination.began_empty
            && self.destination.exact
            && self.destination.rules.insert();
        if may && self.straight_failures < STRAIGHT_FAILURES {
            Way::Straight
        } else {
            Way::ByKey
        }
    }

    /// Writes whole tuples; rows that do not fit are held back or refused.
    pub(super) async fn write(&mut self, parts: &[Bytes]) -> Result<(), EngineError> {
        let rows = tuples(parts).map_err(|err| self.malformed(&err))?;
        if self.destination.folded {
            self.remember(&rows)?;
        }
        if self.way() == Way::ByKey {
            return self.halve(&rows).await;
        }
        for piece in self.pieces(&rows) {
            match self.insert(piece).await {
                Ok(()) => self.applied.changes.added += count(piece),
                Err(Fault::Engine(err)) => return Err(err),
                Err(Fault::Row(_)) => {
                    self.straight_failures += 1;
                    self.halve(piece).await?;
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let mut marks = Vec::with_capacity(rows.len());
        for row in rows {
            let (fields, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
            marks.push(Mark::of(&key_image(
                &fields,
                self.destination.statements.key(),
            )));
        }
        self.seen.add(marks.into_iter())
    }

    /// `rows` in pieces that fit into a statement each.
    pub(super) fn pieces<'r>(&self, rows: &'r [Bytes]) -> Vec<&'r [Bytes]> {
        let columns = self.destination.statements.columns().len().max(1);
        let most = STATEMENT_ROWS.min(STATEMENT_PARAMETERS / columns).max(1);
        let bytes = STATEMENT_BYTES.min(self.destination.packet / 4);
        let (mut pieces, mut rest) = (Vec::new(), rows);
        while !rest.is_empty() {
            let mut size = 0;
            let fitting = rest.iter().take(most).take_while(|row| {
                size += row.len();
                size <= bytes
            });
            let rows = fitting.count().max(1);
            let (piece, after) = rest.split_at(1 << rows.ilog2());
            pieces.push(piece);
            rest = after;
        }
        pieces
    }

    /// Writes what can be written of `rows`.
    pub(super) async fn halve(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let mut ranges = vec![rows];
        while let Some(range) = ranges.pop() {
            match self.attempt(range).await {
                Ok(changes) => self.applied.changes.add(&changes),
                Err(Fault::Engine(err)) => return Err(err),
                Err(Fault::Row(refusal)) => match range {
                    [row] if refusal.may_fit_later => self.held.push(row)?,
                    [row] => self.reject(row, refusal)?,
                    _ => {
                        let (first, second) = range.split_at(range.len() / 2);
                        ranges.extend([second, first].into_iter().filter(|half| !half.is_empty()));
                    }
                },
            }
        }
        Ok(())
    }

    /// Writes `rows` as one, all or none.
    pub(super) async fn attempt(&mut self, rows: &[Bytes]) -> Result<Changes, Fault> {
        let sorted = self.sort(rows, Lock::None).await?;
        if sorted.absent.is_empty() && sorted.differing.is_empty() {
            return Ok(sorted.changes);
        }
        self.run(SAVE).await?;
        match self.put(sorted).await {
            Ok(changes) => {
                self.run(KEEP).await?;
                Ok(changes)
            }
            Err(Fault::Row(refusal)) => {
                self.run(UNDO).await?;
                Err(Fault::Row(refusal))
            }
            Err(Fault::Engine(err)) => Err(Fault::Engine(err)),
        }
    }

    /// Looks `rows` up and decides.
    async fn sort(&mut self, rows: &[Bytes], lock: Lock) -> Result<Sorted, Fault> {
        let rules = self.destination.rules;
        let mut sorted = Sorted::default();
        for piece in self.pieces(rows) {
            let images = self.look(piece, lock).await?;
            self.refuse_collisions(&images)?;
            let statements = &self.destination.statements;
            for (row, image) in piece.iter().zip(&images) {
                let Some(image) = image else {
                    if rules.insert() {
                        sorted.absent.push(row.clone());
                    } else {
                        sorted.changes.skipped += 1;
                    }
                    continue;
                };
                let (incoming, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
                let local = image.local().map_err(|err| self.malformed(&err))?;
                let (places, forms) = (statements.compared(), statements.forms());
                match rules.verdict(&local, &incoming, places, &forms) {
                    Verdict::Equal => {}
                    Verdict::Update => sorted.differing.push(row.clone()),
                    Verdict::Stays => {
                        sorted.changes.skipped += 1;
                        sorted.changes.conflicts += 1;
                    }
                }
            }
        }
        Ok(sorted)
    }

    /// Updates, then inserts: a unique value may become free by the first.
    async fn put(&mut self, sorted: Sorted) -> Result<Changes, Fault> {
        let Sorted {
            mut changes,
            mut absent,
            mut differing,
        } = sorted;
        if !differing.is_empty() {
            // Once more, as nobody else can change them any longer.
            let locked = self.sort(&differing, Lock::Update).await?;
            changes.add(&locked.changes);
            absent.extend(locked.absent);
            differing = locked.differing;
            self.update(&differing).await?;
            changes.updated += count(&differing);
        }
        for piece in self.pieces(&absent) {
            self.insert(piece).await?;
        }
        changes.added += count(&absent);
        if !self.destination.exact {
            self.read_back(&differing).await?;
            self.read_back(&absent).await?;
        }
        Ok(changes)
    }

    /// Inserts a piece by one statement.
    async fn insert(&mut self, piece: &[Bytes]) -> Result<(), Fault> {
        let values = self.values(piece)?;
        let statement = self.destination.statements.insert(piece.len());
        self.execute(&statement, values).await.map(drop)
    }

    async fn update(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        if !self.staged || rows.len() <= SINGLY {
            for row in rows {
                self.update_one(row).await?;
            }
            return Ok(());
        }
        for piece in self.pieces(rows) {
            let values = self.values(piece)?;
            let statement = self.destination.statements.insert_into_stage(piece.len());
            self.execute(&statement, values).await?;
        }
        let update = self.destination.statements.update_from_stage();
        let touched = self.execute(&update, Vec::new()).await?;
        let clear = self.destination.statements.clear_stage();
        self.execute(&clear, Vec::new()).await?;
        // Two rows with one key: one after the other they are what they would be in a stream.
        if touched == count(rows) {
            Ok(())
        } else {
            Err(lost_key())
        }
    }

    async fn update_one(&mut self, row: &Bytes) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        let values = self.values(std::slice::from_ref(row))?;
        let (places, merges) = (statements.compared(), statements.merges());
        let at = |at: &usize| values.get(*at).cloned();
        let present = |value: &Value<'_>| !(merges && matches!(value, Value::Null(_)));
        let compared: Vec<Value<'_>> = places.iter().filter_map(at).collect();
        let presence: Vec<bool> = compared.iter().map(present).collect();
        let update = statements.update(&presence);
        let key = statements.key().iter().filter_map(at);
        let parameters = compared.into_iter().filter(present).chain(key).collect();
        if self.execute(&update, parameters).await? == 1 {
            Ok(())
        } else {
            Err(lost_key())
        }
    }

    /// Rows that are not stored as they came are at fault, with the column that changed them.
    async fn read_back(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        for piece in self.pieces(rows) {
            let images = self.look(piece, Lock::None).await?;
            let statements = &self.destination.statements;
            for (row, image) in piece.iter().zip(&images) {
                let (incoming, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
                let altered = match image {
                    None => statements.key().first().copied(),
                    Some(image) => {
                        let local = image.local().map_err(|err| self.malformed(&err))?;
                        let rules = self.destination.rules;
                        rules.altered(&local, &incoming, &statements.forms())
                    }
                };
                if let Some(column) = altered.map(|at| statements.columns().get(at)) {
                    let native = column.map_or("", |column| &column.native);
                    return Err(Fault::Row(Refusal {
                        column: column.map(|column| column.name.clone()),
                        reason: format!("{native} stores the value as another"),
                        may_fit_later: false,
                    }));
                }
            }
        }
        Ok(())
    }

    /// The parameters of `rows`, one after the other.
    fn values<'r>(&self, rows: &'r [Bytes]) -> Result<Vec<Value<'r>>, Fault> {
        let encoders = self.destination.statements.encoders();
        let mut values = Vec::with_capacity(rows.len() * encoders.len());
        for row in rows {
            let (fields, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
            if fields.len() != encoders.len() {
                return Err(Fault::Engine(EngineError::Statement {
                    table: self.table().to_string(),
                    message: "a row does not have the columns that were agreed on".to_owned(),
                }));
            }
            for (encoder, field) in encoders.iter().zip(fields) {
                values.push(encoder.encode(field).map_err(Fault::Row)?);
            }
        }
        Ok(values)
    }

    /// Runs a statement with its parameters; how many rows it met.
    pub(super) async fn execute(
        &mut self,
        statement: &Sql,
        values: Vec<Value<'_>>,
    ) -> Result<u64, Fault> {
        let arguments = self.arguments(statement, values)?;
        self.session
            .execute_with(statement, arguments)
            .await
            .map_err(|err| writing(err, self.table()))
    }

    /// The parameters as they are sent, unless the server would close the connection over their size.
    pub(super) fn arguments(
        &self,
        statement: &Sql,
        values: Vec<Value<'_>>,
    ) -> Result<MySqlArguments, Fault> {
        let size: usize = values.iter().map(Value::size).sum();
        let most = self.destination.packet.saturating_sub(PACKET_HEAD);
        if size.max(statement.text().len()) > most {
            return Err(Fault::Row(Refusal {
                column: None,
                reason: format!(
                    "the row has about {size} bytes, the server takes {most} (max_allowed_packet)"
                ),
                may_fit_later: false,
            }));
        }
        let mut arguments = MySqlArguments::default();
        arguments.reserve(values.len(), size);
        for value in values {
            arguments
                .add(value)
                .map_err(|err| writing(sqlx::Error::Encode(err), self.table()))?;
        }
        Ok(arguments)
    }
}

fn lost_key() -> Fault {
    Fault::Row(Refusal {
        column: None,
        reason: "the row with this key is not found again to be updated".to_owned(),
        may_fit_later: false,
    })
}

fn count(rows: &[Bytes]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
