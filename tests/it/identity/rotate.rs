//! A key is changed while everything goes on, whatever is lost or killed in between.

use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::RootKey;
use serde_json::{Value, json};

use super::party::Party;
use super::{act, again, audited, claim, hello, registered, site, token};
use crate::admin::problem;
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::impostor::Impostor;
use crate::support::pair::{Pair, connection};
use crate::support::proxy::Link;
use crate::support::wait;

/// Two connected sites that heal quickly; the taker's requests to the giver go through a link.
fn pair() -> Pair {
    let source = Database::with(
        Kind::Sqlite,
        "create table notes (id integer primary key, body text);
         insert into notes values (1, 'one');",
    );
    let pair = Pair::builder(source, Database::empty(Kind::Sqlite))
        .giver("healing.interval", "1s")
        .taker("healing.interval", "1s")
        .start();
    pull(&pair);
    pair
}

fn pull(pair: &Pair) {
    pair.pull(&["notes", "--create", "--yes"]).completed();
}

fn rotate(site: &Site, name: &str) -> Value {
    act(site, &connection(site, name), "rotate", &json!({}))
        .expect(200)
        .json()
}

fn generations(pair: &Pair) -> [Value; 2] {
    [(&pair.giver, "paris"), (&pair.taker, "berlin")]
        .map(|(site, name)| connection(site, name)["key_generation"].clone())
}

fn both_sign_with(pair: &Pair, generation: u32) {
    wait::until("both sides sign with the new key", wait::LONG, || {
        (generations(pair) == [json!(generation), json!(generation)]).then_some(())
    });
    pull(pair);
}

/// What is kept of a second key of the taker.
fn second_keys(site: &Site) -> String {
    let state = site.folder().join("state.db");
    crate::support::sqlite::query(&state, "select count(*) from rotation")
}

#[test]
fn either_side_changes_the_key_and_both_go_on_with_it() {
    let pair = pair();
    assert_eq!(generations(&pair), [json!(1), json!(1)]);
    let row = rotate(&pair.taker, "berlin");
    assert_eq!(row["key_generation"], 2);
    both_sign_with(&pair, 2);
    let early = act(&pair.taker, &row, "rotate", &json!({}));
    if early.status != 200 {
        let words = problem(early, 409, "rotation")["detail"].clone();
        assert!(words.as_str().unwrap().contains("a moment ago"), "{words}");
    }
    wait::until(
        "the key before is gone from both states",
        wait::LONG,
        || {
            [&pair.giver, &pair.taker]
                .iter()
                .all(|site| second_keys(site) == "0")
                .then_some(())
        },
    );
    let command = pair.giver.cli(&["connections", "rotate", "paris"]);
    assert_eq!(command.code, 0, "{command:#?}");
    assert!(command.stderr.contains("sign with key"), "{command:#?}");
    both_sign_with(&pair, 3);
    for (site, name) in [(&pair.giver, "paris"), (&pair.taker, "berlin")] {
        let row = connection(site, name);
        assert_eq!(audited(site, "connection.rotated", &row).len(), 2);
        assert_eq!(audited(site, "connection.rotate", &row).len(), 1);
    }
}

#[test]
fn a_lost_answer_and_a_kill_at_any_moment_cost_nothing() {
    let mut pair = pair();
    // Asked by the taker, taken by the giver, and the answer lost.
    pair.link.set(Link::CutAfter(0));
    let row = rotate(&pair.taker, "berlin");
    assert_eq!(row["key_generation"], 1, "nobody answered");
    pair.taker.kill9();
    pair.taker.start();
    // From a call of the giver's the taker may know so, too, before anybody looks.
    wait::until("the giver has it", wait::LONG, || {
        (generations(&pair)[0] == json!(2)).then_some(())
    });
    pair.giver.kill9();
    pair.giver.start();
    pair.link.set(Link::Whole);
    both_sign_with(&pair, 2);
    wait::until(
        "the key before is gone from both states",
        wait::LONG,
        || {
            [&pair.giver, &pair.taker]
                .iter()
                .all(|site| second_keys(site) == "0")
                .then_some(())
        },
    );
    // Asked while the other is down.
    pair.giver.kill9();
    let row = rotate(&pair.taker, "berlin");
    assert_eq!(row["key_generation"], 2);
    pair.taker.kill9();
    pair.giver.start();
    pair.taker.start();
    both_sign_with(&pair, 3);
}

