//! Writing one chunk inside an open transaction: straight, or through the stage, halved until the rows at fault are alone.
//!
//! Neither begins nor commits. Invariant: after every call the transaction holds exactly the rows that were counted.

mod held;
mod keyless;
mod settle;
mod straight;

use bytes::Bytes;
use sqlx::Row;

use crate::engine::chunk::tuples;
use crate::engine::driver::{Applied, ApplyJob};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::postgres::apply::copying::copy_in;
use crate::engine::postgres::apply::destination::Destination;
use crate::engine::postgres::apply::write::held::Held;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::fault::{fault, writing};
use crate::engine::sql::Sql;
use crate::engine::transaction::Way;
use crate::model::run::Changes;
use crate::model::table::TableName;

/// After so many chunks that did not go straight, the rest goes through the stage at once.
const STRAIGHT_FAILURES: u32 = 3;

/// Rows that are deleted, or undone, stay in the stage's file until it is truncated, and every statement reads past them.
const LITTER_BYTES: usize = 1 << 20;

const SAVE: &str = "savepoint evenkeel";
const KEEP: &str = "release savepoint evenkeel";
const UNDO: &str = "rollback to savepoint evenkeel; release savepoint evenkeel";

/// Writes the rows of one job.
pub(super) struct Writer {
    session: Session,
    job: ApplyJob,
    destination: Destination,
    held: Held,
    applied: Applied,
    straight_failures: u32,
    /// The savepoint before the next straight piece is set.
    saved: bool,
    staged: bool,
    /// What was written to the stage since its file was new.
    litter: usize,
}

