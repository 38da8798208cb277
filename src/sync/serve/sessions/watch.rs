//! The ends of a session that come by themselves: nobody asks, it is held too long, somebody waits for its tables, or its
//! connection may no longer see what it shows.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::engine::EngineError;
use crate::engine::driver::Snapshot;
use crate::sync::Ctx;
use crate::sync::serve::history;
use crate::sync::serve::life::Ending;
use crate::sync::serve::sessions::session::Session;

/// The grant is looked at again this often, also where nobody said that it was changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Watches over a session until it has ended.
pub(super) fn watch(ctx: &Arc<Ctx>, session: Arc<Session>, snapshot: Arc<dyn Snapshot>) {
    let owned = Arc::clone(ctx);
    ctx.tasks.spawn("session", async move {
        let ending = ending(&owned, &session, snapshot).await;
        owned.sessions.end(&session, ending);
        note_compared(&owned, &session, ending).await;
        tracing::debug!(connection = %session.connection, ?ending, "a session has ended");
    });
}

/// Writes down which tables were compared; those of which rows went are written down with these.
async fn note_compared(ctx: &Arc<Ctx>, session: &Session, ending: Ending) {
    for held in &session.tables {
        let told = *held.told();
        let Some(since) = told.since.filter(|_| !told.is_streamed) else {
            continue;
        };
        let table = held.view.table.name.clone();
        let begun = history::begun(session.connection, table, since);
        let fault = (ending != Ending::Closed).then(|| {
            let words = format!("the session has ended: {}", ending.words());
            (ending.stream_code().as_str(), words)
        });
        let ended = history::ended(begun.clone(), 0, told.bytes, fault);
        history::record(ctx, begun, ended).await;
    }
}

async fn ending(ctx: &Ctx, session: &Session, snapshot: Arc<dyn Snapshot>) -> Ending {
    let idle = ctx.config.sessions.idle;
    let stopping = ctx.tasks.stopping();
    loop {
        let now = Instant::now();
        let idle_at = session.idle_since(now) + idle;
        if session.ends.0 <= now {
            return Ending::Held;
        }
        if idle_at <= now {
            return Ending::Idle;
        }
        tokio::select! {
            ending = session.life.over() => return ending,
            err = snapshot.ended() => return match err {
                EngineError::Yielded => Ending::Yielded,
                err => {
                    tracing::warn!(%err, connection = %session.connection, "the snapshot of a session ended");
                    Ending::Lost
                }
            },
            () = stopping.cancelled() => return Ending::Stopping,
            () = session.asked_again.notified() => {}
            () = sleep_until(session.ends.0.min(idle_at).min(now + LOOK_EVERY)) => {}
        }
        match ctx.store.connection(session.connection).await {
            Ok(connection) => {
                if let Some(ending) = session.hindrance(ctx, connection.as_ref()) {
                    return ending;
                }
            }
            // Each request asks again, and none is answered while the state cannot be read.
            Err(err) => {
                tracing::error!(%err, connection = %session.connection, "whether a session may go on cannot be asked");
            }
        }
    }
}
