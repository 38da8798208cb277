//! An approved peer that wants more than it was left with: to lift its own suspension, and to undo its revocation.
//!
//! Every word it can say is said to the real rules over HTTP, and to rules that are broken, where it helps.

use evenkeel::model::connection::{Connection, Direction, Status};
use evenkeel::model::standing::{Standing, Word};
use evenkeel::model::url::PeerUrl;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::attacks::signing::{LIST, giving};
use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::pair::connection;
use crate::support::signer::Key;

/// The highest that counts: beyond it a JSON number is no longer exact.
const HIGHEST: i64 = (1 << 53) - 1;

/// What a peer may say of itself, as if it had decided that often and seen so much.
fn words() -> Vec<Word> {
    let epochs = [0, 1, 2, 3, 1_000, HIGHEST];
    let seen = [0, 1, 2, 1_000];
    let pairs = epochs
        .iter()
        .flat_map(|epoch| seen.iter().map(move |seen| (*epoch, *seen)));
    pairs
        .map(|(epoch, seen_epoch)| Word {
            status: Status::Active,
            epoch,
            seen_epoch,
        })
        .collect()
}

/// Everything the peer can send, each with a body of its own.
fn attempts(key: &Key, stranger: &Stranger) -> Vec<(&'static str, Value)> {
    let url = stranger.url();
    let mut attempts = vec![
        (
            "update-status",
            json!({"sender_url": url, "status": "active"}),
        ),
        ("verify-connection", json!({"sender_url": url})),
        ("get-connection-status", json!({"receiver_url": url})),
    ];
    for word in words() {
        let said = json!({"status": "active", "epoch": word.epoch, "seen_epoch": word.seen_epoch});
        attempts.push((
            "update-status",
            json!({"sender_url": url, "status": "active", "evenkeel": said}),
        ));
        attempts.push((
            "verify-connection",
            json!({"sender_url": url, "evenkeel": said}),
        ));
        attempts.push((
            "get-connection-status",
            json!({"receiver_url": url, "evenkeel": said}),
        ));
    }
    let hello = json!({
        "protocol": 1, "site_id": "0192d1c8-3b7e-7000-8000-000000000002", "site_name": "hamburg",
        "version": "0.1.0", "receipt_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    });
    let mut wants = hello.clone();
    wants["wants"] = "receiver".into();
    wants["tables"] = json!(["notes"]);
    for evenkeel in [Value::Null, hello, wants] {
        let body = json!({
            "sender_url": url, "connection_name": "hamburg", "auth_token": key.token, "evenkeel": evenkeel,
        });
        attempts.push(("register-connection", body));
    }
    attempts.push(("delete-connection", json!({"sender_url": url})));
    attempts.push((
        "update-status",
        json!({"sender_url": url, "status": "active"}),
    ));
    attempts
}

/// Says all of it; how often that let the peer in again.
fn tried(site: &Site, key: &Key, stranger: &Stranger, status: &str) -> (usize, usize) {
    let (mut tries, mut successes) = (0, 0);
    for (at, (endpoint, body)) in attempts(key, stranger).into_iter().enumerate() {
        let nonce = u8::try_from(at).expect("small");
        let path = format!("/sync/api/{endpoint}");
        let request = key.sign(&path, &key.body(body), nonce, 0).0;
        let answer = site.peer(&request).expect("an answer");
        assert!(answer.status < 500, "{endpoint}: {}", answer.text());
        let row = connection(site, "hamburg");
        let asked = key.sign(LIST, &key.body(json!({})), nonce | 0x80, 0).0;
        let is_in = site.peer(&asked).expect("an answer").status == 200;
        tries += 1;
        successes += usize::from(is_in || row["local_status"] != status);
    }
    (tries, successes)
}

fn decide(site: &Site, verb: &str) {
    let row = connection(site, "hamburg");
    let target = format!("/connections/{}/{verb}", row["id"].as_str().expect("an id"));
    site.post(&target, &json!({})).expect(200);
}

#[test]
fn a_peer_lifts_no_suspension_and_undoes_no_revocation() {
    let (mut all, mut successes) = (0, 0);
    for (verb, status) in [("suspend", "suspended"), ("revoke", "revoked")] {
        let (site, [key, _], strangers) = giving();
        let asked = key.sign(LIST, &key.body(json!({})), 255, 0).0;
        site.peer(&asked).expect("an answer").expect(200);
        decide(&site, verb);
        let (tries, let_in) = tried(&site, &key, &strangers[0], status);
        (all, successes) = (all + tries, successes + let_in);
    }
    println!("a peer's own decisions: {all} attacks, {successes} succeeded");
    assert_eq!(successes, 0);
}

#[test]
fn where_the_peer_could_decide_the_same_words_would_let_it_in() {
    let url = PeerUrl::parse("https://hamburg.example.com").expect("a URL");
    let row = Connection::new(
        Direction::Sender,
        "hamburg".to_owned(),
        url,
        Timestamp::UNIX_EPOCH,
    );
    let began = Standing {
        epoch: 2,
        ..Standing::from(&row)
    };
    let weak = |standing: Standing, word: Word| Standing {
        local: word.status,
        ..standing.heard(word)
    };
    for local in [Status::Suspended, Status::Revoked] {
        let standing = Standing { local, ..began };
        let lifts = |rule: &dyn Fn(Standing, Word) -> Standing| {
            let lifted = |word: &Word| rule(standing, *word).status() == Status::Active;
            words().iter().filter(|word| lifted(word)).count()
        };
        assert_eq!(lifts(&Standing::heard), 0);
        assert!(lifts(&weak) > 10);
    }
}
