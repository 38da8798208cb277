//! Carrying out a plan: rows looked at and locked by the keys in a temporary table, written through the stage.
//!
//! Which rows are written is decided in `engine::enact`. Invariant: as for `apply`.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryStreamExt;
use sqlx::postgres::PgPool;
use tokio::sync::watch;

use crate::engine::driver::{ApplyJob, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact;
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::plan::PlanStream;
use crate::engine::postgres::apply::copying::copy_in;
use crate::engine::postgres::apply::destination::{
    BEGIN, Destination, advance_sequences, form, pointing, prepare,
};
use crate::engine::postgres::apply::stage::Pointing;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::cutter::{CutFault, Cutter};
use crate::engine::postgres::fault::{fault, is_still_referenced, writing};
use crate::engine::sql::Sql;
use crate::engine::transaction::LONGEST;
use crate::wire::InvalidValue;
use crate::wire::row::{RowBatch, RowWriter, split_tuple};

/// What was written to a temporary table, and is no longer wanted, is read past by every statement until it is truncated.
const LITTER_BYTES: usize = 256 << 10;

/// Carries out `plan` as `job` says.
pub(in crate::engine::postgres) async fn enact(
    pool: &PgPool,
    schemas: &[String],
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    let mut session = Session::open(pool).await?;
    let (destination, pointing) = match begin(&mut session, schemas, &job.target).await {
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
        stage_litter: 0,
        keys_litter: 0,
        staged_keys: Bytes::new(),
    };
    match enact::enact(&mut target, job, plan, progress).await {
        Ok(enacted) => {
            target.session.release();
            Ok(enacted)
        }
        Err(err) => {
            target.session.abandon().await;
            Err(err)
        }
    }
}

async fn begin(
    session: &mut Session,
    schemas: &[String],
    job: &ApplyJob,
) -> Result<(Destination, Vec<Pointing>), EngineError> {
    let destination = prepare(session, schemas, job).await?;
    let pointing = pointing(session, &job.table.name).await?;
    let statements = &destination.statements;
    for statement in [statements.create_stage(), statements.create_keys()] {
        let made = session.execute(&statement).await;
        made.map_err(|err| fault(err, &job.table.name))?;
    }
    Ok((destination, pointing))
}

struct PostgresTarget {
    session: Session,
    job: ApplyJob,
    destination: Destination,
    pointing: Vec<Pointing>,
    stage_litter: usize,
    keys_litter: usize,
    /// What the temporary table of keys holds; nothing where that is not known.
    staged_keys: Bytes,
}

impl PostgresTarget {
    /// Puts the keys of `rows` where the statements find them.
    async fn stage_keys(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        let places: Vec<Option<usize>> = statements
            .key_names()
            .map(|name| statements.position(name))
            .collect();
        let mut writer = RowWriter::default();
        for (place, row) in (0_i32..).zip(rows) {
            let (fields, _) = split_tuple(row).map_err(|err| self.job.malformed(&err))?;
            writer.begin(u16::try_from(places.len() + 1).unwrap_or(u16::MAX));
            writer.field(Some(&place.to_be_bytes()));
            for at in &places {
                writer.field(at.and_then(|at| fields.get(at).copied().flatten()));
            }
        }
        let keys = writer.take().data;
        // Most rows that are read back were just looked at.
        if keys == self.staged_keys {
            return Ok(());
        }
        let (clear, copy) = if self.keys_litter > LITTER_BYTES {
            self.keys_litter = 0;
            (statements.renew_keys(), statements.copy_keys())
        } else {
            (statements.clear_keys(), statements.copy_keys())
        };
        self.keys_litter += keys.len();
        self.staged_keys = Bytes::new();
        self.touch(&clear).await?;
        self.copy(&copy, std::slice::from_ref(&keys)).await?;
        self.staged_keys = keys;
        Ok(())
    }

    async fn stage(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        let (clear, copy) = if self.stage_litter > LITTER_BYTES {
            self.stage_litter = 0;
            (statements.renew_stage(), statements.copy_into_stage())
        } else {
            (statements.clear_stage(), statements.copy_into_stage())
        };
        self.stage_litter += rows.iter().map(Bytes::len).sum::<usize>();
        self.touch(&clear).await?;
        self.copy(&copy, rows).await
    }

    async fn copy(&mut self, statement: &Sql, parts: &[Bytes]) -> Result<(), Fault> {
        let copied = copy_in(&mut self.session, statement, parts).await;
        copied
            .map(drop)
            .map_err(|err| writing(err, &self.job.table.name))
    }

    async fn touch(&mut self, statement: &Sql) -> Result<(), Fault> {
        let touched = self.session.execute(statement).await;
        touched
            .map(drop)
            .map_err(|err| writing(err, &self.job.table.name))
    }

    async fn copied_out(&mut self, statement: &Sql) -> Result<Vec<RowBatch>, Fault> {
        let table = &self.job.table.name;
        let connection = self.session.raw().map_err(|err| fault(err, table))?;
        let copy = connection.copy_out_raw(statement.text()).await;
        let mut messages = copy.map_err(|err| writing(err, table))?;
        let (mut cutter, mut batches) = (Cutter::default(), Vec::new());
        let uncut = |err| match err {
            CutFault::Malformed(err) => EngineError::Lost(err.to_string()),
            CutFault::TooLarge(tuple) => EngineError::of_table(
                table,
                format!(
                    "a row here has {} bytes, more than any may have",
                    tuple.len()
                ),
            ),
        };
        while let Some(message) = messages
            .try_next()
            .await
            .map_err(|err| writing(err, table))?
        {
            cutter.push(&message).map_err(uncut)?;
        }
        batches.extend(cutter.take());
        if cutter.has_ended() {
            Ok(batches)
        } else {
            Err(Fault::Engine(EngineError::Lost(
                "a COPY ended early".to_owned(),
            )))
        }
    }

    /// The rows of a COPY whose first field is a place.
    async fn placed_rows(&mut self, statement: &Sql) -> Result<Vec<(usize, Bytes)>, Fault> {
        let batches = self.copied_out(statement).await?;
        let tuples = batches.iter().flat_map(RowBatch::tuples);
        let rows: Result<Vec<_>, _> = tuples.map(|tuple| placed(tuple?)).collect();
        rows.map_err(|err| Fault::Engine(self.job.malformed(&err)))
    }
}

/// A tuple's first field, which is a place, and the tuple of the others.
fn placed(tuple: &[u8]) -> Result<(usize, Bytes), InvalidValue> {
    let fault = || InvalidValue::new("row", "it has no place");
    let (count, rest) = tuple.split_first_chunk::<2>().ok_or_else(fault)?;
    let (_, rest) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
    let (place, rest) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
    let mut others = BytesMut::with_capacity(tuple.len());
    others.put_i16(i16::from_be_bytes(*count) - 1);
    others.put_slice(rest);
    let place = usize::try_from(i32::from_be_bytes(*place)).map_err(|_| fault())?;
    Ok((place, others.freeze()))
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

    fn can_park(&self) -> bool {
        !self.destination.parkable.is_empty() && self.destination.statements.updates()
    }

    async fn begin(&mut self) -> Result<(), EngineError> {
        self.run(BEGIN).await?;
        let table = &self.job.table.name;
        if form(&mut self.session, table).await? != self.destination.form {
            return Err(EngineError::SchemaChanged(table.clone()));
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        self.run("commit").await?;
        (self.stage_litter, self.keys_litter) = (0, 0);
        Ok(())
    }

    async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        // What is undone takes the keys with it that were put there meanwhile, and a commit takes all.
        self.staged_keys = Bytes::new();
        let outcome = self.session.run(statements).await;
        outcome.map_err(|err| fault(err, &self.job.table.name))
    }

    async fn look(&mut self, why: Look, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        self.stage_keys(rows).await?;
        let statement = self.destination.statements.copy_found(why);
        let mut found: Vec<Option<Local>> = vec![None; rows.len()];
        for (place, tuple) in self.placed_rows(&statement).await? {
            if let Some(found) = found.get_mut(place) {
                *found = Some(Local {
                    tuple,
                    readable: true,
                });
            }
        }
        Ok(found)
    }

    async fn write(&mut self, effect: Effect, rows: &[Bytes]) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        let statement = match effect {
            Effect::Insert if self.destination.copies => {
                let copy = statements.copy_into_table();
                return self.copy(&copy, rows).await;
            }
            Effect::Insert => statements.insert(),
            Effect::Update if !statements.updates() => return Ok(()),
            Effect::Update => statements.update(),
            Effect::Park => statements.park(&self.destination.parkable),
            Effect::Delete => {
                let delete = statements.delete();
                self.stage_keys(rows).await?;
                return match self.session.write(&delete).await {
                    Ok(_) => Ok(()),
                    Err(err) if is_still_referenced(&err) => {
                        Err(still_referenced(writing(err, &self.job.table.name)))
                    }
                    Err(err) => Err(writing(err, &self.job.table.name)),
                };
            }
        };
        self.stage(rows).await?;
        let written = self.session.write(&statement).await;
        written
            .map(drop)
            .map_err(|err| writing(err, &self.job.table.name))
    }

    async fn pointing(&mut self, rows: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let mut found = Vec::new();
        if self.pointing.is_empty() {
            return Ok(found);
        }
        self.stage_keys(rows).await?;
        for by in self.pointing.clone() {
            let statement = self
                .destination
                .statements
                .copy_pointing(&by, rows.len() + 1);
            let pointer = |(place, row)| {
                let other = || Pointer::Other(by.table.to_string());
                (place, if by.own { Pointer::Own(row) } else { other() })
            };
            let pointing = self.placed_rows(&statement).await?;
            found.extend(pointing.into_iter().map(pointer));
        }
        Ok(found)
    }

    async fn finish(&mut self) -> Result<(), EngineError> {
        let statements = &self.destination.statements;
        for statement in [statements.drop_stage(), statements.drop_keys()] {
            let dropped = self.session.execute(&statement).await;
            dropped.map_err(|err| fault(err, &self.job.table.name))?;
        }
        let identities = &self.destination.identities;
        advance_sequences(&mut self.session, &self.job.table, identities).await
    }
}

/// The refusal of a deletion for the rows that point to what is deleted.
fn still_referenced(fault: Fault) -> Fault {
    match fault {
        Fault::Row(refusal) => Fault::Row(Refusal {
            reason: format!("still_referenced: {}", refusal.reason),
            ..refusal
        }),
        fault @ Fault::Engine(_) => fault,
    }
}