#[test]
fn while_the_answer_is_lost_the_two_sites_understand_each_other() {
    let pair = pair();
    pair.link.set(Link::CutAfter(0));
    rotate(&pair.taker, "berlin");
    wait::until("the giver has it", wait::LONG, || {
        (generations(&pair)[0] == json!(2)).then_some(())
    });
    // The giver signs with the new key already; hearing that, the taker knows that it arrived.
    let row = connection(&pair.giver, "paris");
    act(&pair.giver, &row, "suspend", &json!({})).expect(200);
    wait::until("the taker heard it", wait::LONG, || {
        let row = connection(&pair.taker, "berlin");
        (row["status"] == "suspended" && row["key_generation"] == 2).then_some(())
    });
    pair.link.set(Link::Whole);
    act(&pair.giver, &row, "reactivate", &json!({})).expect(200);
    wait::until("it goes on", wait::LONG, || {
        (connection(&pair.taker, "berlin")["status"] == "active").then_some(())
    });
    both_sign_with(&pair, 2);
}

#[test]
fn both_sides_at_once_agree_on_one_key() {
    for _ in 0..3 {
        let pair = pair();
        std::thread::scope(|scope| {
            for (site, name) in [(&pair.giver, "paris"), (&pair.taker, "berlin")] {
                let row = connection(site, name);
                scope.spawn(move || act(site, &row, "rotate", &json!({})));
            }
        });
        let ends = wait::until("both sides sign with one key", wait::LONG, || {
            let [one, other] = generations(&pair);
            let is_over = [&pair.giver, &pair.taker]
                .iter()
                .all(|site| second_keys(site) == "0");
            (one == other && one != 1 && is_over).then_some(one)
        });
        assert!(ends == 2 || ends == 3, "{ends}");
        pull(&pair);
    }
}

#[test]
fn the_key_before_is_refused_once_the_new_one_was_heard() {
    let taker = site("hq").start();
    let url = "http://127.0.0.1:9";
    let mut body = claim(url, "lyon", &token('a'));
    body["evenkeel"] = hello();
    let row = registered(&taker, &body);
    act(&taker, &row, "approve", &json!({"unproved": true})).expect(200);
    let mut old = Party::of(&token('a'), url, Direction::Sender);
    let next = RootKey::fresh().unwrap();
    let verify = |party: &mut Party| party.ask(&taker, "verify-connection", json!({}));
    verify(&mut old).expect(200);
    let taken = old.offer(&taker, 2, &next).expect(200).json();
    assert_eq!(taken["evenkeel"]["rotate"]["generation"], 2, "{taken}");
    // As when the answer was lost: the same again, with the old key and with the new.
    let mut new = old.with_key(&next, 2);
    for party in [&mut old, &mut new] {
        party.offer(&taker, 2, &next).expect(200);
    }
    assert_eq!(again(&taker, &row)["key_generation"], 2);
    verify(&mut old).expect(200);
    verify(&mut new).expect(200);
    let refused = wait::until("the key before is refused", wait::LONG, || {
        Some(verify(&mut old)).filter(|answer| answer.status == 401)
    });
    assert_eq!(refused.json()["error_code"], "signature_invalid");
    wait::until("and gone from the state", wait::LONG, || {
        (second_keys(&taker) == "0").then_some(())
    });
    verify(&mut new).expect(200);
    assert_eq!(audited(&taker, "connection.rotated", &row).len(), 1);
}

#[test]
fn an_unsigned_connection_has_no_key_to_change() {
    let (giver, builder) = (site("berlin").start(), site("hq"));
    let earlier = Impostor::of_earlier_version(builder.port());
    let taker = builder.reached_at(&earlier.url()).start();
    crate::support::pair::connect(&giver, &taker, &json!({"tables": ["notes"]}));
    let row = connection(&giver, "hq");
    let words = problem(act(&giver, &row, "rotate", &json!({})), 409, "rotation");
    assert!(
        words["detail"].as_str().unwrap().contains("not signed"),
        "{words}"
    );
    let command = giver.cli(&["connections", "rotate", "hq"]);
    assert_eq!(command.code, 4, "{command:#?}");
}
