//! Carrying out a plan on a thread of its own, as rows are applied: short transactions, pauses, one row at a time.
//!
//! Which rows are written is decided in `engine::enact`. Invariant: as for `apply`.

mod find;
mod keyless;

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, Row, Statement};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::engine::driver::{ApplyJob, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::plan::{Fingerprint, PlanStream};
use crate::engine::sqlite::apply::destination::{self, Destination};
use crate::engine::sqlite::apply::enact::find::ByNumber;
use crate::engine::sqlite::apply::enact::keyless::KeylessTarget;
use crate::engine::sqlite::apply::forward;
use crate::engine::sqlite::apply::pace::TRANSACTION_TIME;
use crate::engine::sqlite::apply::statements::{bind_all, bind_key, where_key};
use crate::engine::sqlite::apply::writer::{Writer, describe};
use crate::engine::sqlite::caller::{CallerWatch, caller};
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::fault::{engine_error, row_fault};
use crate::engine::sqlite::image::image;
use crate::engine::sqlite::introspect::{self, Described, Pointing};
use crate::engine::sqlite::select::statement;
use crate::engine::{enact, sql::Sql};
use crate::wire::row::RowWriter;

/// Carries out `plan` as `job` says. Dropping this ends the thread after the changes it is at.
pub(in crate::engine::sqlite) async fn enact(
    location: Location,
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    // As with `apply`: dropping this future ends the thread's wait for changes.
    let (sender, receiver) = mpsc::channel(1);
    let (_caller, watch) = caller();
    let runtime = Handle::current();
    let finder = job.target.is_keyless().then(|| ByNumber {
        location: location.clone(),
        job: job.target.clone(),
    });
    let fingerprint = Fingerprint::clone(&job.fingerprint);
    let work = tokio::task::spawn_blocking(move || {
        let target = job.target.clone();
        let connection = location.open_writer()?;
        let described = describe(&connection, &target)?;
        let mut target = SqliteTarget::new(&connection, &target, &described, &watch)?;
        if job.target.is_keyless() {
            let mut target = KeylessTarget::new(target);
            return runtime.block_on(enact::enact(&mut target, job, receiver, progress));
        }
        runtime.block_on(enact::enact(&mut target, job, receiver, progress))
    });
    match finder {
        Some(finder) => enact::find::find(plan, sender, fingerprint, finder).await,
        None => forward(plan, sender).await,
    }
    work.await
        .map_err(|_| EngineError::Lost("the writing thread ended".to_owned()))?
}

struct SqliteTarget<'c> {
    writer: Writer<'c>,
    delete: Statement<'c>,
    /// Whether rows of the table named point to the row of a key, where SQLite would not refuse its deletion at once.
    pointing: Vec<(String, Statement<'c>)>,
    folded: bool,
    has_triggers: bool,
}

impl<'c> SqliteTarget<'c> {
    fn new(
        connection: &'c Connection,
        job: &'c ApplyJob,
        described: &'c (Described, i64),
        caller: &'c CallerWatch,
    ) -> Result<Self, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &job.table.name);
        let (table, _) = described;
        let folded = table.table.key_on(&job.key).is_some_and(|key| key.folded);
        let mut delete = statement();
        delete.push("delete from ").table(&job.table.name);
        where_key(&mut delete, job, table, folded);
        let mut pointing = Vec::new();
        for key in introspect::pointing(connection, &job.table.name).map_err(fault)? {
            if key.key.on_delete != "no action" || key.deferred {
                let query = points(&key, job, table, folded);
                let statement = connection.prepare(query.text()).map_err(fault)?;
                pointing.push((key.table.to_string(), statement));
            }
        }
        Ok(Self {
            writer: Writer::new(connection, job, described, caller)?,
            delete: connection.prepare(delete.text()).map_err(fault)?,
            pointing,
            folded,
            has_triggers: !table.table.triggers.is_empty(),
        })
    }

    fn look_now(&mut self, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        self.writer.go_on()?;
        let destination = &mut self.writer.destination;
        rows.iter().map(|row| destination.find(row)).collect()
    }

    fn write_now(&mut self, effect: Effect, rows: &[Bytes]) -> Result<Option<Vec<Local>>, Fault> {
        for row in rows {
            self.writer.pace.add(row.len());
            let destination = &mut self.writer.destination;
            if effect == Effect::Delete {
                destination.delete(&mut self.delete, row)?;
            } else {
                destination.put(effect, row)?;
            }
        }
        Ok(None)
    }

    fn pointing_now(&mut self, rows: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let destination = &self.writer.destination;
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, &destination.table));
        let mut found = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let values = destination.values(row)?;
            for (table, statement) in &mut self.pointing {
                bind_key(statement, &destination.key, &values).map_err(fatal)?;
                let (mut pointing, mut seen) = (statement.raw_query(), 0);
                while let Some(row) = pointing.next().map_err(fatal)? {
                    if *table != destination.table.to_string() {
                        found.push((place, Pointer::Other(table.clone())));
                        break;
                    }
                    found.push((
                        place,
                        Pointer::Own(local(&destination.targets, row).map_err(fatal)?.tuple),
                    ));
                    seen += 1;
                    if seen > rows.len() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The rows that point by `key` to the row of a key, other than that row itself: the table's own with their columns.
fn points(key: &Pointing, job: &ApplyJob, described: &Described, folded: bool) -> Sql {
    let mut sql = statement();
    sql.push("select ");
    if key.table == job.table.name && !job.is_keyless() {
        sql.list(&job.columns, ", ", |sql, column| {
            sql.push("c.").ident(&column.name);
        });
    } else {
        sql.push("1");
    }
    sql.push(" from (select * from ").table(&job.table.name);
    where_key(&mut sql, job, described, folded);
    sql.push(") p join ").table(&key.table).push(" c on ");
    let pairs = key.key.foreign_columns.iter().zip(&key.key.columns);
    sql.list(pairs, " and ", |sql, (there, here)| {
        sql.push("p.").ident(there).push(" = c.").ident(here);
    });
    if key.table == job.table.name && job.is_keyless() {
        let rowid = described.rowid.unwrap_or("rowid");
        sql.push(" and c.").ident(rowid).push(" <> ?1");
    } else if key.table == job.table.name {
        sql.push(" and not (").list(&job.key, " and ", |sql, name| {
            sql.push("c.").ident(name).push(" is p.").ident(name);
        });
        sql.push(")");
    }
    sql
}

impl Destination<'_> {
    /// The row that has this row's key.
    fn find(&mut self, row: &[u8]) -> Result<Option<Local>, Fault> {
        let values = self.values(row)?;
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, &self.table));
        bind_key(&mut self.statements.probe, &self.key, &values).map_err(fatal)?;
        self.probed()
    }

    /// The row that the probe finds, which was told what to look for.
    fn probed(&mut self) -> Result<Option<Local>, Fault> {
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, &self.table));
        let mut rows = self.statements.probe.raw_query();
        let Some(row) = rows.next().map_err(fatal)? else {
            return Ok(None);
        };
        local(&self.targets, row).map(Some).map_err(fatal)
    }

    fn put(&mut self, effect: Effect, row: &[u8]) -> Result<(), Fault> {
        let values = self.values(row)?;
        self.guarded(|destination| {
            let statements = &mut destination.statements;
            let statement = match effect {
                Effect::Insert => Some(&mut statements.insert),
                Effect::Update => statements.update.as_mut(),
                Effect::Park => statements.park.as_mut(),
                Effect::Delete => None,
            };
            let Some(statement) = statement else {
                return Ok(());
            };
            let bound = if effect == Effect::Park {
                bind_key(statement, &destination.key, &values)
            } else {
                bind_all(statement, &values)
            };
            let written = bound.and_then(|()| statement.raw_execute());
            let written = written.map_err(|err| row_fault(&err, &destination.table))?;
            refuse_several(written)?;
            if effect == Effect::Park {
                return Ok(());
            }
            destination.has_parents(&values)
        })
    }

    fn delete(&mut self, delete: &mut Statement<'_>, row: &[u8]) -> Result<(), Fault> {
        let values = self.values(row)?;
        self.delete_bound(delete, |delete, key| bind_key(delete, key, &values))
    }

    /// Deletes the row that `bind` tells `delete`; it is given the key, too.
    fn delete_bound(
        &mut self,
        delete: &mut Statement<'_>,
        bind: impl FnOnce(&mut Statement<'_>, &[usize]) -> rusqlite::Result<()>,
    ) -> Result<(), Fault> {
        self.guarded(|destination| {
            let deleted = bind(delete, &destination.key).and_then(|()| delete.raw_execute());
            let deleted = deleted.map_err(|err| row_fault(&err, &destination.table));
            refuse_several(deleted.map_err(still_referenced)?)
        })
    }
}

