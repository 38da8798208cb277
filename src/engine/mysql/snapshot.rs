//! One moment of some tables: a session in a transaction that reads one selection after the other.
//!
//! Neither database lets a second session see what the first one does. Invariant: what is read is never older than the
//! tables' definitions, and what the reader has not taken of one stream never becomes part of the next.

use std::time::Duration;

use sqlx::Connection;
use sqlx::mysql::MySqlPool;
use tokio::sync::mpsc;

use crate::base::task::Tasks;
use crate::engine::driver::{CHANNEL_BATCHES, Flow, RowStream, Selection, Snapshot};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, general, is_missing_table};
use crate::engine::mysql::introspect;
use crate::engine::mysql::read::{Reader, Sender};
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::waiting::{Thread, watch};
use crate::engine::snapshot::{Ending, Guard, LOOK_EVERY, Life};
use crate::model::table::{Table, TableName};

/// Streams that wait for their turn.
const WAITING: usize = 16;
/// What ending a transaction may take; after it the connection goes instead.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);
/// A table that is truncated between the beginning and the first look at it makes a new beginning necessary.
const ATTEMPTS: usize = 5;

/// A moment of some tables.
pub(super) struct MysqlSnapshot {
    schemas: Schemas,
    tables: Vec<Table>,
    read_point: String,
    jobs: mpsc::Sender<Job>,
    life: Life,
    guard: Guard,
}

struct Job {
    reader: Reader,
    rows: Sender,
    /// Of a snapshot that is to end with this.
    guard: Option<Guard>,
}

/// A snapshot of one table that ends with the one stream that is read of it.
pub(super) async fn read(
    pool: &MySqlPool,
    tasks: &Tasks,
    schemas: &Schemas,
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let names = std::slice::from_ref(&selection.table);
    let snapshot = open(pool, tasks, schemas, names).await?;
    let (mut job, stream) = snapshot.job(&selection)?;
    job.guard = Some(snapshot.guard);
    let lost = |_| EngineError::Lost("the session ended".to_owned());
    snapshot.jobs.send(job).await.map_err(lost)?;
    Ok(stream)
}

/// Takes a snapshot of `names`; a task holds it until it is dropped or somebody waits for it.
pub(super) async fn open(
    pool: &MySqlPool,
    tasks: &Tasks,
    schemas: &Schemas,
    names: &[TableName],
) -> Result<MysqlSnapshot, EngineError> {
    let mut session = Session::open(pool).await?;
    let begun = async {
        let thread = Thread::of(&mut session, pool, schemas).await?;
        let read_point = begin(&mut session, schemas, names).await?;
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            tables.push(described(&mut session, schemas, name).await?);
        }
        Ok((thread, read_point, tables))
    };
    let (thread, read_point, tables) = match begun.await {
        Ok(begun) => begun,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let (life, guard) = Life::new();
    let (jobs, waiting) = mpsc::channel(WAITING);
    let watching = watch(pool.clone(), schemas.clone(), names.to_vec(), life.clone());
    tasks.spawn("mysql watch", watching);
    let holder = Holder {
        session,
        thread,
        life: life.clone(),
    };
    tasks.spawn("mysql snapshot", holder.run(waiting));
    Ok(MysqlSnapshot {
        schemas: schemas.clone(),
        tables,
        read_point,
        jobs,
        life,
        guard,
    })
}

/// Begins the transaction and looks at every table: from then on its shape is locked. One that changed since the
/// beginning says so, and all begins anew.
async fn begin(
    session: &mut Session,
    schemas: &Schemas,
    names: &[TableName],
) -> Result<String, EngineError> {
    let mut attempts = ATTEMPTS;
    loop {
        session
            .run("start transaction with consistent snapshot, read only")
            .await
            .map_err(|err| general(&err))?;
        attempts -= 1;
        match touch(session, schemas, names).await {
            Ok(()) => return Ok(read_point(session, schemas).await),
            Err(EngineError::SchemaChanged(_)) if attempts > 0 => {}
            Err(err) => return Err(err),
        }
        session.run("rollback").await.map_err(|err| general(&err))?;
    }
}

async fn touch(
    session: &mut Session,
    schemas: &Schemas,
    names: &[TableName],
) -> Result<(), EngineError> {
    for name in names {
        let missing = || EngineError::NoTable(name.clone());
        schemas.of(name).ok_or_else(missing)?;
        let mut touch = schemas.sql();
        touch.push("select 1 from ").table(name).push(" limit 1");
        if let Err(err) = session.execute(&touch).await {
            let is_missing = is_missing_table(&err);
            return Err(if is_missing {
                missing()
            } else {
                fault(err, name)
            });
        }
    }
    Ok(())
}

async fn described(
    session: &mut Session,
    schemas: &Schemas,
    name: &TableName,
) -> Result<Table, EngineError> {
    let table = introspect::table(session, schemas, name)
        .await
        .map_err(|err| fault(err, name))?
        .ok_or_else(|| EngineError::NoTable(name.clone()))?;
    // Without transactions there is no snapshot: whoever writes the table would wait until the last row is read.
    match &table.not_writable {
        Some(reason) => Err(EngineError::of_table(
            name,
            format!("{reason}, and it cannot be read without blocking its writers"),
        )),
        None => Ok(table),
    }
}

