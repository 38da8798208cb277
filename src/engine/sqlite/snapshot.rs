//! One moment of some tables: a connection in a read transaction on a thread of its own, which reads one selection after
//! the other.
//!
//! A reader stands in no writer's way, but as long as it reads, the write-ahead log only grows: beyond the room it may
//! take the snapshot ends. Invariant: the thread ends soon after the snapshot was dropped, also while it reads.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, InterruptHandle};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::base::task::Tasks;
use crate::engine::driver::{CHANNEL_BATCHES, Flow, RowStream, Selection, Snapshot};
use crate::engine::error::EngineError;
use crate::engine::snapshot::{Ending, Guard, LOOK_EVERY, Life};
use crate::engine::sqlite::caller::{CallerWatch, caller};
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::introspect::{self, Described};
use crate::engine::sqlite::read::{Outlet, Scan};
use crate::model::table::{Table, TableName};

/// Streams that wait for their turn.
const WAITING: usize = 16;
/// A statement that has just begun did not hear that it should end.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// A moment of some tables.
pub(super) struct SqliteSnapshot {
    tables: Vec<Described>,
    read_point: String,
    jobs: mpsc::Sender<Job>,
    life: Life,
    guard: Guard,
}

struct Job {
    scan: Scan,
    rows: mpsc::Sender<Result<Flow, EngineError>>,
    /// Of a snapshot that is to end with this.
    guard: Option<Guard>,
}

/// What a thread has opened.
struct Begun {
    tables: Vec<Described>,
    read_point: String,
    interrupt: InterruptHandle,
    log_size: u64,
}

/// A snapshot of one table that ends with the one stream that is read of it.
pub(super) async fn read(
    location: &Location,
    tasks: &Tasks,
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let snapshot = open(location, tasks, vec![selection.table.clone()]).await?;
    let (mut job, stream) = snapshot.job(selection)?;
    job.guard = Some(snapshot.guard);
    snapshot.jobs.send(job).await.map_err(|_| thread_ended())?;
    Ok(stream)
}

/// Takes a snapshot of `names`; a thread holds it until it is dropped.
pub(super) async fn open(
    location: &Location,
    tasks: &Tasks,
    names: Vec<TableName>,
) -> Result<SqliteSnapshot, EngineError> {
    let (life, guard) = Life::new();
    let (jobs, waiting) = mpsc::channel(WAITING);
    let (opened, ready) = oneshot::channel();
    let (thread, over) = oneshot::channel::<()>();
    let (_caller, asked) = caller();
    let (of_thread, place) = (life.clone(), location.clone());
    tokio::task::spawn_blocking(move || {
        // Dropped with the thread's last step.
        let _thread = thread;
        match begin(&place, &names, &asked) {
            Ok((connection, begun)) => {
                if opened.send(Ok(begun)).is_ok() {
                    serve(connection, waiting, &of_thread);
                }
            }
            Err(err) => drop(opened.send(Err(err))),
        }
    });
    let begun = ready.await.map_err(|_| thread_ended())??;
    let watching = Watch {
        location: location.clone(),
        interrupt: begun.interrupt,
        log_size: begun.log_size,
        life: life.clone(),
    };
    tasks.spawn("sqlite watch", watching.run(over));
    Ok(SqliteSnapshot {
        tables: begun.tables,
        read_point: begun.read_point,
        jobs,
        life,
        guard,
    })
}

fn thread_ended() -> EngineError {
    EngineError::Lost("the reading thread ended".to_owned())
}

fn begin(
    location: &Location,
    names: &[TableName],
    caller: &CallerWatch,
) -> Result<(Connection, Begun), EngineError> {
    let connection = location.snapshot(caller)?;
    let fault = |err: rusqlite::Error| location.fault(&err);
    let now = Timestamp::now();
    let version: i64 = connection
        .pragma_query_value(None, "data_version", |row| row.get(0))
        .map_err(fault)?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let described = introspect::table(&connection, name).map_err(fault)?;
        tables.push(described.ok_or_else(|| EngineError::NoTable(name.clone()))?);
    }
    let begun = Begun {
        tables,
        read_point: format!("data version {version} at {now:.6}"),
        interrupt: connection.get_interrupt_handle(),
        log_size: location.log_size(),
    };
    Ok((connection, begun))
}

/// Reads what is asked for until nobody can ask any more, or the life is over.
fn serve(connection: Connection, mut jobs: mpsc::Receiver<Job>, life: &Life) {
    let runtime = Handle::current();
    let next = |jobs: &mut mpsc::Receiver<Job>| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = life.over() => None,
                job = jobs.recv() => job,
            }
        })
    };
    let mut farewell = None;
    while let Some(job) = next(&mut jobs) {
        let outlet = Outlet {
            rows: &job.rows,
            life,
        };
        let read = job.scan.stream(&connection, &outlet);
        let last = match read {
            // What broke off because it was to end is no fault of the database.
            _ if life.is_over() => Err(runtime.block_on(life.over())),
            Ok(_) => Ok(Flow::End),
            Err(err) => Err(err),
        };
        if job.guard.is_some() || life.is_over() {
            farewell = Some((job, last));
            break;
        }
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = life.over() => {}
                // A receiver that is gone needs no last word.
                _ = job.rows.send(last) => {}
            }
        });
    }
    drop(connection);
    if let Some((job, last)) = farewell {
        let _ = job.rows.blocking_send(last);
    }
}

/// What looks after a snapshot while its thread reads.
struct Watch {
    location: Location,
    interrupt: InterruptHandle,
    log_size: u64,
    life: Life,
}

impl Watch {
    async fn run(self, mut thread: oneshot::Receiver<()>) {
        let most = self.log_size.saturating_add(self.location.room());
        loop {
            tokio::select! {
                _ = &mut thread => return,
                _ = self.life.over() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.location.log_size() > most {
                self.life.end(Ending::Yielded);
            }
        }
        loop {
            self.interrupt.interrupt();
            tokio::select! {
                _ = &mut thread => return,
                () = tokio::time::sleep(INTERRUPT_EVERY) => {}
            }
        }
    }
}

impl SqliteSnapshot {
    fn described(&self, name: &TableName) -> Option<&Described> {
        let mut tables = self.tables.iter();
        tables.find(|described| described.table.name == *name)
    }

    fn job(&self, selection: Selection) -> Result<(Job, RowStream), EngineError> {
        let described = self
            .described(&selection.table)
            .ok_or_else(|| EngineError::NoTable(selection.table.clone()))?;
        let (rows, stream) = mpsc::channel(CHANNEL_BATCHES);
        let job = Job {
            scan: Scan::new(selection, described)?,
            rows,
            guard: None,
        };
        Ok((job, stream))
    }
}

#[async_trait::async_trait]
impl Snapshot for SqliteSnapshot {
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        Ok(self
            .described(name)
            .map(|described| described.table.clone()))
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        let (job, stream) = self.job(selection)?;
        tokio::select! {
            biased;
            err = self.life.over() => Err(err),
            sent = self.jobs.send(job) => match sent {
                Ok(()) => Ok(stream),
                Err(_) => Err(thread_ended()),
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