/// One row is meant, whatever the key's collations find.
fn refuse_several(rows: usize) -> Result<(), Fault> {
    match rows {
        0 | 1 => Ok(()),
        rows => Err(Fault::Row(Refusal {
            column: None,
            reason: format!("key_collision: {rows} rows here have this key"),
            kind: RefusalKind::Final,
        })),
    }
}

/// The refusal of a deletion that a foreign key does not allow.
fn still_referenced(fault: Fault) -> Fault {
    match fault {
        Fault::Row(refusal) if refusal.reason.starts_with("FOREIGN KEY") => Fault::Row(Refusal {
            reason: format!("still_referenced: {}", refusal.reason),
            ..refusal
        }),
        fault => fault,
    }
}

/// A row that holds the columns of `targets`.
fn local(targets: &[destination::Target], row: &Row<'_>) -> rusqlite::Result<Local> {
    let (mut writer, mut readable) = (RowWriter::default(), true);
    writer.begin(u16::try_from(targets.len()).unwrap_or(u16::MAX));
    for (at, target) in targets.iter().enumerate() {
        match image(&target.storage, row.get_ref(at)?) {
            Ok(image) => writer.field(image.field()),
            Err(_) => {
                writer.field(None);
                readable = false;
            }
        }
    }
    Ok(Local {
        tuple: writer.take().data,
        readable,
    })
}

impl Target for SqliteTarget<'_> {
    const LONGEST: Duration = TRANSACTION_TIME;
    // The application can write nothing meanwhile.
    const PATIENCE: Duration = Duration::ZERO;
    const PIECE_ROWS: usize = 500;

    fn job(&self) -> &ApplyJob {
        self.writer.job
    }

    fn is_folded(&self) -> bool {
        self.folded
    }

    fn inserts_plainly(&self) -> bool {
        !self.folded && !self.has_triggers
    }

    fn can_park(&self) -> bool {
        self.writer.destination.can_park()
    }

    fn begin(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(self.writer.begin())
    }

    fn commit(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(self.writer.commit().map(drop))
    }

    fn run(
        &mut self,
        statements: &'static str,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(self.writer.execute(statements))
    }

    fn look(
        &mut self,
        _: Look,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<Option<Local>>, Fault>> + Send {
        ready(self.look_now(rows))
    }

    fn write(
        &mut self,
        effect: Effect,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Option<Vec<Local>>, Fault>> + Send {
        ready(self.write_now(effect, rows))
    }

    fn pointing(
        &mut self,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<(usize, Pointer)>, Fault>> + Send {
        ready(self.pointing_now(rows))
    }

    fn finish(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(Ok(()))
    }
}
