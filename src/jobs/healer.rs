//! The healer: brings both sides of each connection together again. It observes what is stored, has `model::repair` say
//! what that needs, and does it by the functions that the admin API uses; syncs of a peer that is away for long are halted
//! until it is back.
//!
//! Invariant: a peer that does not answer delays no other. Whoever takes long, or did not answer last time, is waited for
//! beside the pass, in places of its own.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::task::Task;
use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::model::repair::{Diagnosis, Repair, diagnose};
use crate::sync::healing::{Found, Healing};
use crate::sync::{Actor, Ctx, connections, syncs};

/// Peers asked at the same time that answered last time.
const AT_ONCE: usize = 32;
/// So long one of them may keep its place.
const QUICK: Duration = Duration::from_secs(1);
/// Places for those that are waited for longer.
const PATIENT: usize = 64;
/// So long they are waited for.
const LONGEST: Duration = Duration::from_secs(30);
/// Those waited for end between two passes.
const WHILE_WAITING: Duration = Duration::from_secs(10);
/// Between two passes at least, unless something is to be told.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Reconciles connections.
pub struct Healer {
    work: Arc<Work>,
}

/// What the calls of several passes have in common.
struct Work {
    ctx: Arc<Ctx>,
    /// Connections that are seen to right now.
    busy: Mutex<HashSet<ConnectionId>>,
    patient: Arc<Semaphore>,
}

/// Counts a connection as seen to until it is dropped.
struct Busy {
    work: Arc<Work>,
    id: ConnectionId,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.work.busy().remove(&self.id);
    }
}

/// One connection and what it needs.
struct Job {
    connection: Connection,
    repair: Repair,
    busy: Busy,
}

/// One repair under way, which may change from the pass's places to those of the patient.
type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Healer {
    /// A healer over `ctx`.
    #[must_use]
    pub fn new(ctx: Arc<Ctx>) -> Self {
        Self {
            work: Arc::new(Work {
                ctx,
                busy: Mutex::default(),
                patient: Arc::new(Semaphore::new(PATIENT)),
            }),
        }
    }
}

#[async_trait::async_trait]
impl Task for Healer {
    fn name(&self) -> &'static str {
        "healer"
    }

    async fn pass(&self) -> Duration {
        let (ctx, began) = (&self.work.ctx, Instant::now());
        let interval = ctx.live.now().healing.interval;
        let mut sleep = interval;
        match ctx.store.connections_to_heal().await {
            Ok(connections) => {
                let (jobs, found, next) = self.work.jobs(connections, interval, Timestamp::now());
                let until =
                    |next: Timestamp| Duration::try_from(next.duration_since(Timestamp::now()));
                let wait = next.and_then(|next| until(next).ok());
                sleep = sleep.min(wait.unwrap_or(interval).max(SHORTEST_SLEEP));
                self.work.see_to(jobs).await;
                if !self.work.busy().is_empty() {
                    sleep = sleep.min(WHILE_WAITING);
                }
                tracing::debug!(?found, took = ?began.elapsed(), "a pass of the healing loop");
                Healing::of_process().passed(found, began.elapsed());
            }
            Err(err) => tracing::error!(%err, "the healer cannot read the connections"),
        }
        if let Err(err) = syncs::mind_absences(ctx, Timestamp::now()).await {
            tracing::error!(%err, "the healer cannot see to the syncs of peers that are away");
        }
        ctx.alerter.wake();
        sleep
    }
}

impl Work {
    fn busy(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the connections need now, how they were found, and when the next of them needs something.
    fn jobs(
        self: &Arc<Self>,
        connections: Vec<Connection>,
        interval: Duration,
        now: Timestamp,
    ) -> (Vec<Job>, Found, Option<Timestamp>) {
        let (mut jobs, mut found, mut next) = (vec![], Found::default(), None);
        for connection in connections {
            match diagnose(&connection, interval, now) {
                Diagnosis::Well => found.well += 1,
                Diagnosis::Waits(until) => {
                    found.waiting += 1;
                    next = Some(next.map_or(until, |next: Timestamp| next.min(until)));
                }
                Diagnosis::Needs(repair) => match self.begin(connection.id) {
                    Some(busy) => {
                        found.needy += 1;
                        jobs.push(Job {
                            connection,
                            repair,
                            busy,
                        });
                    }
                    None => found.waiting += 1,
                },
            }
        }
        (jobs, found, next)
    }

    fn begin(self: &Arc<Self>, id: ConnectionId) -> Option<Busy> {
        self.busy().insert(id).then(|| Busy {
            work: Arc::clone(self),
            id,
        })
    }

    /// Sees to all of them; returns when those are done that are not waited for.
    async fn see_to(&self, jobs: Vec<Job>) {
        let is_silent = |job: &Job| job.connection.unreachable_since.is_some();
        let (silent, living): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_silent);
        for job in silent {
            let patient = Arc::clone(&self.patient);
            self.beside(async move {
                let place = patient.acquire_owned().await;
                let connection = job.connection.clone();
                if let Ok(place) = place {
                    wait_for(Arc::clone(&job.busy.work), connection, job.call(), place).await;
                }
            });
        }
        futures_util::stream::iter(living)
            .for_each_concurrent(AT_ONCE, |job| self.quickly(job))
            .await;
    }

    /// Waits a little for an answer; goes on beside the pass where that is not enough and there is a place.
    async fn quickly(&self, job: Job) {
        let (work, connection) = (Arc::clone(&job.busy.work), job.connection.clone());
        let mut call = job.call();
        if tokio::time::timeout(QUICK, &mut call).await.is_ok() {
            return;
        }
        match Arc::clone(&self.patient).try_acquire_owned() {
            Ok(place) => self.beside(wait_for(work, connection, call, place)),
            Err(_) => {
                drop(call);
                self.give_up(&connection, QUICK).await;
            }
        }
    }

    fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.ctx.tasks.stopping();
        // Nobody waits for it: it notes itself what became of it.
        drop(self.ctx.tasks.spawn("healer, waiting", async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        }));
    }

    async fn give_up(&self, connection: &Connection, waited: Duration) {
        let noted = connections::note_no_answer(&self.ctx, connection, waited).await;
        if let Err(err) = noted {
            tracing::error!(connection = %connection.id, %err, "that a peer does not answer was not noted");
        }
    }
}

/// Waits long for a call.
async fn wait_for(
    work: Arc<Work>,
    connection: Connection,
    call: Call,
    place: OwnedSemaphorePermit,
) {
    if tokio::time::timeout(LONGEST, call).await.is_err() {
        work.give_up(&connection, LONGEST).await;
    }
    drop(place);
}

impl Job {
    fn call(self) -> Call {
        Box::pin(async move {
            let Self {
                connection,
                repair,
                busy,
            } = self;
            let ctx = &busy.work.ctx;
            match connections::heal(ctx, &connection, repair, &Actor::healer()).await {
                Ok(healed) => Healing::of_process().tried(repair, healed),
                Err(err) => {
                    tracing::error!(connection = %connection.id, repair = repair.as_str(), %err, "a connection was not healed");
                }
            }
        })
    }
}
