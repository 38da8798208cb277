//! One row into one table: found by its key, compared, then inserted, updated or left.
//!
//! Rows are compared as they would be read, not as they are stored: a local `2024-01-01T10:00:00` equals an incoming
//! `2024-01-01 10:00:00.000000`, and is left as the application wrote it. Rows into a table that was empty at the start
//! are inserted straight away and looked up only where that clashes.
//! Invariant: a refused row leaves nothing behind, and the transaction around it goes on.

use std::cell::OnceCell;

use rusqlite::Connection;
use rusqlite::types::ToSqlOutput;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::sql::Sql;
use crate::engine::sqlite::apply::statements::{Statements, bind_all, bind_key, unmatched};
use crate::engine::sqlite::fault::{engine_error, is_unique_violation, row_fault};
use crate::engine::sqlite::image::image;
use crate::engine::sqlite::introspect::Described;
use crate::engine::sqlite::select::statement;
use crate::engine::sqlite::stored::{as_value, stored};
use crate::engine::sqlite::types::Storage;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::TableName;
use crate::wire::row::split_tuple;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Added,
    Updated,
    Equal,
    /// Its key is not here, and the mode inserts nothing.
    LeftOut,
    /// It differs, and mode or strategy keep the local row.
    LeftDiffering,
}

/// Whether a row is written for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Again,
}

/// The local row of a key.
enum Local {
    Absent,
    Equal,
    Differs {
        /// The strategy would change it.
        changes: bool,
    },
}

pub(super) struct Target {
    pub(super) name: String,
    pub(super) storage: Storage,
    pub(super) in_key: bool,
}

/// A table that rows are written to.
pub(super) struct Destination<'c> {
    connection: &'c Connection,
    pub(super) table: TableName,
    pub(super) targets: Vec<Target>,
    /// Where the key's columns are among the targets; nowhere where rows have no key.
    pub(super) key: Vec<usize>,
    mode: SyncMode,
    conflict: ConflictStrategy,
    began_empty: bool,
    pub(super) statements: Statements<'c>,
}

impl<'c> Destination<'c> {
    /// Makes ready to write as `job` says.
    ///
    /// # Errors
    /// When the table cannot be written, or is no longer what `job` took it for.
    pub(super) fn new(
        connection: &'c Connection,
        job: &ApplyJob,
        described: &Described,
    ) -> Result<Self, EngineError> {
        let table = &described.table;
        if let Some(reason) = &table.not_writable {
            return Err(EngineError::Denied(format!(
                "table {}: {reason}",
                table.name
            )));
        }
        let targets = targets(job, described)?;
        let folded = match table.key_on(&job.key) {
            Some(key) => key.folded,
            None if job.is_keyless() && described.rowid.is_some() => false,
            None => return Err(unmatched(job)),
        };
        let mut sql: Sql = statement();
        sql.push("select not exists (select 1 from ")
            .table(&table.name)
            .push(")");
        let empty: bool = connection
            .query_row(sql.text(), [], |row| row.get(0))
            .map_err(|err| engine_error(&err, &table.name))?;
        Ok(Self {
            connection,
            table: table.name.clone(),
            key: key_places(&targets),
            targets,
            mode: job.mode,
            conflict: job.conflict,
            began_empty: empty,
            statements: Statements::new(connection, job, described, folded)?,
        })
    }

    /// Whether the table held no rows.
    pub(super) fn began_empty(&self) -> bool {
        self.began_empty
    }