impl Writer {
    pub(super) fn new(session: Session, job: ApplyJob, destination: Destination) -> Self {
        Self {
            session,
            job,
            destination,
            held: Held::default(),
            applied: Applied::default(),
            straight_failures: 0,
            saved: false,
            staged: false,
            litter: 0,
        }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn job(&self) -> &ApplyJob {
        &self.job
    }

    pub(super) fn table(&self) -> &TableName {
        &self.job.table.name
    }

    /// How the next chunk goes.
    pub(super) fn way(&self) -> Way {
        if self.destination.straight && self.straight_failures < STRAIGHT_FAILURES {
            Way::Straight
        } else {
            Way::ByKey
        }
    }

    pub(super) fn began_empty(&self) -> bool {
        self.destination.began_empty
    }

    /// What the rows written so far changed.
    pub(super) fn changes(&self) -> Changes {
        self.applied.changes
    }

    pub(super) fn identities(&self) -> &[String] {
        &self.destination.identities
    }

    /// The table's form when the work began.
    pub(super) fn form(&self) -> &str {
        &self.destination.form
    }

    pub(super) fn holds_rows(&self) -> bool {
        !self.held.rows.is_empty()
    }

    pub(super) fn into_parts(self) -> (Session, Applied) {
        (self.session, self.applied)
    }

    /// What copies rows straight into the table.
    pub(super) fn copy_into_table(&self) -> Sql {
        self.destination.statements.copy_into_table()
    }

    /// What `err` means for a statement that no row can be blamed for.
    pub(super) fn engine(&self, err: sqlx::Error) -> EngineError {
        fault(err, self.table())
    }

    /// Writes whole tuples; rows that do not fit are held back.
    pub(super) async fn write(&mut self, parts: &[Bytes]) -> Result<(), EngineError> {
        self.leave_straight().await?;
        self.ready_stage().await?;
        match self.attempt(parts).await {
            Ok(changes) => {
                self.applied.changes.add(&changes);
                Ok(())
            }
            Err(Fault::Engine(err)) => Err(err),
            Err(Fault::Row(_)) => {
                let tuples = tuples(parts).map_err(|err| self.job.malformed(&err))?;
                let limit = self
                    .job
                    .budget
                    .quarantine_rows
                    .saturating_sub(self.applied.rejected.len());
                self.halve(&tuples, Some(limit)).await
            }
        }
    }

    /// The transaction has ended, and with it what could have been gone back to and what was staged.
    pub(super) fn forget_saved(&mut self) {
        self.saved = false;
        self.litter = 0;
    }

    /// Makes the temporary tables where they are missing.
    async fn ready_stage(&mut self) -> Result<(), EngineError> {
        if self.staged {
            return Ok(());
        }
        let create = self.destination.statements.create_stage();
        self.session
            .execute(&create)
            .await
            .map_err(|err| self.engine(err))?;
        if self.destination.folded && !self.destination.began_empty {
            let create = self.destination.statements.create_seen();
            self.session
                .execute(&create)
                .await
                .map_err(|err| self.engine(err))?;
        }
        self.staged = true;
        Ok(())
    }

    /// Forgets the temporary tables; between transactions.
    pub(super) async fn drop_stage(&mut self) -> Result<(), EngineError> {
        if self.staged {
            let statement = self.destination.statements.drop_stage();
            self.session
                .execute(&statement)
                .await
                .map_err(|err| self.engine(err))?;
            self.staged = false;
        }
        Ok(())
    }

    /// Writes `rows` in ever smaller ranges; single rows at fault are held back. More of them than `limit` are tried
    /// once more together, since others may have made room for them, before the table fails.
    async fn halve(&mut self, rows: &[Bytes], limit: Option<usize>) -> Result<(), EngineError> {
        let mut ranges = vec![rows];
        while let Some(range) = ranges.pop() {
            match self.attempt(range).await {
                Ok(changes) => self.applied.changes.add(&changes),
                Err(Fault::Engine(err)) => return Err(err),
                Err(Fault::Row(refusal)) => match range {
                    [row] => {
                        self.held.hold(row, refusal);
                        if limit.is_some_and(|limit| self.held.is_beyond(limit)) {
                            Box::pin(self.retry_held()).await?;
                        }
                    }
                    _ => {
                        let (first, second) = range.split_at(range.len() / 2);
                        ranges.extend([second, first].into_iter().filter(|half| !half.is_empty()));
                    }
                },
            }
        }
        Ok(())
    }

    /// Writes `rows` as one under a savepoint, all or none.
    async fn attempt(&mut self, rows: &[Bytes]) -> Result<Changes, Fault> {
        self.run(SAVE).await?;
        match self.apply_staged(rows).await {
            Ok(changes) => {
                self.run(KEEP).await?;
                Ok(changes)
            }
            Err(Fault::Row(refusal)) => {
                self.run(UNDO).await?;
                if self.litter > LITTER_BYTES {
                    self.clear_stage().await?;
                }
                Err(Fault::Row(refusal))
            }
            Err(Fault::Engine(err)) => Err(Fault::Engine(err)),
        }
    }

    async fn apply_staged(&mut self, rows: &[Bytes]) -> Result<Changes, Fault> {
        let staged = self.stage(rows).await?;
        if self.job.is_keyless() {
            return self.insert_staged(staged).await;
        }
        if self.destination.folded {
            self.refuse_collisions().await?;
        }
        let statements = &self.destination.statements;
        let mut changes = Changes::default();
        let differing = if statements.leaves_differences() {
            let query = statements.count_differing();
            self.number(&query).await?
        } else {
            0
        };
        if self.destination.statements.updates() {
            changes.updated = self.update().await?;
        }
        changes.conflicts = differing.saturating_sub(changes.updated);
        changes.skipped = changes.conflicts;
        if self.destination.statements.inserts() {
            let insert = self.destination.statements.insert_absent();
            changes.added = self.touch(&insert).await?;
            self.refuse_left_out().await?;
        } else {
            let query = self.destination.statements.count_absent();
            changes.skipped += self.number(&query).await?;
        }
        self.clear_stage().await?;
        Ok(changes)
    }

    /// Empties the stage.
    pub(super) async fn clear_stage(&mut self) -> Result<(), Fault> {
        let statements = &self.destination.statements;
        if self.litter > LITTER_BYTES {
            let renew = statements.renew_stage();
            self.touch(&renew).await?;
            self.litter = 0;
        } else {
            let clear = statements.clear_stage();
            self.touch(&clear).await?;
        }
        Ok(())
    }

    async fn update(&mut self) -> Result<u64, Fault> {
        let statements = &self.destination.statements;
        let (update, query) = (statements.update(), statements.count_updates());
        let due = if self.destination.has_triggers {
            self.number(&query).await?
        } else {
            0
        };
        let updated = self.touch(&update).await?;
        if updated < due {
            return Err(left_out());
        }
        Ok(updated)
    }

    /// After inserting every row is there, unless something of the table's own decided otherwise.
    async fn refuse_left_out(&mut self) -> Result<(), Fault> {
        if self.destination.has_triggers {
            let query = self.destination.statements.count_absent();
            if self.number(&query).await? > 0 {
                return Err(left_out());
            }
        }
        Ok(())
    }

    /// Two incoming keys that the destination calls equal would replace each other.
    async fn refuse_collisions(&mut self) -> Result<(), Fault> {
        let began_empty = self.destination.began_empty;
        let query = self.destination.statements.collides(began_empty);
        let row = self
            .session
            .one(&query)
            .await
            .map_err(|err| writing(err, self.table()))?;
        if row.try_get(0).map_err(|err| writing(err, self.table()))? {
            let reason =
                "key_collision: this database calls the key equal to that of another incoming row";
            return Err(Fault::Row(Refusal {
                column: None,
                reason: reason.into(),
                kind: RefusalKind::Passing,
            }));
        }
        if !began_empty {
            let remember = self.destination.statements.remember_keys();
            self.touch(&remember).await?;
        }
        Ok(())
    }

    async fn stage(&mut self, rows: &[Bytes]) -> Result<u64, Fault> {
        let statement = self.destination.statements.copy_into_stage();
        self.litter += rows.iter().map(Bytes::len).sum::<usize>();
        copy_in(&mut self.session, &statement, rows)
            .await
            .map_err(|err| writing(err, self.table()))
    }

    async fn touch(&mut self, statement: &Sql) -> Result<u64, Fault> {
        self.session
            .execute(statement)
            .await
            .map_err(|err| writing(err, self.table()))
    }

    async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        self.session
            .run(statements)
            .await
            .map_err(|err| self.engine(err))
    }

    async fn number(&mut self, query: &Sql) -> Result<u64, Fault> {
        let row = self
            .session
            .one(query)
            .await
            .map_err(|err| writing(err, self.table()))?;
        let number: i64 = row.try_get(0).map_err(|err| writing(err, self.table()))?;
        Ok(u64::try_from(number).unwrap_or_default())
    }
}

fn left_out() -> Fault {
    Fault::Row(Refusal {
        column: None,
        reason: "a trigger or a rule of the table left the row out".into(),
        kind: RefusalKind::Final,
    })
}
