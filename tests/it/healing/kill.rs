//! Either daemon is killed while something is decided: after one loop both sides agree.
//!
//! The moments are random, drawn from a printed seed; `EVENKEEL_TEST_SEED` repeats them.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};
use crate::support::wait;

const ROUNDS: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Register,
    Approve,
    Suspend,
    Revoke,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Giver,
    Taker,
}

#[test]
fn whoever_is_killed_when_both_sides_agree_after_one_loop() {
    let given = std::env::var_os("EVENKEEL_TEST_SEED");
    let given = given.and_then(|seed| seed.to_str()?.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut seed = given.unwrap_or(u64::from(now.subsec_nanos())).max(1);
    println!("kill trials of decisions: EVENKEEL_TEST_SEED={seed}");
    let site = |name| {
        Site::builder(name)
            .sqlite(|_| {})
            .with("healing.interval", "1s")
            .start()
    };
    let (mut giver, mut taker) = (site("berlin"), site("paris"));
    let mut trials = 0;
    for _ in 0..ROUNDS {
        for step in [
            Step::Register,
            Step::Approve,
            Step::Suspend,
            Step::Revoke,
            Step::Delete,
        ] {
            for victim in [Victim::Giver, Victim::Taker] {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let moment = Duration::from_micros((seed >> 33) % 30_000);
                trial(&mut giver, &mut taker, (step, victim), moment);
                trials += 1;
            }
        }
    }
    println!("kill trials of decisions: {trials}, all agree after one loop");
}

fn trial(giver: &mut Site, taker: &mut Site, (step, victim): (Step, Victim), moment: Duration) {
    let note = format!("{step:?}, {victim:?} killed after {moment:?}");
    if step != Step::Register {
        register(giver, taker);
    }
    if !matches!(step, Step::Register | Step::Approve) {
        approve(giver, taker);
    }
    let ask = call(giver, taker, step);
    let asked = thread::spawn(ask);
    let begun = Instant::now();
    wait::until("the moment has come", wait::LONG, || {
        (begun.elapsed() >= moment).then_some(())
    });
    match victim {
        Victim::Giver => giver.kill9(),
        Victim::Taker => taker.kill9(),
    }
    let answer = asked.join().unwrap();
    match victim {
        Victim::Giver => giver.start(),
        Victim::Taker => taker.start(),
    }
    let is_done = answer.is_some_and(|answer| answer.status < 300);
    let agreed = wait::until(&format!("both agree: {note}"), wait::LONG, || {
        let statuses = [status(giver, taker), status(taker, giver)];
        (statuses[0] == statuses[1] && (!is_done || statuses[0] == after(step)))
            .then_some(statuses[0])
    });
    println!(
        "{note}: {}, {agreed}",
        if is_done { "done" } else { "not answered" }
    );
    clear(giver, taker);
}

/// What a step leads to that was done.
fn after(step: Step) -> &'static str {
    match step {
        Step::Register => "pending",
        Step::Approve => "active",
        Step::Suspend => "suspended",
        Step::Revoke | Step::Delete => "over",
    }
}

/// The one connection of `site` to `other`, if there is one.
fn row(site: &Site, other: &Site) -> Option<Value> {
    let all = site.get("/connections");
    let mut items = all["items"].as_array()?.iter();
    items.find(|row| row["url"] == other.url()).cloned()
}

fn status(site: &Site, other: &Site) -> &'static str {
    let row = row(site, other).unwrap_or_default();
    match row["status"].as_str() {
        Some("pending") => "pending",
        Some("active") => "active",
        Some("suspended") => "suspended",
        _ => "over",
    }
}

fn target(site: &Site, other: &Site, verb: &str) -> String {
    let row = row(site, other).expect("a connection");
    format!("/connections/{}{verb}", row["id"].as_str().unwrap())
}

fn offer(taker: &Site) -> Value {
    json!({"url": taker.url(), "name": "paris", "grant": {"tables": "*"}})
}

fn register(giver: &Site, taker: &Site) {
    giver.post("/connections", &offer(taker)).expect(201);
}

fn approve(giver: &Site, taker: &Site) {
    taker
        .post(&target(taker, giver, "/approve"), &json!({}))
        .expect(200);
    wait::until("the connection is active", wait::LONG, || {
        (status(giver, taker) == "active").then_some(())
    });
}

/// What is asked, of whoever decides it, and may find nobody any more.
fn call(giver: &Site, taker: &Site, step: Step) -> impl FnOnce() -> Option<Answer> + Send + use<> {
    let (site, method, target, body) = match step {
        Step::Register => (giver, "POST", "/connections".to_owned(), offer(taker)),
        Step::Approve => (taker, "POST", target(taker, giver, "/approve"), json!({})),
        Step::Suspend => (giver, "POST", target(giver, taker, "/suspend"), json!({})),
        Step::Revoke => (taker, "POST", target(taker, giver, "/revoke"), json!({})),
        Step::Delete => (giver, "DELETE", target(giver, taker, ""), json!({})),
    };
    let authorization = format!("Bearer {}", site.token());
    let address = site.admin_address();
    let request = Request::new(method, &format!("/api/v1{target}"))
        .header("authorization", &authorization)
        .json(&body);
    move || request.send(&address).ok()
}

/// Neither knows of the connection any more; a registration that was under way may come to nothing.
fn clear(giver: &Site, taker: &Site) {
    for (site, other) in [(giver, taker), (taker, giver)] {
        if row(site, other).is_some() {
            site.admin("DELETE", &target(site, other, ""), None);
        }
    }
}
