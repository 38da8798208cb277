//! Carrying out a plan: rows looked at, locked and written by statements that they, or their keys, are given with.
//!
//! Which rows are written is decided in `engine::enact`. Invariant: as for `apply`.

use std::time::Duration;

use bytes::Bytes;
use sqlx::Connection as _;
use sqlx::postgres::{PgArguments, PgPool};
use tokio::sync::watch;

use crate::engine::driver::{ApplyJob, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact;
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::plan::PlanStream;
use crate::engine::postgres::apply::arrays::arguments;
use crate::engine::postgres::apply::begin::begin;
use crate::engine::postgres::apply::copying::copy_in;
use crate::engine::postgres::apply::destination::{
    Destination, advance_sequences, pointing, prepare,
};
use crate::engine::postgres::apply::stage::{Given, Pointing};
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::fault::{fault, is_still_referenced, writing};
use crate::engine::sql::Sql;
use crate::engine::transaction::LONGEST;
use crate::wire::frame::MAX_ROW_BYTES;

/// So much is given with one statement: more makes both sides ask the system for memory, and give it back, each time.
const GIVEN_ROWS: usize = 1_000;
const GIVEN_BYTES: usize = 512 << 10;
/// Larger rows, which are few, go through a COPY: it takes them as they are, where parameters are put together twice.
const LARGE_BYTES: usize = 4 << 20;

/// Carries out `plan` as `job` says.
pub(in crate::engine::postgres) async fn enact(
    pool: &PgPool,
    schemas: &[String],
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    let mut session = Session::open(pool).await?;
    let (destination, pointing) = match look(&mut session, schemas, &job.target).await {
        Ok(found) => found,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let mut target = PostgresTarget {
        session,
        job: job.target.clone(),
        destination,
        pointing,
        staged: false,
    };
    let enacted = enact::enact(&mut target, job, plan, progress).await;
    target.session.end(enacted).await
}

/// The table as it is now, and the foreign keys that lead to it.
pub(super) async fn look(
    session: &mut Session,
    schemas: &[String],
    job: &ApplyJob,
) -> Result<(Destination, Vec<Pointing>), EngineError> {
    let destination = prepare(session, schemas, job).await?;
    let pointing = pointing(session, &job.table.name).await?;
    Ok((destination, pointing))
}

struct PostgresTarget {
    session: Session,
    job: ApplyJob,
    destination: Destination,
    pointing: Vec<Pointing>,
    /// There may be a temporary table.
    staged: bool,
}

impl PostgresTarget {
    fn arguments(&self, given: &Given, rows: &[Bytes]) -> Result<PgArguments, Fault> {
        arguments(given, rows).map_err(|err| Fault::Engine(self.job.malformed(&err)))
    }

    async fn execute(
        &mut self,
        effect: Effect,
        given: &Given,
        rows: &[Bytes],
    ) -> Result<(), Fault> {
        let arguments = self.arguments(given, rows)?;
        match self.session.execute_given(given, arguments).await {
            Ok(_) => Ok(()),
            Err(err) if effect == Effect::Delete && is_still_referenced(&err) => {
                Err(still_referenced(self.writing(err)))
            }
            Err(err) => Err(self.writing(err)),
        }
    }

    async fn fetch(&mut self, given: &Given, rows: &[Bytes]) -> Result<Vec<(usize, Bytes)>, Fault> {
        let arguments = self.arguments(given, rows)?;
        let answer = self.session.fetch_given(given, arguments).await;
        let found = answer.map_err(|err| self.writing(err))?;
        let mut rows = found.iter();
        match rows.find(|(_, row)| row.len() > MAX_ROW_BYTES) {
            Some((_, row)) => Err(Fault::Engine(EngineError::of_table(
                &self.job.table.name,
                format!("a row here has {} bytes, more than any may have", row.len()),
            ))),
            None => Ok(found),
        }
    }

    /// Writes by COPY, which names the column of a value that does not fit.
    async fn copy(&mut self, effect: Effect, rows: &[Bytes]) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        if effect == Effect::Insert && self.destination.copies {
            let copied = copy_in(&mut self.session, &statements.copy_into_table(), rows).await;
            return copied.map(drop).map_err(|err| self.writing(err));
        }
        let (make, clear) = (statements.create_stage(), statements.renew_stage());
        let copy = statements.copy_into_stage();
        let write = match effect {
            Effect::Insert => statements.insert(),
            _ => statements.update(),
        };
        self.staged = true;
        self.touch(&make).await?;
        self.touch(&clear).await?;
        let copied = copy_in(&mut self.session, &copy, rows).await;
        copied.map_err(|err| self.writing(err))?;
        self.touch(&write).await
    }

    async fn touch(&mut self, statement: &Sql) -> Result<(), Fault> {
        let touched = self.session.execute(statement).await;
        touched.map(drop).map_err(|err| self.writing(err))
    }

    fn writing(&self, err: sqlx::Error) -> Fault {
        writing(err, &self.job.table.name)
    }
}

impl Target for PostgresTarget {
    const LONGEST: Duration = LONGEST;
    const PATIENCE: Duration = LONGEST;
    const PIECE_ROWS: usize = 4_000;

    fn job(&self) -> &ApplyJob {
        &self.job
    }

    fn is_folded(&self) -> bool {
        self.destination.folded
    }

    fn inserts_plainly(&self) -> bool {
        !self.destination.folded && !self.destination.has_triggers
    }

    fn can_park(&self) -> bool {
        !self.destination.parkable.is_empty() && self.destination.statements.updates()
    }

    async fn begin(&mut self) -> Result<(), EngineError> {
        let table = &self.job.table.name;
        if begin(&mut self.session, table).await? != self.destination.form {
            return Err(EngineError::SchemaChanged(table.clone()));
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        self.run("commit").await
    }

    async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        let outcome = self.session.run(statements).await;
        outcome.map_err(|err| fault(err, &self.job.table.name))
    }

    async fn look(&mut self, why: Look, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        let given = self.destination.statements.found(why);
        let mut found: Vec<Option<Local>> = Vec::with_capacity(rows.len());
        for rows in pieces(rows) {
            let first = found.len();
            found.resize(first + rows.len(), None);
            for (place, tuple) in self.fetch(&given, rows).await? {
                if let Some(found) = found.get_mut(first + place) {
                    *found = Some(local(tuple));
                }
            }
        }
        Ok(found)
    }

    async fn write(&mut self, effect: Effect, rows: &[Bytes]) -> Result<Option<Vec<Local>>, Fault> {
        let statements = &self.destination.statements;
        let given = match effect {
            Effect::Update if !statements.updates() => return Ok(None),
            Effect::Insert if self.inserts_plainly() => statements.insert_telling(),
            Effect::Insert => statements.insert_given(),
            Effect::Update => statements.update_given(),
            Effect::Park => statements.park_given(&self.destination.parkable),
            Effect::Delete => statements.delete_given(),
        };
        let mut told = Vec::new();
        for rows in pieces(rows) {
            if is_written(effect) && rows.iter().any(|row| row.len() > LARGE_BYTES) {
                self.copy(effect, rows).await?;
            } else if effect == Effect::Insert && self.inserts_plainly() {
                let inserted = self.fetch(&given, rows).await?;
                told.extend(inserted.into_iter().map(|(_, tuple)| local(tuple)));
            } else {
                self.execute(effect, &given, rows).await?;
            }
        }
        Ok((told.len() == rows.len()).then_some(told))
    }

    async fn explain(
        &mut self,
        effect: Effect,
        row: &Bytes,
        refusal: Refusal,
    ) -> Result<Refusal, EngineError> {
        if !is_written(effect) || refusal.column.is_some() || refusal.kind != RefusalKind::Final {
            return Ok(refusal);
        }
        match self.copy(effect, std::slice::from_ref(row)).await {
            Err(Fault::Row(told)) => Ok(told),
            Err(Fault::Engine(err)) => Err(err),
            Ok(()) => Ok(refusal),
        }
    }

    async fn pointing(&mut self, rows: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let mut found = Vec::new();
        for by in self.pointing.clone() {
            let statements = &self.destination.statements;
            // Of few sizes, so that what was prepared is used again.
            let most = rows.len().next_power_of_two() + 1;
            let given = statements.pointing_given(&by, most);
            let mut first = 0;
            for rows in pieces(rows) {
                for (place, row) in self.fetch(&given, rows).await? {
                    let other = || Pointer::Other(by.table.to_string());
                    let pointer = if by.own { Pointer::Own(row) } else { other() };
                    found.push((first + place, pointer));
                }
                first += rows.len();
            }
        }
        Ok(found)
    }

    async fn finish(&mut self) -> Result<(), EngineError> {
        let engine = |err| fault(err, &self.job.table.name);
        if self.staged {
            let drop = self.destination.statements.drop_stage();
            self.session.execute(&drop).await.map_err(engine)?;
        }
        // What pieces were put together in.
        self.session.raw().map_err(engine)?.shrink_buffers();
        let identities = &self.destination.identities;
        advance_sequences(&mut self.session, &self.job.table, identities).await
    }
}

/// Whether all columns of the rows count, and not the key alone.
fn is_written(effect: Effect) -> bool {
    matches!(effect, Effect::Insert | Effect::Update)
}

/// What of `rows` goes with one statement each.
fn pieces(mut rows: &[Bytes]) -> Vec<&[Bytes]> {
    let mut pieces = Vec::with_capacity(rows.len() / GIVEN_ROWS + 1);
    while !rows.is_empty() {
        let mut bytes = 0;
        let fits = |row: &&Bytes| {
            bytes += row.len();
            bytes <= GIVEN_BYTES
        };
        let most = rows.iter().take(GIVEN_ROWS).take_while(fits).count();
        let (piece, rest) = rows.split_at(most.max(1));
        pieces.push(piece);
        rows = rest;
    }
    pieces
}

fn local(tuple: Bytes) -> Local {
    Local {
        tuple,
        readable: true,
    }
}

/// The refusal of a deletion for the rows that point to what is deleted.
pub(super) fn still_referenced(fault: Fault) -> Fault {
    match fault {
        Fault::Row(refusal) => Fault::Row(Refusal {
            reason: format!("still_referenced: {}", refusal.reason),
            ..refusal
        }),
        fault @ Fault::Engine(_) => fault,
    }
}
