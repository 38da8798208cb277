//! The healing loop: what two sites think of their connection agrees again by itself.

mod kill;
mod many;
mod restored;
mod unknown;

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::Request;
use crate::support::pair::{Pair, PairBuilder, connection};
use crate::support::wait;

/// The counter of the exchanges that the healing loop made.
const EXCHANGED: &str = "evenkeel_healing_repairs_total{repair=\"exchange\",outcome=\"done\"}";

/// Two sites that exchange how they stand every second.
fn pair() -> PairBuilder {
    let source = Database::with(Kind::Sqlite, "create table orders (id integer primary key)");
    Pair::builder(source, Database::empty(Kind::Sqlite))
        .giver("healing.interval", "1s")
        .taker("healing.interval", "1s")
}

/// Decides about the connection to `other`.
fn decide(site: &Site, other: &Site, decision: &str) {
    let id = connection(site, other.name())["id"].clone();
    let target = format!("/connections/{}/{decision}", id.as_str().unwrap());
    site.post(&target, &json!({})).expect(200);
}

/// The effective status of the connection to `other`.
fn status(site: &Site, other: &Site) -> String {
    let status = connection(site, other.name())["status"].clone();
    status.as_str().unwrap().to_owned()
}

fn becomes(site: &Site, other: &Site, expected: &str) -> Value {
    wait::until(expected, wait::LONG, || {
        let row = connection(site, other.name());
        (row["status"] == expected).then_some(row)
    })
}

fn metrics(site: &Site) -> String {
    let request = Request::new("GET", "/metrics");
    request
        .send(&site.socket())
        .expect("an answer")
        .expect(200)
        .text()
}

/// Whether the audit of `site` has such an entry, by the healing loop.
fn healed(site: &Site, action: &str) -> bool {
    let audit = site.get("/audit?limit=200");
    let mut items = audit["items"].as_array().unwrap().iter();
    items.any(|entry| entry["action"] == action && entry["actor"] == "healer")
}

#[test]
fn a_decision_arrives_at_a_site_that_was_down() {
    let mut pair = pair().start();
    pair.taker.kill9();
    decide(&pair.giver, &pair.taker, "suspend");
    pair.taker.start();
    becomes(&pair.taker, &pair.giver, "suspended");
    wait::until("the audit says so", wait::LONG, || {
        let audit = pair.giver.get("/audit?limit=200").to_string();
        audit.contains("connection.told").then_some(())
    });
    pair.giver.kill9();
    decide(&pair.taker, &pair.giver, "revoke");
    pair.giver.start();
    let ended = becomes(&pair.giver, &pair.taker, "severed");
    assert_eq!(ended["local_status"], "suspended");
    assert_eq!(
        ended["status_reason"],
        "revoked by the peer's administrator"
    );
}

#[test]
fn a_rejection_is_seen_by_the_site_that_offered() {
    let taker = Site::builder("paris").sqlite(|_| {}).start();
    let giver = Site::builder("berlin").sqlite(|_| {}).start();
    let offer = json!({"url": taker.url(), "name": "paris", "grant": {"tables": "*"}});
    giver.post("/connections", &offer).expect(201);
    decide(&taker, &giver, "reject");
    let ended = becomes(&giver, &taker, "severed");
    assert_eq!(
        ended["status_reason"],
        "rejected by the peer's administrator"
    );
}

/// Whoever of the two asks first answers for both: it is always the same one where their passes keep their distance, so
/// that either of the two may be the one that finds nothing to do.
#[test]
fn doing_nothing_shows_in_the_metrics() {
    let pair = pair().start();
    let either_tells = |is_it: fn(&str) -> bool| {
        let mut sites = [&pair.giver, &pair.taker].into_iter();
        sites.any(|site| is_it(&metrics(site))).then_some(())
    };
    wait::until("a pass found the connection well", wait::LONG, || {
        either_tells(|told| {
            told.contains("evenkeel_healing_connections{state=\"well\"} 1")
                && told.contains("evenkeel_healing_last_pass_seconds")
                && !told.contains("evenkeel_healing_idle_passes_total 0\n")
        })
    });
    wait::until("one of them asked the other", wait::LONG, || {
        either_tells(|told| told.contains(EXCHANGED))
    });
}
