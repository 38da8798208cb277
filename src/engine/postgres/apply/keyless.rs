//! Carrying out a plan on a table without a key: rows are found, locked, read back and deleted by where they are.
//!
//! Which rows are written is decided in `engine::enact`; where they are is found in [`find`]. Invariant: as for `apply`; what
//! is deleted was, under its lock, what the plan says.

mod copied;
mod find;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use sqlx::postgres::PgPool;
use tokio::sync::{mpsc, watch};

use crate::engine::driver::{ApplyJob, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact;
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::plan::{Fingerprint, PlanStream};
use crate::engine::postgres::apply::begin::begin;
use crate::engine::postgres::apply::copying::copy_in;
use crate::engine::postgres::apply::destination::{Destination, advance_sequences};
use crate::engine::postgres::apply::enact::{look, still_referenced};
use crate::engine::postgres::apply::keyless::copied::{Split, copied_out};
use crate::engine::postgres::apply::keyless::find::InPlaces;
use crate::engine::postgres::apply::stage::Pointing;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::fault::{fault, is_still_referenced, writing};
use crate::engine::sql::Sql;
use crate::engine::transaction::LONGEST;
use crate::wire::InvalidValue;
use crate::wire::row::{RowBatch, RowWriter, field_at, split_tuple};

/// Carries out `plan` as `job` says.
pub(in crate::engine::postgres) async fn enact(
    pool: &PgPool,
    schemas: &[String],
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    let mut session = Session::open(pool).await?;
    let (destination, pointing) = match look_and_stage(&mut session, schemas, &job.target).await {
        Ok(found) => found,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let finder = InPlaces {
        pool: pool.clone(),
        schemas: schemas.to_vec(),
        table: job.target.table.name.clone(),
        statement: destination.statements.copy_with_places(),
    };
    let (sink, placed) = mpsc::channel(1);
    let finding = enact::find::find(plan, sink, Fingerprint::clone(&job.fingerprint), finder);
    let mut target = KeylessTarget {
        session,
        job: job.target.clone(),
        destination,
        pointing,
        fingerprint: Fingerprint::clone(&job.fingerprint),
        has_inserted: false,
        placed: Bytes::new(),
    };
    let enacting = enact::enact(&mut target, job, placed, progress);
    let ((), enacted) = tokio::join!(finding, enacting);
    target.session.end(enacted).await
}

async fn look_and_stage(
    session: &mut Session,
    schemas: &[String],
    job: &ApplyJob,
) -> Result<(Destination, Vec<Pointing>), EngineError> {
    let (destination, pointing) = look(session, schemas, job).await?;
    let statements = &destination.statements;
    for statement in [statements.create_stage(), statements.create_places()] {
        let made = session.execute(&statement).await;
        made.map_err(|err| fault(err, &job.table.name))?;
    }
    Ok((destination, pointing))
}

struct KeylessTarget {
    session: Session,
    job: ApplyJob,
    destination: Destination,
    pointing: Vec<Pointing>,
    fingerprint: Fingerprint,
    /// The places are those of rows that were inserted last.
    has_inserted: bool,
    /// What else the temporary table of places holds; nothing where that is not known.
    placed: Bytes,
}

impl KeylessTarget {
    /// Puts places where the statements find them.
    async fn place(&mut self, places: &[Bytes]) -> Result<(), Fault> {
        let mut writer = RowWriter::default();
        for (number, place) in (0_i32..).zip(places) {
            let (fields, _) = split_tuple(place).map_err(|err| self.job.malformed(&err))?;
            writer.begin(3);
            writer.field(Some(&number.to_be_bytes()));
            fields.into_iter().for_each(|field| writer.field(field));
        }
        let places = writer.take().data;
        // Rows that are deleted were just looked at.
        if places == self.placed {
            return Ok(());
        }
        let statements = &self.destination.statements;
        let (clear, copy) = (statements.clear_places(), statements.copy_places());
        self.forget_places();
        self.touch(&clear).await?;
        self.copy(&copy, std::slice::from_ref(&places)).await?;
        self.placed = places;
        Ok(())
    }

    fn forget_places(&mut self) {
        (self.has_inserted, self.placed) = (false, Bytes::new());
    }

    /// The rows at the places, by their numbers.
    async fn placed(&mut self) -> Result<Vec<(usize, Bytes)>, Fault> {
        let statement = self.destination.statements.copy_placed();
        self.numbered(&statement).await
    }

    async fn numbered(&mut self, statement: &Sql) -> Result<Vec<(usize, Bytes)>, Fault> {
        let (mut rows, job) = (Vec::new(), &self.job);
        let see = |batch: RowBatch| {
            for tuple in batch.tuples() {
                let read = tuple.and_then(numbered);
                rows.push(read.map_err(|err| job.malformed(&err))?);
            }
            Ok(())
        };
        copied_out(&mut self.session, &self.job.table.name, statement, see).await?;
        Ok(rows)
    }

    /// What has become of `rows`, which were inserted. Nothing tells equal rows apart, and nothing has to: one that reads
    /// back otherwise stands for one of those that are not found, in the order of inserting.
    async fn inserted(&mut self, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        let mut read = self.placed().await?;
        read.sort_by_key(|(number, _)| *number);
        let hash = |row: &Bytes| (self.fingerprint)(row).ok().map(|hash| hash.0);
        let mut by_hash: HashMap<Option<u128>, Vec<Bytes>> = HashMap::new();
        for (_, row) in read.into_iter().rev() {
            by_hash.entry(hash(&row)).or_default().push(row);
        }
        let mut found: Vec<Option<Bytes>> = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(by_hash.get_mut(&hash(row)).and_then(Vec::pop));
        }
        let mut others = by_hash.into_values().flatten();
        let local = |tuple| Local {
            tuple,
            readable: true,
        };
        let found = found.into_iter();
        Ok(found
            .map(|row| row.or_else(|| others.next()).map(local))
            .collect())
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

    async fn insert(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        let (empty, copy) = (statements.clear_stage(), statements.copy_into_stage());
        let (clear, insert) = (statements.clear_places(), statements.insert_noting_places());
        self.touch(&empty).await?;
        self.copy(&copy, rows).await?;
        self.forget_places();
        self.touch(&clear).await?;
        let written = self.session.execute(&insert).await;
        written.map_err(|err| writing(err, &self.job.table.name))?;
        self.has_inserted = true;
        Ok(())
    }

    async fn delete(&mut self, places: &[Bytes]) -> Result<(), Fault> {
        self.place(places).await?;
        let delete = self.destination.statements.delete_placed();
        match self.session.execute(&delete).await {
            Ok(_) => Ok(()),
            Err(err) if is_still_referenced(&err) => {
                Err(still_referenced(writing(err, &self.job.table.name)))
            }
            Err(err) => Err(writing(err, &self.job.table.name)),
        }
    }
}

impl Target for KeylessTarget {
    const LONGEST: Duration = LONGEST;
    const PATIENCE: Duration = LONGEST;
    const PIECE_ROWS: usize = 4_000;

    fn job(&self) -> &ApplyJob {
        &self.job
    }

    fn is_folded(&self) -> bool {
        false
    }

    // Whether something stands in the place of a row is no question here.
    fn inserts_plainly(&self) -> bool {
        false
    }

    fn can_park(&self) -> bool {
        false
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
        // What is undone takes the places with it that were put there meanwhile, and a commit takes all.
        self.forget_places();
        let outcome = self.session.run(statements).await;
        outcome.map_err(|err| fault(err, &self.job.table.name))
    }

    async fn look(&mut self, why: Look, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        if why == Look::ReadBack && self.has_inserted {
            return self.inserted(rows).await;
        }
        if why == Look::Decide {
            self.place(rows).await?;
            // A row that somebody else changes meanwhile is elsewhere then: what is read is read once all are locked.
            let lock = self.destination.statements.lock_placed();
            self.touch(&lock).await?;
        }
        let mut found: Vec<Option<Local>> = vec![None; rows.len()];
        for (place, tuple) in self.placed().await? {
            if let Some(found) = found.get_mut(place) {
                *found = Some(Local {
                    tuple,
                    readable: true,
                });
            }
        }
        Ok(found)
    }

    async fn write(&mut self, effect: Effect, rows: &[Bytes]) -> Result<Option<Vec<Local>>, Fault> {
        match effect {
            Effect::Insert => self.insert(rows).await?,
            Effect::Delete => self.delete(rows).await?,
            // Nothing is the same row with another value.
            Effect::Update | Effect::Park => {}
        }
        Ok(None)
    }

    async fn pointing(&mut self, rows: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let mut found = Vec::new();
        if self.pointing.is_empty() {
            return Ok(found);
        }
        self.place(rows).await?;
        for by in self.pointing.clone() {
            let statements = &self.destination.statements;
            let statement = statements.copy_pointing_to_placed(&by);
            // The table's own rows, too: those that are deleted as well are gone when this is asked again.
            let pointed = self.numbered(&statement).await?.into_iter();
            found.extend(pointed.map(|(place, _)| (place, Pointer::Other(by.table.to_string()))));
        }
        Ok(found)
    }

    async fn finish(&mut self) -> Result<(), EngineError> {
        let statements = &self.destination.statements;
        for statement in [statements.drop_stage(), statements.drop_places()] {
            let dropped = self.session.execute(&statement).await;
            dropped.map_err(|err| fault(err, &self.job.table.name))?;
        }
        let identities = &self.destination.identities;
        advance_sequences(&mut self.session, &self.job.table, identities).await
    }
}

/// A row whose first field is a number.
fn numbered(tuple: &[u8]) -> Result<(usize, Bytes), InvalidValue> {
    let split = Split::of(tuple, 1)?;
    let first = split.first();
    let number = field_at(&first, 0)?.and_then(|field| <[u8; 4]>::try_from(field).ok());
    let number = number.and_then(|number| usize::try_from(i32::from_be_bytes(number)).ok());
    let number = number.ok_or_else(|| InvalidValue::new("row", "it has no number"))?;
    Ok((number, split.rest()))
}
