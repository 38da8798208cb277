//! `GET /metrics`: what a Prometheus server scrapes.
//!
//! Counts here, or reads the state; never asks a site database or a peer. Invariant: labels are words of this program,
//! never names of tables, connections or sites.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::Audience;
use crate::api::problem::Problem;
use crate::model::connection::Direction;
use crate::model::trouble::{Event, Trouble};
use crate::store::{ListPage, RunFilter, StoreError};
use crate::sync::healing::Healing;
use crate::sync::serve::{Ending, Sessions};
use crate::sync::{Certificates, Ctx, status};

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// As many of each kind are looked at for one answer.
const MOST: u32 = 10_000;

type Label = (&'static str, String);
type Gauges = Family<[Label; 1], Gauge>;

/// What the listeners of this process have seen so far.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: Family<[Label; 3], Counter>,
    open: Gauges,
    turned_away: Family<[Label; 1], Counter>,
}

/// A connection that is open; counted out when dropped.
pub(super) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Traffic {
    /// The one of this process: listeners come and go, counters must only grow.
    pub(super) fn of_process() -> &'static Self {
        static TRAFFIC: LazyLock<Traffic> = LazyLock::new(Traffic::default);
        &TRAFFIC
    }

    pub(super) fn opened(&self, audience: Audience) -> Open {
        let open = self
            .open
            .get_or_create_owned(&[label("listener", audience)]);
        open.inc();
        Open(open)
    }

    pub(super) fn turned_away(&self, audience: Audience) {
        self.turned_away
            .get_or_create(&[label("listener", audience)])
            .inc();
    }

    fn answered(&self, audience: Audience, method: &Method, status: u16) {
        let labels = [
            label("listener", audience),
            label("method", known_method(method)),
            label("status", status),
        ];
        self.requests.get_or_create(&labels).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_connections", "Open connections", self.open.clone());
        registry.register(
            "http_connections_refused",
            "Connections closed at once because too many were open",
            self.turned_away.clone(),
        );
    }
}

/// Counts a request once it is answered.
pub(super) async fn count_requests(
    State(audience): State<Audience>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    Traffic::of_process().answered(audience, &method, response.status().as_u16());
    response
}

/// `GET /metrics`
pub(super) async fn show(State(ctx): State<Arc<Ctx>>) -> Response {
    let mut registry = Registry::with_prefix("evenkeel");
    registry.register(
        "build",
        "The program that runs",
        Info::new([label("version", env!("CARGO_PKG_VERSION"))]),
    );
    Traffic::of_process().register(&mut registry);
    Healing::of_process().register(&mut registry);
    register_certificates(&ctx.certificates, &mut registry);
    register_sessions(&ctx.sessions, &mut registry);
    let state = Gauge::<i64>::default();
    match register_state(&ctx, &mut registry, Timestamp::now()).await {
        Ok(()) => drop(state.set(1)),
        Err(err) => tracing::error!(%err, "the state cannot be read for /metrics"),
    }
    registry.register("state_up", "1 when the state answers", state);
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(err) => Problem::internal(&err).into_response(),
    }
}

fn register_certificates(certificates: &Certificates, registry: &mut Registry) {
    let expiry = Gauges::default();
    for (audience, shown) in [
        (Audience::Peers, &certificates.server),
        (Audience::People, &certificates.admin),
    ] {
        if let Some(shown) = shown {
            let gauge = expiry.get_or_create_owned(&[label("listener", audience)]);
            gauge.set(shown.current().expires_at().as_second());
        }
    }
    registry.register(
        "certificate_expires_seconds",
        "When the certificate of a listener expires, in seconds since 1970",
        expiry,
    );
}

/// Every ending is there, so that a rule over one has something to compare with.
fn register_sessions(sessions: &Sessions, registry: &mut Registry) {
    let held = Gauge::<i64>::default();
    held.set(i64::try_from(sessions.held()).unwrap_or(i64::MAX));
    registry.register("sessions", "Sessions that peers hold", held);
    let (ended, counted) = (Family::<[Label; 1], Counter>::default(), sessions.endings());
    for &ending in Ending::ALL {
        let counter = ended.get_or_create_owned(&[label("ending", ending)]);
        counter.inc_by(counted.get(&ending).copied().unwrap_or_default());
    }
    registry.register("sessions_ended", "Sessions that ended, by why", ended);
}

async fn register_state(
    ctx: &Ctx,
    registry: &mut Registry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (connections, rows, bytes) = (Gauges::default(), Gauges::default(), Gauges::default());
    let mut moved: BTreeMap<&str, (u64, u64)> = [("receive", (0, 0)), ("send", (0, 0))].into();
    for connection in ctx.store.connections(first(MOST)).await? {
        let status = [label("status", connection.status())];
        connections.get_or_create(&status).inc();
        let direction = match connection.direction {
            Direction::Sender => "send",
            Direction::Receiver => "receive",
        };
        let sums = moved.entry(direction).or_default();
        sums.0 = sums.0.saturating_add(connection.totals.rows);
        sums.1 = sums.1.saturating_add(connection.totals.bytes);
    }
    for (direction, sums) in moved {
        let labels = [label("direction", direction)];
        rows.get_or_create(&labels).set(clamped(sums.0));
        bytes.get_or_create(&labels).set(clamped(sums.1));
    }
    let runs = Gauges::default();
    let filter = RunFilter {
        since: now.checked_sub(SignedDuration::from_hours(24)).ok(),
        ..RunFilter::default()
    };
    for run in ctx.store.runs(&filter, first(MOST)).await? {
        runs.get_or_create(&[label("status", run.status)]).inc();
    }
    registry.register(
        "connections",
        "Connections by effective status",
        connections,
    );
    registry.register("runs", "Runs of the last 24 hours by status", runs);
    registry.register(
        "status",
        "What `evenkeel status` tells, by event",
        troubles(&status::status(ctx, now).await?),
    );
    registry.register(
        "transferred_rows",
        "Rows moved over the present connections",
        rows,
    );
    registry.register(
        "transferred_bytes",
        "Bytes moved over the present connections",
        bytes,
    );
    Ok(())
}

/// Every kind is there, so that a rule over one has something to compare with.
fn troubles(told: &[Trouble]) -> Gauges {
    let gauges = Gauges::default();
    for &event in Event::ALL {
        let count = told.iter().filter(|trouble| trouble.event == event).count();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        gauges.get_or_create(&[label("event", event)]).set(count);
    }
    gauges
}

fn first<Id>(limit: u32) -> ListPage<Id> {
    ListPage {
        limit,
        before: None,
    }
}

fn label(name: &'static str, value: impl fmt::Display) -> Label {
    (name, value.to_string())
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stranger may invent methods, but not labels.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::{Audience, Method, Registry, Traffic};

    #[test]
    fn traffic_is_counted_by_listener_and_an_invented_method_makes_no_label() {
        let traffic = Traffic::default();
        let open = traffic.opened(Audience::Peers);
        traffic.answered(Audience::People, &Method::from_bytes(b"EVIL").unwrap(), 405);
        let text = || {
            let mut registry = Registry::default();
            traffic.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(text().contains("http_connections{listener=\"peer\"} 1"));
        assert!(
            text().contains(
                "http_requests_total{listener=\"admin\",method=\"other\",status=\"405\"} 1"
            )
        );
        drop(open);
        assert!(text().contains("http_connections{listener=\"peer\"} 0"));
    }
}
