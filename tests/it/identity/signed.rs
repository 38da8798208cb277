//! `connect --require-signed`: signed or not at all.

use serde_json::json;

use super::site;
use crate::peer::stranger::Stranger;
use crate::support::impostor::Impostor;
use crate::support::pair::connection;
use crate::support::wait;

#[test]
fn a_peer_that_does_not_sign_is_given_nothing() {
    let giver = site("berlin").start();
    let offer = |url: &str, more: &[&str]| {
        giver.cli(&[&["connect", url, "--tables", "notes", "--name", "hq"], more].concat())
    };
    let phoenix = Stranger::start();
    let refused = offer(&phoenix.url(), &["--require-signed"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    for words in ["does not sign", "nothing stays"] {
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
    let undone = phoenix.heard("delete-connection");
    assert_eq!(undone[0]["auth_token_hash"], phoenix.token_hash());
    let builder = site("hq");
    let earlier = Impostor::of_earlier_version(builder.port());
    let taker = builder.reached_at(&earlier.url()).start();
    let refused = offer(&taker.url(), &["--require-signed"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert_eq!(connection(&taker, "berlin")["status"], "severed");
    assert_eq!(giver.get("/connections")["items"], json!([]));
    // Without the wish it is made; and one that signs is made with it.
    assert_eq!(offer(&phoenix.url(), &[]).code, 0);
    let signs = site("oslo").start();
    let made = giver.cli(&[
        "connect",
        &signs.url(),
        "--tables",
        "notes",
        "--name",
        "oslo",
        "--require-signed",
    ]);
    assert_eq!(made.code, 0, "{made:#?}");
    assert_eq!(connection(&giver, "oslo")["auth"], "signed");
}

#[test]
fn what_was_wished_holds_also_when_the_peer_answers_only_later() {
    let giver = site("berlin").start();
    let builder = site("hq");
    let earlier = Impostor::of_earlier_version(builder.port());
    let url = earlier.url();
    let made = giver.cli(&[
        "connect",
        &url,
        "--tables",
        "notes",
        "--name",
        "hq",
        "--require-signed",
    ]);
    assert_eq!(made.code, 0, "{made:#?}");
    let taker = builder.reached_at(&url).start();
    wait::until("it is refused", wait::LONG, || {
        giver.get("/connections")["items"]
            .as_array()
            .unwrap()
            .is_empty()
            .then_some(())
    });
    assert_eq!(connection(&taker, "berlin")["status"], "severed");
    let audit = giver.get("/audit?limit=200").to_string();
    assert!(audit.contains("does not sign"), "{audit}");
}
