//! Attacks on who a peer is: whoever claims another's URL, forges the answer that proves it, or offers a key that is not
//! the peer's to offer, gets nothing. Beside them the same where nothing is checked, to show that they would work.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::RootKey;
use serde_json::{Value, json};

use crate::identity::party::Party;
use crate::identity::{act, again, ask, claim, hello, registered, site, token};
use crate::support::daemon::Site;
use crate::support::pair::connection;

/// Counts what was tried.
#[derive(Default)]
pub(super) struct Tries {
    refused: Cell<u32>,
    let_in: Cell<u32>,
}

impl Tries {
    /// An attack, which must not succeed.
    pub(super) fn attack(&self, what: &str, is_refused: bool) {
        assert!(is_refused, "{what} succeeded");
        self.refused.set(self.refused.get() + 1);
    }

    /// The same where the check is missing, which must succeed: else the attack shows nothing.
    pub(super) fn unchecked(&self, what: &str, succeeds: bool) {
        assert!(
            succeeds,
            "{what} does not even succeed where nothing is checked"
        );
        self.let_in.set(self.let_in.get() + 1);
    }

    pub(super) fn told(&self, of: &str) {
        let (refused, let_in) = (self.refused.get(), self.let_in.get());
        println!(
            "{of}: {refused} attacks, 0 succeeded; {let_in} of {let_in} succeed where the check is missing"
        );
    }
}

pub(super) fn signing(url: &str, name: &str, token: &str) -> Value {
    let mut body = claim(url, name, token);
    body["evenkeel"] = hello();
    body
}

pub(super) fn approves(taker: &Site, row: &Value, body: &Value) -> bool {
    act(taker, row, "approve", body).status == 200
}

