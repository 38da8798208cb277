//! `/healthz` and `/readyz`: whether the process lives, and whether it can do its work.
//!
//! Open to everybody who reaches the listener, so they say nothing about data.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::sync::Ctx;
use crate::sync::status::database_fault;

/// A state that takes longer to answer counts as down.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often [`until_ready`] looks.
const PAUSE: Duration = Duration::from_millis(100);

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The answer of `/readyz`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    ready: bool,
    reasons: Vec<String>,
    state: &'static str,
    database: &'static str,
}

/// Waits until `/readyz` answers 200.
pub async fn until_ready(ctx: Arc<Ctx>) {
    while !look(&ctx).await.ready {
        tokio::time::sleep(PAUSE).await;
    }
}

/// `GET /readyz`: 200 once the state answers and the second in which the daemon started has passed.
///
/// The site database does not count: without it the daemon still answers peers, and heals when it is back.
pub(super) async fn readyz(State(ctx): State<Arc<Ctx>>) -> (StatusCode, Json<Report>) {
    let report = look(&ctx).await;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

async fn look(ctx: &Ctx) -> Report {
    let (state, database) = tokio::join!(
        tokio::time::timeout(PATIENCE, ctx.store.ping()),
        database_fault(ctx),
    );
    report(
        matches!(state, Ok(Ok(_))),
        database.is_none(),
        ctx.started_at,
        Timestamp::now(),
    )
}

fn report(state: bool, database: bool, started_at: Timestamp, now: Timestamp) -> Report {
    let word = |up| if up { "ok" } else { "down" };
    let mut reasons = Vec::new();
    if !state {
        reasons.push("the daemon's own state does not answer".to_owned());
    }
    // What a peer signed before the daemon started is refused, and signatures count whole seconds.
    if now.as_second() <= started_at.as_second() {
        reasons.push("the daemon started within this second".to_owned());
    }
    Report {
        ready: reasons.is_empty(),
        reasons,
        state: word(state),
        database: word(database),
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, report};

    #[test]
    fn the_daemon_is_ready_without_its_site_database_but_not_without_its_state() {
        let started: Timestamp = "2026-11-21T10:00:00.9Z".parse().unwrap();
        let later: Timestamp = "2026-11-21T10:00:01Z".parse().unwrap();
        assert!(report(true, true, started, later).ready);
        let without_database = report(true, false, started, later);
        assert!(without_database.ready);
        assert_eq!(without_database.database, "down");
        assert!(!report(false, true, started, later).ready);
        assert!(!report(true, true, started, started).ready);
    }
}
