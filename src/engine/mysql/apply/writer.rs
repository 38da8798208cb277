//! What rows need to be looked up and written by key: a session, the destination, and statements of bounded size.
//!
//! Decides nothing, and neither commits nor sets savepoints. Invariant: a statement that fails leaves nothing behind.

use bytes::Bytes;
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::mysql::apply::destination::{Destination, form};
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, writing};
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::value::Value;
use crate::engine::sql::Sql;
use crate::model::table::TableName;
use crate::wire::InvalidValue;
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

/// Writes to one table.
pub(super) struct Writer {
    pub(super) session: Session,
    pub(super) schemas: Schemas,
    pub(super) job: ApplyJob,
    pub(super) destination: Destination,
    /// The stage is there.
    pub(super) staged: bool,
}

impl Writer {
    /// Makes the stage, for rows that are updated together. Before any transaction: servers with GTIDs refuse temporary
    /// tables inside of one. Whoever may not have one updates row by row.
    pub(super) async fn make_stage(&mut self) {
        let destination = &self.destination;
        if !destination.rules.update() || destination.statements.compared().is_empty() {
            return;
        }
        let create = destination.statements.create_stage();
        self.staged = self.session.execute(&create).await.is_ok();
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`EngineError::SchemaChanged`] when the table is no longer what it was.
    pub(super) async fn begin(&mut self) -> Result<(), EngineError> {
        self.run(self.destination.begin).await?;
        let table = self.table().clone();
        if form(&mut self.session, &self.schemas, &table).await? != self.destination.form {
            return Err(EngineError::SchemaChanged(table));
        }
        Ok(())
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

    /// Inserts a piece by one statement.
    pub(super) async fn insert(&mut self, piece: &[Bytes]) -> Result<(), Fault> {
        let values = self.values(piece)?;
        let statement = self.destination.statements.insert(piece.len());
        self.execute(&statement, values).await.map(drop)
    }

    pub(super) async fn update(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
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
                kind: RefusalKind::Final,
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

    pub(super) fn table(&self) -> &TableName {
        &self.job.table.name
    }

    /// The fault of a stream that carries no rows.
    pub(super) fn malformed(&self, err: &InvalidValue) -> EngineError {
        self.job.malformed(err)
    }

    /// Runs statements of this program.
    pub(super) async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        let outcome = self.session.run(statements).await;
        outcome.map_err(|err| fault(err, self.table()))
    }
}

fn lost_key() -> Fault {
    Fault::Row(Refusal {
        column: None,
        reason: "the row with this key is not found again to be updated".to_owned(),
        kind: RefusalKind::Final,
    })
}

pub(super) fn count(rows: &[Bytes]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
