//! Attacks on signed connections: whoever does not have the key, or has an old message, gets nothing.

use evenkeel::model::connection::Direction;
use evenkeel::wire::frame::{FrameKind, FrameReader, MEDIA_TYPE};
use evenkeel::wire::signing::{Nonce, Proof, Seal, Signed};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::pair::connection;
use crate::support::signer::Key;
use crate::support::sqlite;

pub(super) const LIST: &str = "/sync/api/list-tables";

/// A site that gives `notes` to two strangers who sign, and what they sign with.
pub(super) fn giving() -> (Site, [Key; 2], [Stranger; 2]) {
    let site = Site::builder("berlin")
        .sqlite(|path| {
            sqlite::execute(
                path,
                "create table notes (id integer primary key, body text);
                 insert into notes values (1, 'one'), (2, 'two');",
            );
        })
        .start();
    let strangers = [Stranger::signing(), Stranger::signing()];
    for (stranger, name) in strangers.iter().zip(["hamburg", "oslo"]) {
        let offer = json!({"url": stranger.url(), "name": name, "grant": {"tables": ["notes"]}});
        let made = site.post("/connections", &offer).expect(201).json();
        assert_eq!(
            (&made["auth"], &made["status"]),
            (&json!("signed"), &json!("active")),
            "{made}"
        );
    }
    let keys = [0, 1].map(|at| Key::of(strangers[at].token()));
    (site, keys, strangers)
}

/// The refusal of a request that must get in nowhere.
fn refused(site: &Site, request: &Request, code: &str, attack: &str) -> Value {
    let answer = site.peer(request).expect("an answer");
    let body = answer.json();
    assert_eq!(answer.status, 401, "{attack}: {body}");
    assert_eq!(
        (&body["success"], &body["error"], &body["error_code"]),
        (&json!(false), &json!("Invalid signature"), &json!(code)),
        "{attack}: {body}"
    );
    body
}

#[test]
fn nobody_gets_in_without_the_key_or_with_an_old_message() {
    let (mut site, [key, other], _strangers) = giving();
    let body = key.body(json!({}));
    let mut nonce = 0;
    let mut sign = |path: &str, body: &Value, age: i64| {
        nonce += 1;
        key.sign(path, body, nonce, age)
    };
    let (request, signed) = sign(LIST, &body, 0);
    let answer = site.peer(&request).unwrap().expect(200);
    assert_eq!(answer.json()["tables"][0]["name"], "notes");
    assert_eq!(key.verifies(&signed, &answer), Proof::Holds);

    let mut tries = 0;
    let mut attack = |name: &str, request: &Request, code: &str| {
        tries += 1;
        refused(&site, request, code, name)
    };
    attack("the same again", &request, "signature_replayed");
    for endpoint in [
        "list-tables",
        "table-schema",
        "table-records",
        "pull-data",
        "get-connection-status",
    ] {
        let filled = key.body(json!({"table_name": "notes", "receiver_url": "http://127.0.0.1"}));
        let plain = Request::new("POST", &format!("/sync/api/{endpoint}")).json(&filled);
        attack("no signature", &plain, "signature_missing");
        let prefixed =
            Request::new("POST", &format!("/phoenix_kit/sync/api/{endpoint}")).json(&filled);
        attack("no signature, elsewhere", &prefixed, "signature_missing");
    }
    for endpoint in ["verify-connection", "update-status", "delete-connection"] {
        let url = site.get("/connections")["items"][1]["url"].clone();
        let filled = key.body(json!({"sender_url": url, "status": "suspended"}));
        let plain = Request::new("POST", &format!("/sync/api/{endpoint}")).json(&filled);
        attack("no signature, for a decision", &plain, "signature_missing");
    }
    let moved = |request: &(Request, Signed), path: &str, body: Vec<u8>| {
        let mut moved = Request::new("POST", path).body(body);
        for (name, value) in &request.1.headers {
            moved = moved.header(name, value);
        }
        moved
    };
    let fresh = sign(LIST, &body, 0);
    let text = body.to_string().into_bytes();
    let altered = [text.as_slice(), b" "].concat();
    attack(
        "an altered body",
        &moved(&fresh, LIST, altered),
        "signature_invalid",
    );
    for path in [
        "/phoenix_kit/sync/api/list-tables",
        "/sync/api/get-connection-status",
    ] {
        attack(
            "another endpoint",
            &moved(&fresh, path, text.clone()),
            "signature_invalid",
        );
    }
    let others = key.sign(LIST, &other.body(json!({})), 200, 0).0;
    attack(
        "another connection's name in the body",
        &others,
        "signature_invalid",
    );
    let stolen = Key {
        token: other.token.clone(),
        name: key.name.clone(),
        keys: other.keys.clone(),
    };
    let stolen = stolen.sign(LIST, &body, 201, 0).0;
    attack("another connection's key", &stolen, "signature_invalid");
    // Whoever has the state, or heard an unsigned registration's hash, has the name alone.
    let by_name = Key {
        name: key.name.clone(),
        ..Key::of(key.name.clone())
    };
    attack(
        "the hash as the token",
        &by_name.sign(LIST, &body, 202, 0).0,
        "signature_invalid",
    );
    for age in [61, 3_600, -120] {
        let answer = attack(
            "a clock that is wrong",
            &sign(LIST, &body, age).0,
            "signature_expired",
        );
        let told: Timestamp = answer["server_time"].as_str().unwrap().parse().unwrap();
        assert!(
            Timestamp::now().duration_since(told).as_secs() < 60,
            "{answer}"
        );
    }
    let (before, _) = sign(LIST, &body, 0);
    site.peer(&before).unwrap().expect(200);
    site.restart();
    let attack = |name: &str, request: &Request, code: &str| refused(&site, request, code, name);
    attack("a replay after a restart", &before, "signature_expired");
    site.peer(&sign(LIST, &body, 0).0).unwrap().expect(200);
    println!("signed requests: {} attacks, 0 succeeded", tries + 1);
}

