//! Strangers who speak for two sites at once, and peers that say they are where others are.

use evenkeel::model::connection::Direction;
use serde_json::{Value, json};

use crate::attacks::identity::{Tries, approves, signing};
use crate::identity::party::Party;
use crate::identity::{again, claim, hello, registered, site, token};
use crate::support::daemon::Site;
use crate::support::pair::connection;

/// Registers one token at two sites, each time in the other's name: (at the first who asks, at the second who gives).
fn introduced(one: &Site, other: &Site, token: &str, evenkeel: bool) -> [Value; 2] {
    let mut asks = claim(&other.url(), "e", token);
    let mut gives = claim(&one.url(), "d", token);
    if evenkeel {
        asks["evenkeel"] = hello();
        asks["evenkeel"]["wants"] = "receiver".into();
        asks["evenkeel"]["tables"] = json!(["notes"]);
        gives["evenkeel"] = hello();
    }
    [registered(one, &asks), registered(other, &gives)]
}

#[test]
fn whoever_introduces_two_sites_by_a_token_of_his_own_is_nobody_to_both() {
    let tries = Tries::default();
    let (d, e) = (site("d").start(), site("e").start());
    let rows = introduced(&d, &e, &token('a'), true);
    for (site, row) in [(&d, &rows[0]), (&e, &rows[1])] {
        tries.attack(
            "approval of a stranger in another's name",
            !approves(site, row, &json!({})),
        );
        let now = again(site, row);
        assert_eq!(
            (&now["status"], &now["identity"]),
            (&json!("pending"), &json!("claimed"))
        );
    }
    // One side waived it: the other still has no proof.
    assert!(approves(&d, &rows[0], &json!({"unproved": true})));
    tries.attack(
        "approval beside a waived one",
        !approves(&e, &rows[1], &json!({})),
    );
    tries.attack(
        "a proof by the loop",
        again(&d, &rows[0])["identity"] == "claimed",
    );
    // The same without signing.
    let rows = introduced(&d, &e, &token('b'), false);
    tries.attack("the same unsigned", !approves(&e, &rows[1], &json!({})));
    // With no person at all.
    let (d, e) = (
        site("d").start(),
        site("e").with("incoming.mode", "auto_accept").start(),
    );
    let rows = introduced(&d, &e, &token('c'), true);
    crate::support::wait::until("the janitor has asked", crate::support::wait::LONG, || {
        e.log().contains("did not prove who it is").then_some(())
    });
    tries.attack("auto_accept", again(&e, &rows[1])["status"] == "pending");
    tries.unchecked(
        "an approval without proof",
        approves(&d, &rows[0], &json!({"unproved": true})),
    );
    tries.told("introductions");
}

#[test]
fn a_peer_that_says_it_moved_to_anothers_place_does_not_lock_him_out() {
    let site = site("d").start();
    let (token_of_mal, victim) = (token('a'), "http://127.0.0.1:9");
    let row = registered(&site, &signing("http://127.0.0.1:10", "mal", &token_of_mal));
    assert!(approves(&site, &row, &json!({"unproved": true})));
    let mut peer = Party::of(&token_of_mal, victim, Direction::Sender);
    peer.ask(&site, "verify-connection", json!({})).expect(200);
    let row = connection(&site, "mal");
    assert_eq!(
        (&row["url"], &row["identity"]),
        (&json!(victim), &json!("claimed"))
    );
    let made = registered(&site, &signing(victim, "honest", &token('b')));
    assert_eq!(made["status"], "pending");
}
