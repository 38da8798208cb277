//! A site that moves takes its connections along, by its signature.

use evenkeel::model::connection::Direction;
use serde_json::{Value, json};

use super::party::Party;
use super::{act, again, ask, audited, claim, hash, hello, registered, site, token};
use crate::support::daemon::Site;
use crate::support::pair::{connect, connection, pull};
use crate::support::proxy::Proxy;
use crate::support::wait;

/// Changes `site.url` as an operator does, and starts the site anew.
fn move_to(site: &mut Site, url: &str) {
    site.stop();
    let text = std::fs::read_to_string(site.config()).unwrap();
    let mut settings: toml::Table = text.parse().unwrap();
    let section = settings["site"].as_table_mut().unwrap();
    section.insert("url".to_owned(), url.into());
    std::fs::write(site.config(), settings.to_string()).unwrap();
    site.start();
}

#[test]
fn a_site_whose_url_changed_is_followed_and_proved_there_by_itself() {
    let (mut giver, mut taker) = (site("berlin").start(), site("paris").start());
    connect(&giver, &taker, &json!({"tables": ["notes"]}));
    pull(&taker, "berlin", &["notes"]).completed();
    let ends = [giver.url(), taker.url()].map(|url| {
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Proxy::to(port)
    });
    let [giver_end, taker_end] = &ends;
    move_to(&mut giver, &giver_end.url());
    let moved = |site: &Site, name: &str, url: &str| {
        let row = wait::until("the move is known", wait::LONG, || {
            let row = connection(site, name);
            (row["url"] == url && row["identity"] == "proved").then_some(row)
        });
        assert_eq!(row["status"], "active", "{row}");
        let told = audited(site, "connection.moved", &row);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(told[0]["actor"], format!("peer:{name}"));
        assert_eq!(told[0]["address"], "127.0.0.1");
    };
    moved(&taker, "berlin", &giver_end.url());
    let before = giver_end.passed();
    pull(&taker, "berlin", &["notes"]).completed();
    assert!(giver_end.passed() > before, "it is called at its new place");
    move_to(&mut taker, &taker_end.url());
    moved(&giver, "paris", &taker_end.url());
    pull(&taker, "berlin", &["notes"]).completed();
    assert_eq!(taker.cli(&["status"]).code, 0);
}

/// A site with an approved connection to a party that the test plays.
fn approved() -> (Site, Value, Party) {
    let taker = site("hq").start();
    let url = "http://127.0.0.1:9";
    let mut body = claim(url, "lyon", &token('a'));
    body["evenkeel"] = hello();
    let row = registered(&taker, &body);
    act(&taker, &row, "approve", &json!({"unproved": true})).expect(200);
    let party = Party::of(&token('a'), url, Direction::Sender);
    (taker, row, party)
}

#[test]
fn a_peer_that_moved_and_does_not_answer_there_is_told() {
    let (taker, row, mut party) = approved();
    party.url = "http://127.0.0.1:10".to_owned();
    party
        .ask(&taker, "verify-connection", json!({}))
        .expect(200);
    let moved = again(&taker, &row);
    assert_eq!(moved["url"], "http://127.0.0.1:10");
    assert_eq!(moved["identity"], "claimed");
    assert_eq!(
        moved["status"], "active",
        "its signature lets it in, wherever it is"
    );
    let told = wait::until("it is told", wait::LONG, || {
        let told = taker.cli(&["--json", "status"]).stdout;
        told.contains("connection_unproved").then_some(told)
    });
    assert!(told.contains("127.0.0.1:10"), "{told}");
    // It moves back, and again, with whatever it says next.
    party.url = "http://127.0.0.1:9/shop/".to_owned();
    party
        .ask(&taker, "verify-connection", json!({}))
        .expect(200);
    assert_eq!(again(&taker, &row)["url"], "http://127.0.0.1:9/shop");
    assert_eq!(audited(&taker, "connection.moved", &row).len(), 2);
}

#[test]
fn a_place_that_must_not_be_called_is_none_to_move_to() {
    let (taker, row, mut party) = approved();
    for url in [
        "http://10.0.0.1",
        "https://192.168.7.7",
        "http://93.184.216.34",
        "http://[::ffff:10.0.0.1]",
        "https://0x0a000001",
        "https://user:word@example.com",
        "ftp://example.com",
        "nowhere",
        &taker.url(),
    ] {
        party.url = url.to_owned();
        party
            .ask(&taker, "verify-connection", json!({}))
            .expect(200);
        assert_eq!(again(&taker, &row)["url"], "http://127.0.0.1:9", "{url}");
    }
    assert!(audited(&taker, "connection.moved", &row).is_empty());
}

#[test]
fn nobody_moves_a_connection_without_its_signature() {
    let (taker, row, party) = approved();
    let elsewhere = |auth_token_hash: String| {
        let body = json!({
            "sender_url": "http://127.0.0.1:10", "auth_token_hash": auth_token_hash,
            "status": "suspended",
        });
        ["verify-connection", "update-status", "delete-connection"]
            .map(|endpoint| ask(&taker, endpoint, &body).status)
    };
    // Under another URL than its own, the name of a signed connection is not even known.
    assert_eq!(elsewhere(hash(&token('a'))), [404; 3]);
    let unsigned = registered(&taker, &claim("http://127.0.0.1:11", "oslo", &token('b')));
    act(&taker, &unsigned, "approve", &json!({"unproved": true})).expect(200);
    assert_eq!(elsewhere(hash(&token('b'))), [404; 3]);
    for (row, url) in [
        (&row, party.url.as_str()),
        (&unsigned, "http://127.0.0.1:11"),
    ] {
        assert_eq!(again(&taker, row)["url"], url);
    }
}