/// A web server at a loopback port that answers `status` as the API does and everything else with these bytes.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut asked = [0; 4_096];
            let length = client.read(&mut asked).unwrap_or(0);
            let status = http(
                "200 OK",
                "",
                r#"{"enabled":true,"incoming_mode":"auto_accept"}"#,
            );
            let is_status = asked[..length].starts_with(b"GET ");
            let answer = if is_status { &status } else { &answer };
            // Whoever asks may go away at any time.
            drop(client.write_all(answer.as_bytes()));
        }
    });
    url
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn nobody_passes_for_another_site() {
    let tries = Tries::default();
    let (victim, taker) = (site("berlin").start(), site("hq").start());
    let offer = json!({"url": taker.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    victim.post("/connections", &offer).expect(201);
    let honest = connection(&taker, "berlin");
    // A stranger registers the same URL: before, after, with and without signing, in the honest one's name.
    let strangers = [
        registered(&taker, &signing(&victim.url(), "berlin", &token('a'))),
        registered(&taker, &claim(&victim.url(), "berlin", &token('b'))),
        registered(
            &taker,
            &claim(&format!("{}/", victim.url()), "berlin", &token('c')),
        ),
    ];
    for stranger in &strangers {
        tries.attack("taking over a row", stranger["id"] != honest["id"]);
        tries.attack(
            "a claim of another's URL",
            !approves(&taker, stranger, &json!({})),
        );
    }
    // Its own peer says how it stands now and then; a list leaves the keys out.
    let but_contact = |mut row: Value| {
        row["last_contact_at"] = Value::Null;
        row["receipt_keys"] = Value::Null;
        row
    };
    tries.attack(
        "touching the honest row",
        but_contact(again(&taker, &honest)) == but_contact(honest.clone()),
    );
    assert!(approves(&taker, &honest, &json!({})));
    tries.attack(
        "replacing an approved site",
        ask(
            &taker,
            "register-connection",
            &signing(&victim.url(), "berlin", &token('d')),
        )
        .status
            == 409,
    );
    tries.attack(
        "an unsigned registration of a signed URL",
        ask(
            &taker,
            "register-connection",
            &claim(&victim.url(), "berlin", &token('e')),
        )
        .status
            == 409
            && again(&taker, &honest)["auth"] == "signed",
    );
    let waived = json!({"unproved": true});
    tries.unchecked(
        "a claim of another's URL",
        approves(&taker, &strangers[0], &waived),
    );
    tries.told("strangers");
}

#[test]
fn no_forged_answer_proves_a_url() {
    let tries = Tries::default();
    let taker = site("hq").start();
    let yes = r#"{"success":true,"exists":true}"#;
    let signature = "signature: evenkeel=:kKCvvH23tEbzZx48nSyc3NzOJQkILFj59fqcA90a/yw=:\r\n";
    let honest = site("oslo").start();
    let elsewhere = format!("location: {}/sync/api/verify-connection\r\n", honest.url());
    let answers = [
        ("yes without a signature", http("200 OK", "", yes)),
        (
            "yes with somebody's signature",
            http("200 OK", signature, yes),
        ),
        ("created", http("201 Created", "", yes)),
        ("a redirect", http("307 Elsewhere", &elsewhere, yes)),
        ("a redirect by GET", http("303 Elsewhere", &elsewhere, yes)),
        ("no in words of yes", http("404 Not found", "", yes)),
        (
            "no",
            http("404 Not found", "", r#"{"success":false,"exists":false}"#),
        ),
        ("an error", http("500 Oh", "", yes)),
        ("nothing", http("200 OK", "", "")),
        ("no HTTP", "yes\r\n\r\n".to_owned()),
    ];
    for (at, (what, answer)) in answers.into_iter().enumerate() {
        let url = answering(answer);
        let token = format!("{at:a>43}");
        let row = registered(&taker, &signing(&url, "lyon", &token));
        tries.attack(what, !approves(&taker, &row, &json!({})));
        assert_eq!(again(&taker, &row)["identity"], "claimed", "{what}");
        if what == "yes without a signature" {
            // Where nothing is signed, whoever answers at the URL is the site there.
            let row = registered(&taker, &claim(&url, "lyon", &format!("{at:b>43}")));
            tries.unchecked(what, approves(&taker, &row, &json!({})));
        }
    }
    // Our own listeners, by whatever name: they answer, and prove nothing.
    let port = taker.url().rsplit(':').next().unwrap().to_owned();
    let row = registered(
        &taker,
        &signing(&format!("http://localhost:{port}"), "self", &token('x')),
    );
    tries.attack(
        "this site itself, by name",
        !approves(&taker, &row, &json!({})),
    );
    tries.told("forged answers");
}

#[test]
fn no_spelling_of_a_forbidden_address_is_called() {
    let tries = Tries::default();
    let strict = site("hq").start();
    let networks = ["0.0.0.0/0", "::/0"].map(toml::Value::from).to_vec();
    let open = site("open")
        .with("outgoing.allowed_networks", networks)
        .start();
    for (at, url) in [
        "http://10.0.0.1",
        "https://172.16.0.1",
        "https://192.168.1.1",
        "https://169.254.169.254",
        "https://100.64.0.1",
        "https://0x0a.0.0.1",
        "https://167772161",
        "https://012.0.0.1",
        "https://10.1",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://[::ffff:a00:1]",
        "https://[fe80::1]",
        "https://[fc00::1]",
        "https://[2002:a00:1::1]",
        "https://[2001:0:a00:1::1]",
        "https://0.0.0.0",
        "https://255.255.255.255",
    ]
    .into_iter()
    .enumerate()
    {
        let body = signing(url, "lyon", &format!("{at:a>43}"));
        let refused = ask(&strict, "register-connection", &body);
        tries.attack(url, refused.status == 400);
        let taken = ask(&open, "register-connection", &body);
        tries.unchecked(url, taken.status == 200);
    }
    let own = strict.url();
    for url in [
        own.as_str(),
        "http://user:word@127.0.0.1:9",
        "ftp://127.0.0.1",
    ] {
        let refused = ask(
            &strict,
            "register-connection",
            &signing(url, "lyon", &token('y')),
        );
        tries.attack(url, refused.status == 400);
    }
    tries.told("spellings of addresses");
}

#[test]
fn nobody_but_the_peer_changes_a_key_and_only_to_the_next() {
    let tries = Tries::default();
    let mut taker = site("hq").start();
    let url = "http://127.0.0.1:9";
    let row = registered(&taker, &signing(url, "lyon", &token('a')));
    let other = registered(&taker, &signing("http://127.0.0.1:10", "oslo", &token('b')));
    let plain = registered(&taker, &claim("http://127.0.0.1:11", "rome", &token('c')));
    for row in [&row, &other, &plain] {
        assert!(approves(&taker, row, &json!({"unproved": true})));
    }
    let mut peer = Party::of(&token('a'), url, Direction::Sender);
    let key = RootKey::fresh().unwrap();
    let rotate = |generation: u32, key: &RootKey| json!({"evenkeel": {"rotate": {"generation": generation, "key": key.to_offer().expose()}}});
    let generation = |taker: &Site, row: &Value| again(taker, row)["key_generation"].clone();
    let offer = peer.body(rotate(2, &key));
    let unchanged = |taker: &Site, what: &str, status: u16, expected: u16| {
        tries.attack(what, status == expected && generation(taker, &row) == 1);
    };
    let sent = ask(&taker, "verify-connection", &offer).status;
    unchanged(&taker, "an offer that nobody signed", sent, 401);
    // The taker's own words, sent back to it.
    let (reflected, _) = peer.sign_as(Direction::Receiver, "verify-connection", &offer);
    let sent = taker.peer(&reflected).unwrap().status;
    unchanged(&taker, "an offer signed by the other side's key", sent, 401);
    let mut oslo = Party::of(&token('b'), url, Direction::Sender);
    let (others, _) = oslo.sign_as(Direction::Sender, "verify-connection", &offer);
    let sent = taker.peer(&others).unwrap().status;
    unchanged(&taker, "an offer signed for another connection", sent, 401);
    let mut itself = peer.with_key(&key, 2);
    let sent = itself.offer(&taker, 2, &key).status;
    unchanged(&taker, "an offer signed with the key it brings", sent, 401);
    for generation in [0, 1, 3, u32::MAX] {
        let sent = peer.offer(&taker, generation, &key).status;
        unchanged(&taker, "another generation than the next", sent, 409);
    }
    for rotate in [
        json!(7),
        json!({"generation": 2}),
        json!({"generation": 2, "key": "AAAA"}),
        json!({"generation": -2, "key": key.to_offer().expose()}),
        json!({"generation": 2, "key": format!("{}=", key.to_offer().expose())}),
    ] {
        let fields = json!({"evenkeel": {"rotate": rotate}});
        let sent = peer.ask(&taker, "verify-connection", fields).status;
        unchanged(&taker, "what is no key", sent, 400);
    }
    let rome = json!({
        "sender_url": "http://127.0.0.1:11",
        "auth_token_hash": crate::identity::hash(&token('c')),
        "evenkeel": rotate(2, &key)["evenkeel"],
    });
    let answer = ask(&taker, "verify-connection", &rome).expect(200).json();
    tries.attack(
        "an offer on an unsigned connection",
        answer["evenkeel"].is_null() && generation(&taker, &plain).is_null(),
    );

    // The right one, and then again: at once, after a restart, and another in its place.
    let (right, _) = peer.sign_as(Direction::Sender, "verify-connection", &offer);
    tries.unchecked(
        "an offer that the peer signed",
        taker.peer(&right).unwrap().status == 200,
    );
    assert_eq!(generation(&taker, &row), 2);
    let replayed = taker.peer(&right).unwrap();
    tries.attack(
        "an offer sent again",
        replayed.json()["error_code"] == "signature_replayed",
    );
    let another = RootKey::fresh().unwrap();
    let answer = peer.offer(&taker, 2, &another);
    tries.attack("another key of the same generation", answer.status == 409);
    let skipping = peer.offer(&taker, 3, &another);
    tries.attack(
        "the key after, signed with the one before",
        skipping.status == 409,
    );
    taker.restart();
    let replayed = taker.peer(&right).unwrap();
    tries.attack(
        "an offer sent again after a restart",
        replayed.status == 401,
    );
    let mut next = peer.with_key(&key, 2);
    next.ask(&taker, "verify-connection", json!({})).expect(200);
    assert_eq!(generation(&taker, &row), 2);
    tries.told("keys");
}