    /// Writes one row, whose values are `values`.
    pub(super) fn write(
        &mut self,
        tuple: &[u8],
        values: &[ToSqlOutput<'_>],
        attempt: Attempt,
    ) -> Result<Effect, Fault> {
        self.guarded(|destination| destination.decide(tuple, values, attempt))
    }

    /// Whether the table has unique columns that can be parked, and rows may be updated at all.
    pub(super) fn can_park(&self) -> bool {
        self.statements.park.is_some()
            && self.mode != SyncMode::Insert
            && self.conflict != ConflictStrategy::Skip
    }

    /// Sets the nullable unique columns of the row with this row's key to NULL. [`Self::write`] must follow in the
    /// same transaction.
    pub(super) fn park(&mut self, tuple: &[u8]) -> Result<(), Fault> {
        let values = self.values(tuple)?;
        if self.conflict == ConflictStrategy::Merge && self.split(tuple)?.contains(&None) {
            // Merging keeps a local value where none comes, and a parked one would be lost.
            return Err(refused(
                None,
                "rows that hold each other's values cannot be merged",
                RefusalKind::Final,
            ));
        }
        let Some(park) = &mut self.statements.park else {
            return Ok(());
        };
        bind_key(park, &self.key, &values)
            .and_then(|()| park.raw_execute())
            .map(drop)
            .map_err(|err| row_fault(&err, &self.table))
    }

    fn split<'t>(&self, tuple: &'t [u8]) -> Result<Vec<Option<&'t [u8]>>, Fault> {
        match split_tuple(tuple) {
            Ok((fields, _)) if fields.len() == self.targets.len() => Ok(fields),
            _ => Err(Fault::Engine(EngineError::Statement {
                table: self.table.to_string(),
                message: "a row does not have the columns that were agreed on".to_owned(),
            })),
        }
    }

    /// What to bind for a row, column by column.
    pub(super) fn values<'t>(&self, tuple: &'t [u8]) -> Result<Vec<ToSqlOutput<'t>>, Fault> {
        let fields = self.split(tuple)?;
        let mut values = Vec::with_capacity(fields.len());
        for (target, field) in self.targets.iter().zip(fields) {
            if target.in_key && field.is_none() {
                return Err(refused(
                    Some(&target.name),
                    "the key is NULL",
                    RefusalKind::Final,
                ));
            }
            values.push(
                stored(&target.storage, field)
                    .map_err(|reason| refused(Some(&target.name), &reason, RefusalKind::Final))?,
            );
        }
        Ok(values)
    }

    /// Runs `work` inside a savepoint where a refused row could leave something behind.
    pub(super) fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let fatal =
            |table: &TableName, err: rusqlite::Error| Fault::Engine(engine_error(&err, table));
        if let Some(guard) = &mut self.statements.guard {
            guard
                .set
                .raw_execute()
                .map_err(|err| fatal(&self.table, err))?;
        }
        let result = work(self);
        if self.connection.is_autocommit() {
            // Rows that were counted as written are undone: by a fault such as a full disk, or by `raise(rollback)`.
            return match result {
                Err(Fault::Engine(err)) => Err(Fault::Engine(err)),
                _ => Err(Fault::Engine(EngineError::Statement {
                    table: self.table.to_string(),
                    message: "a trigger of the table rolled the whole transaction back".to_owned(),
                })),
            };
        }
        if let Some(guard) = &mut self.statements.guard {
            if result.is_err() {
                guard
                    .back
                    .raw_execute()
                    .map_err(|err| fatal(&self.table, err))?;
            }
            guard
                .release
                .raw_execute()
                .map_err(|err| fatal(&self.table, err))?;
        }
        result
    }

    fn decide(
        &mut self,
        tuple: &[u8],
        values: &[ToSqlOutput<'_>],
        attempt: Attempt,
    ) -> Result<Effect, Fault> {
        if self.key.is_empty() {
            return self.insert(values);
        }
        if attempt == Attempt::First {
            self.remember(values)?;
        }
        if self.began_empty && self.mode != SyncMode::Update {
            match self.insert(values) {
                Err(Fault::Row(refusal)) if is_unique_violation(&refusal) => {}
                result => return result,
            }
        }
        match self.local(tuple, values)? {
            Local::Absent if self.mode == SyncMode::Update => Ok(Effect::LeftOut),
            Local::Absent => self.insert(values),
            Local::Equal => Ok(Effect::Equal),
            Local::Differs { changes } => {
                let keep = self.mode == SyncMode::Insert || self.conflict == ConflictStrategy::Skip;
                if keep || !changes {
                    Ok(Effect::LeftDiffering)
                } else {
                    self.update(values)
                }
            }
        }
    }

    fn remember(&mut self, values: &[ToSqlOutput<'_>]) -> Result<(), Fault> {
        let Some(remember) = &mut self.statements.remember else {
            return Ok(());
        };
        match bind_key(remember, &self.key, values).and_then(|()| remember.raw_execute()) {
            Ok(_) => Ok(()),
            Err(err) => Err(match row_fault(&err, &self.table) {
                Fault::Row(_) => refused(
                    None,
                    "key_collision: a row before it has a key that this table takes for the same",
                    RefusalKind::Final,
                ),
                fault => fault,
            }),
        }
    }

    pub(super) fn insert(&mut self, values: &[ToSqlOutput<'_>]) -> Result<Effect, Fault> {
        let written = bind_all(&mut self.statements.insert, values)
            .and_then(|()| self.statements.insert.raw_execute());
        self.written(written, values, Effect::Added)
    }

    fn update(&mut self, values: &[ToSqlOutput<'_>]) -> Result<Effect, Fault> {
        let Some(update) = &mut self.statements.update else {
            return Ok(Effect::Equal);
        };
        let written = bind_all(update, values).and_then(|()| update.raw_execute());
        self.written(written, values, Effect::Updated)
    }

    fn written(
        &mut self,
        written: rusqlite::Result<usize>,
        values: &[ToSqlOutput<'_>],
        effect: Effect,
    ) -> Result<Effect, Fault> {
        match written {
            Ok(0) => {
                return Err(refused(
                    None,
                    "a trigger of the table left the row out",
                    RefusalKind::Final,
                ));
            }
            Ok(_) => {}
            Err(err) => return Err(row_fault(&err, &self.table)),
        }
        self.has_parents(values)?;
        Ok(effect)
    }

    /// Refuses a row whose parent SQLite itself would only miss at the commit.
    pub(super) fn has_parents(&mut self, values: &[ToSqlOutput<'_>]) -> Result<(), Fault> {
        for parent in &mut self.statements.parents {
            if !parent
                .is_there(values)
                .map_err(|err| row_fault(&err, &self.table))?
            {
                return Err(refused(
                    None,
                    "FOREIGN KEY constraint failed",
                    RefusalKind::Passing,
                ));
            }
        }
        Ok(())
    }

    /// Looks the key up and compares.
    fn local(&mut self, tuple: &[u8], values: &[ToSqlOutput<'_>]) -> Result<Local, Fault> {
        let fields = self.split(tuple)?;
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, &self.table));
        let probe = &mut self.statements.probe;
        bind_key(probe, &self.key, values).map_err(fatal)?;
        let mut rows = probe.raw_query();
        let Some(row) = rows.next().map_err(fatal)? else {
            return Ok(Local::Absent);
        };
        let (mut differs, mut changes) = (false, false);
        for (at, ((target, field), value)) in
            self.targets.iter().zip(fields).zip(values).enumerate()
        {
            let local = image(&target.storage, row.get_ref(at).map_err(fatal)?);
            // What would be read after writing; only asked for where the bytes differ, as 12.5 and 12.50 do.
            let written = OnceCell::new();
            let equal = local.is_ok_and(|local| {
                local.field() == field
                    || written
                        .get_or_init(|| image(&target.storage, as_value(value)))
                        .as_ref()
                        .is_ok_and(|written| written.field() == local.field())
            });
            if !equal {
                differs = true;
                changes |= field.is_some() || self.conflict != ConflictStrategy::Merge;
            }
        }
        Ok(if differs {
            Local::Differs { changes }
        } else {
            Local::Equal
        })
    }
}

pub(super) fn targets(job: &ApplyJob, described: &Described) -> Result<Vec<Target>, EngineError> {
    job.columns
        .iter()
        .map(|wanted| match described.table.column(&wanted.name) {
            Some(column) if column.kind == wanted.kind && !column.generated => Ok(Target {
                name: column.name.clone(),
                storage: Storage::of(column, described.strict),
                in_key: job.key.contains(&column.name),
            }),
            _ => Err(EngineError::SchemaChanged(job.table.name.clone())),
        })
        .collect()
}

fn key_places(targets: &[Target]) -> Vec<usize> {
    let numbered = (0..).zip(targets);
    let in_key = numbered.filter(|(_, target)| target.in_key);
    in_key.map(|(at, _)| at).collect()
}

fn refused(column: Option<&str>, reason: &str, kind: RefusalKind) -> Fault {
    Fault::Row(Refusal {
        column: column.map(str::to_owned),
        reason: reason.to_owned(),
        kind,
    })
}