/// Where in the log of changes the transaction stands, as far as the server tells; and the time.
async fn read_point(session: &mut Session, schemas: &Schemas) -> String {
    let mut words = Vec::new();
    for question in [
        "show session status like 'binlog\\_snapshot\\_%'",
        "show global variables like 'gtid\\_executed'",
    ] {
        let mut query = schemas.sql();
        query.push(question);
        let answers = session.all::<(String, String)>(&query).await;
        let told = answers
            .unwrap_or_default()
            .into_iter()
            .map(|(_, value)| value);
        words.extend(told.filter(|value| !matches!(value.as_str(), "" | "0")));
    }
    let mut query = schemas.sql();
    query.push("select date_format(utc_timestamp(6), 'at %Y-%m-%dT%H:%i:%s.%fZ')");
    let time = session.all::<(String,)>(&query).await;
    words.extend(time.unwrap_or_default().into_iter().map(|(time,)| time));
    words.join(" ")
}

/// The task that has the session.
struct Holder {
    session: Session,
    thread: Thread,
    life: Life,
}

impl Holder {
    /// Reads what is asked for until nobody can ask any more, or the life is over.
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let life = self.life.clone();
        loop {
            let job = tokio::select! {
                biased;
                _ = life.over() => break,
                job = jobs.recv() => job,
                // Servers end connections that lie idle, and one that is gone has to be noticed.
                () = tokio::time::sleep(LOOK_EVERY) => tokio::select! {
                    _ = life.over() => return,
                    serves = self.stir() => if serves { continue } else { return },
                },
            };
            let Some(mut job) = job else { break };
            let last = tokio::select! {
                biased;
                err = life.over() => {
                    // The session cannot be used further, and must not wait for who takes the last word.
                    drop(self.session);
                    self.thread.disconnect().await;
                    let _ = job.rows.send(Err(err)).await;
                    return;
                }
                last = self.serve(&mut job) => last,
            };
            let ends = job.guard.is_some();
            if ends || life.is_over() {
                self.close().await;
                // A receiver that is gone needs no last word.
                let _ = job.rows.send(last).await;
                return;
            }
            tokio::select! {
                biased;
                _ = life.over() => break,
                _ = job.rows.send(last) => {}
            }
        }
        self.close().await;
    }

    /// Reads one selection to its end; the last word of its stream.
    async fn serve(&mut self, job: &mut Job) -> Result<Flow, EngineError> {
        let outcome = {
            let mut reading = std::pin::pin!(job.reader.stream(&mut self.session, &job.rows));
            tokio::select! {
                outcome = &mut reading => outcome,
                () = job.rows.closed() => {
                    if job.guard.is_some() {
                        self.life.end(Ending::Dropped);
                        std::future::pending::<()>().await;
                    }
                    self.thread.interrupt().await;
                    // What is on its way has to be taken, or the next stream would begin with it.
                    let _ = reading.await;
                    Err(EngineError::Lost("reading was given up".to_owned()))
                }
            }
        };
        if let Err(err) = &outcome {
            if matches!(
                err,
                EngineError::Unreadable { .. } | EngineError::RowTooLarge { .. }
            ) {
                self.thread.interrupt().await;
            }
            self.stir().await;
        }
        outcome.map(|()| Flow::End)
    }

    /// Uses the connection, and takes from it what an interrupted statement left; whether it serves still.
    async fn stir(&mut self) -> bool {
        let mut last = String::new();
        for _ in 0..3 {
            let ping = async { self.session.raw()?.ping().await };
            match ping.await {
                Ok(()) => return true,
                Err(err) => last = general(&err).to_string(),
            }
        }
        self.life.end(Ending::Lost(last));
        false
    }

    async fn close(mut self) {
        let ended = tokio::time::timeout(LONGEST_FAREWELL, self.session.run("rollback")).await;
        if matches!(ended, Ok(Ok(()))) {
            self.session.release();
        }
    }
}

impl MysqlSnapshot {
    fn job(&self, selection: &Selection) -> Result<(Job, RowStream), EngineError> {
        let mut tables = self.tables.iter();
        let table = tables
            .find(|table| table.name == selection.table)
            .ok_or_else(|| EngineError::NoTable(selection.table.clone()))?;
        let reader = Reader::new(&self.schemas, selection, table)?;
        let (rows, stream) = mpsc::channel(CHANNEL_BATCHES);
        let job = Job {
            reader,
            rows,
            guard: None,
        };
        Ok((job, stream))
    }
}

#[async_trait::async_trait]
impl Snapshot for MysqlSnapshot {
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let mut tables = self.tables.iter();
        Ok(tables.find(|table| table.name == *name).cloned())
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        let (job, stream) = self.job(&selection)?;
        tokio::select! {
            biased;
            err = self.life.over() => Err(err),
            sent = self.jobs.send(job) => match sent {
                Ok(()) => Ok(stream),
                Err(_) => Err(self.life.over().await),
            },
        }
    }

    fn read_point(&self) -> String {
        self.read_point.clone()
    }

    async fn ended(&self) -> EngineError {
        self.life.over().await
    }
}
