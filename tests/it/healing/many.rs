//! Many peers, a good part of them dead: the living are seen to on time.

use serde_json::{Value, json};

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::proxy::{Link, Proxy};
use crate::support::wait;

const LIVING: usize = 12;
/// More than the loop asks at the same time.
const DEAD: usize = 40;

#[test]
fn peers_that_fall_silent_delay_no_others() {
    let stranger = Stranger::start();
    let port = stranger.url().rsplit(':').next().unwrap().parse().unwrap();
    let link = Proxy::to(port);
    let site = Site::builder("berlin")
        .sqlite(|_| {})
        .with("healing.interval", "1s")
        .start();
    for (url, count) in [(link.url(), DEAD), (stranger.url(), LIVING)] {
        for _ in 0..count {
            let offer = json!({"url": url, "grant": {"tables": "*"}});
            site.post("/connections", &offer).expect(201);
        }
    }
    link.set(Link::StallAfter(0));
    let begin = jiff::Timestamp::now();
    let rows = || -> Vec<Value> {
        let all = site.get("/connections?limit=200");
        all["items"].as_array().unwrap().clone()
    };
    let seen_to = |row: &Value, seconds: i64| {
        let at: Option<jiff::Timestamp> = row["last_contact_at"].as_str().unwrap().parse().ok();
        at.is_some_and(|at| at >= begin + jiff::SignedDuration::from_secs(seconds))
    };
    // Nobody who was asked has an answer before half a minute is over: by then the living were seen to twice.
    let took = wait::until("the living were seen to", wait::LONG, || {
        let mut living = rows()
            .into_iter()
            .filter(|row| row["url"] == stranger.url());
        living
            .all(|row| seen_to(&row, 11))
            .then(jiff::Timestamp::now)
    });
    assert!(
        took.duration_since(begin) < jiff::SignedDuration::from_secs(28),
        "{}",
        took - begin
    );
    wait::until("the dead are told", wait::LONG, || {
        let dead = rows().into_iter().filter(|row| row["url"] == link.url());
        let silent = dead.filter(|row| row["unreachable_since"].is_string());
        (silent.count() == DEAD).then_some(())
    });
}