#[test]
fn a_signed_connection_never_falls_back() {
    let (site, [_, _], _strangers) = giving();
    let key = Key::of("t".repeat(43));
    let hello = json!({
        "protocol": 1, "site_id": "0192d1c8-3b7e-7000-8000-000000000003", "site_name": "lyon",
        "version": "0.1.0", "receipt_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    });
    let register = |token: &str, evenkeel: Option<&Value>| {
        let mut body = json!({
            "sender_url": "http://127.0.0.1:9", "connection_name": "lyon", "auth_token": token,
        });
        if let Some(evenkeel) = evenkeel {
            body["evenkeel"] = evenkeel.clone();
        }
        let request = Request::new("POST", "/sync/api/register-connection").json(&body);
        site.peer(&request).expect("an answer")
    };
    let made = register(&key.token, Some(&hello)).expect(200).json();
    assert!(made["evenkeel"]["receipt_key"].is_string(), "{made}");
    // The same without signing, and with half of it.
    let mut without = hello.clone();
    without["receipt_key"] = Value::Null;
    for evenkeel in [None, Some(&without)] {
        let again = register(&key.token, evenkeel).expect(200).json();
        assert_eq!(again["connection_uuid"], made["connection_uuid"]);
        let row = connection(&site, "lyon");
        assert_eq!(
            (&row["auth"], &row["status"]),
            (&json!("signed"), &json!("pending"))
        );
    }
    let mut malformed = hello.clone();
    malformed["receipt_key"] = "AAAA".into();
    let refusal = register(&"u".repeat(43), Some(&malformed))
        .expect(400)
        .json();
    assert!(
        refusal["error"].as_str().unwrap().contains("receipt_key"),
        "{refusal}"
    );
    // A site that does not sign is recorded so, told so, and its row stands apart.
    let unsigned = register(&"v".repeat(43), Some(&without)).expect(200).json();
    assert_ne!(unsigned["connection_uuid"], made["connection_uuid"]);
    assert!(unsigned["evenkeel"]["receipt_key"].is_null(), "{unsigned}");
    assert_eq!(connection(&site, "lyon-2")["auth"], "token_hash");
    assert_eq!(connection(&site, "lyon")["auth"], "signed");
    // And the signed row still hears nobody who does not sign.
    let verify = key.body(json!({"sender_url": "http://127.0.0.1:9"}));
    let plain = Request::new("POST", "/sync/api/verify-connection").json(&verify);
    refused(
        &site,
        &plain,
        "signature_missing",
        "after the registrations",
    );
    let listed = site.cli(&["connections"]).stdout;
    assert!(
        listed.contains("token_hash") && listed.contains("signed"),
        "{listed}"
    );
}

#[test]
fn frames_of_a_signed_connection_are_sealed_for_the_request_that_asked() {
    let (site, [key, _], _strangers) = giving();
    let (request, _) = key.sign(
        "/sync/api/pull-data",
        &key.body(json!({"table_name": "notes"})),
        1,
        0,
    );
    let answer = site
        .peer(&request.header("accept", MEDIA_TYPE))
        .unwrap()
        .expect(200);
    let read = |nonce: u8| {
        let seal = Seal::of_stream(key.keys.signing(Direction::Sender), Nonce([nonce; 16]));
        let mut reader = FrameReader::sealed_by(Some(seal));
        reader.push(&answer.body);
        let mut kinds = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            kinds.push(frame.kind);
        }
        Ok::<_, evenkeel::wire::frame::FrameError>(kinds)
    };
    assert_eq!(
        read(1),
        Ok(vec![FrameKind::Head, FrameKind::Rows, FrameKind::End])
    );
    assert!(read(2).is_err());
}
