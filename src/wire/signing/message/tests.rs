//! Every way of passing for somebody else: refused by the checks, and let in by each set of checks that lacks the one
//! against it. Beside them the published vectors.

mod vectors;

use std::collections::HashMap;

use super::{
    Answer, CHECKS, CONNECTION, CONTENT_DIGEST, Check, Presented, Proof, Received, Request,
    SIGNATURE, SIGNATURE_INPUT, Signed, is_of_the_body, is_signed, is_since_start, is_timely,
    names_its_connection, sign_answer, sign_request, verify_answer,
};
use crate::base::secret::{Secret, token_hash};
use crate::model::connection::Direction;
use crate::wire::signing::{ConnectionKeys, Nonce, RootKey, SignatureCode};

const TOKEN: &str = "3q2-796tvu_erb7v3q2-796tvu_erb7v3q2-796tvu8";
const NOW: i64 = 1_763_740_800;
const STARTED: i64 = NOW - 3_600;
const NONCE: Nonce = Nonce([7; 16]);
const PATH: &str = "/sync/api/list-tables";

fn keys_of(token: &str) -> ConnectionKeys {
    ConnectionKeys::derive(&RootKey::of_token(&Secret::new(token.to_owned())), 1)
}

fn keys() -> ConnectionKeys {
    keys_of(TOKEN)
}

fn name() -> String {
    token_hash(TOKEN).expose().clone()
}

fn body() -> Vec<u8> {
    format!("{{\"auth_token_hash\":\"{}\"}}", name()).into_bytes()
}

/// The receiver's request, as it arrives at the sender.
struct Sent {
    method: &'static str,
    path: String,
    headers: HashMap<&'static str, String>,
    body: Vec<u8>,
    /// When it arrives.
    now: i64,
    /// When the sender's daemon started.
    started: i64,
    /// The keys and the name of the connection that it is taken for.
    taken_for: (ConnectionKeys, String),
}

fn signed_at(created: i64) -> Signed {
    let (keys, name, body) = (keys(), name(), body());
    let request = Request {
        method: "POST",
        path: PATH,
        connection: &name,
        body: &body,
    };
    let key = (keys.signing(Direction::Receiver), 1);
    sign_request(key, &request, created, NONCE)
}

fn sent() -> Sent {
    Sent {
        method: "POST",
        path: PATH.to_owned(),
        headers: signed_at(NOW).headers.into_iter().collect(),
        body: body(),
        now: NOW,
        started: STARTED,
        taken_for: (keys(), name()),
    }
}

/// Whether `checks` let the request in.
fn judge(sent: &Sent, checks: &[Check]) -> Result<(), SignatureCode> {
    let presented = Presented::read(|name| sent.headers.get(name).cloned())
        .map_err(|fault| fault.code)?
        .ok_or(SignatureCode::Missing)?;
    let (keys, name) = &sent.taken_for;
    let received = Received {
        presented: &presented,
        request: Request {
            method: sent.method,
            path: &sent.path,
            connection: name,
            body: &sent.body,
        },
        key: keys.signing(Direction::Receiver),
        now: sent.now,
        started: sent.started,
    };
    received.pass(checks).map_err(|fault| fault.code)
}

fn without(left_out: Check) -> Vec<Check> {
    let is_other = |check: &Check| !std::ptr::fn_addr_eq(*check, left_out);
    let rest: Vec<Check> = CHECKS.into_iter().filter(is_other).collect();
    assert_eq!(rest.len(), CHECKS.len() - 1);
    rest
}

#[test]
fn each_attack_is_refused_and_gets_in_where_its_check_is_left_out() {
    use SignatureCode::{Expired, Invalid};
    type Attack = (&'static str, SignatureCode, Check, fn(&mut Sent));
    let attacks: [Attack; 12] = [
        ("an altered body", Invalid, is_of_the_body, |sent| {
            sent.body.push(b' ');
        }),
        (
            "an altered body with its own digest",
            Invalid,
            is_signed,
            |sent| {
                sent.body.push(b' ');
                let digest = super::content_digest(&sent.body);
                sent.headers.insert(CONTENT_DIGEST, digest);
            },
        ),
        ("another endpoint", Invalid, is_signed, |sent| {
            sent.path = "/sync/api/delete-connection".to_owned();
        }),
        ("another prefix", Invalid, is_signed, |sent| {
            sent.path = format!("/phoenix_kit{PATH}");
        }),
        ("another method", Invalid, is_signed, |sent| {
            sent.method = "PUT";
        }),
        (
            "another connection's name",
            Invalid,
            names_its_connection,
            |sent| {
                sent.taken_for.1 = "0".repeat(64);
                // Its name is covered, so this attacker has the key as well.
                let (keys, name, body) = (keys(), "0".repeat(64), body());
                let request = Request {
                    method: "POST",
                    path: PATH,
                    connection: &name,
                    body: &body,
                };
                let key = (keys.signing(Direction::Receiver), 1);
                let mut headers: HashMap<_, _> = sign_request(key, &request, NOW, NONCE)
                    .headers
                    .into_iter()
                    .collect();
                headers.insert(CONNECTION, self::name());
                sent.headers = headers;
            },
        ),
        ("another connection's key", Invalid, is_signed, |sent| {
            sent.taken_for.0 = keys_of("a token of another connection");
        }),
        ("our own words sent back", Invalid, is_signed, |sent| {
            let (keys, name, body) = (keys(), name(), body());
            let request = Request {
                method: "POST",
                path: PATH,
                connection: &name,
                body: &body,
            };
            let key = (keys.signing(Direction::Sender), 1);
            sent.headers = sign_request(key, &request, NOW, NONCE)
                .headers
                .into_iter()
                .collect();
        }),
        ("a time made younger", Invalid, is_signed, |sent| {
            let input = &sent.headers[SIGNATURE_INPUT];
            let later = input.replace(&NOW.to_string(), &(NOW + 9).to_string());
            sent.headers.insert(SIGNATURE_INPUT, later);
        }),
        ("a clock that is late", Expired, is_timely, |sent| {
            sent.now = NOW + 61;
        }),
        ("a clock that is early", Expired, is_timely, |sent| {
            sent.now = NOW - 61;
        }),
        ("before a restart", Expired, is_since_start, |sent| {
            sent.started = NOW;
        }),
    ];
    assert_eq!(judge(&sent(), &CHECKS), Ok(()));
    for (name, expected, check, attack) in attacks {
        let mut sent = sent();
        attack(&mut sent);
        assert_eq!(judge(&sent, &CHECKS), Err(expected), "{name}");
        let weakened = without(check);
        assert_eq!(judge(&sent, &weakened), Ok(()), "{name}, weakened");
    }
}

#[test]
fn two_clocks_may_be_a_minute_apart() {
    for (now, expected) in [
        (NOW - 60, Ok(())),
        (NOW, Ok(())),
        (NOW + 60, Ok(())),
        (NOW - 61, Err(SignatureCode::Expired)),
        (NOW + 61, Err(SignatureCode::Expired)),
    ] {
        let sent = Sent { now, ..sent() };
        assert_eq!(judge(&sent, &CHECKS), expected, "{}", now - NOW);
    }
}

#[test]
fn only_the_one_form_of_the_headers_is_read() {
    type Change = (&'static str, fn(&mut HashMap<&'static str, String>));
    let changes: [Change; 13] = [
        ("no signature", |headers| drop(headers.remove(SIGNATURE))),
        ("no digest", |headers| drop(headers.remove(CONTENT_DIGEST))),
        ("no name", |headers| drop(headers.remove(CONNECTION))),
        ("a component less", |headers| {
            edit(headers, "\"@path\" ", "");
        }),
        ("a component more", |headers| {
            edit(headers, "\"@path\"", "\"@path\" \"date\"");
        }),
        ("another order", |headers| {
            edit(headers, "\"@method\" \"@path\"", "\"@path\" \"@method\"");
        }),
        ("a component's parameter", |headers| {
            edit(headers, "\"@path\"", "\"@path\";tr");
        }),
        ("no expiry", |headers| {
            edit(headers, &format!(";expires={}", NOW + 60), "");
        }),
        ("another algorithm", |headers| {
            edit(headers, "hmac-sha256", "none");
        }),
        ("a parameter more", |headers| {
            edit(headers, ";alg=", ";tag=\"x\";alg=");
        }),
        ("a parameter twice", |headers| {
            edit(headers, ";created=", ";created=1;created=");
        }),
        ("a generation written otherwise", |headers| {
            edit(headers, ".1\"", ".01\"");
        }),
        ("no structured field", |headers| {
            edit(headers, "evenkeel=", "evenkeel==");
        }),
    ];
    for (name, change) in changes {
        let mut sent = sent();
        change(&mut sent.headers);
        assert_eq!(judge(&sent, &CHECKS), Err(SignatureCode::Invalid), "{name}");
    }
    let mut others = sent();
    edit(
        &mut others.headers,
        "evenkeel=",
        "proxy=(\"@method\");created=1, evenkeel=",
    );
    let both = format!("proxy=:AAAA:, {}", others.headers[SIGNATURE]);
    others.headers.insert(SIGNATURE, both);
    assert_eq!(judge(&others, &CHECKS), Ok(()));
    edit(&mut others.headers, "evenkeel=", "other=");
    assert_eq!(judge(&others, &CHECKS), Err(SignatureCode::Missing));
}

fn edit(headers: &mut HashMap<&'static str, String>, from: &str, to: &str) {
    let input = &headers[SIGNATURE_INPUT];
    let edited = input.replacen(from, to, 1);
    assert_ne!(*input, edited);
    headers.insert(SIGNATURE_INPUT, edited);
}

#[test]
fn an_answer_holds_only_as_it_was_given_to_the_request_it_was_given_to() {
    let (keys, name, body) = (keys(), name(), br#"{"success":true}"#.as_slice());
    let request = signed_at(NOW).signature;
    let answer = Answer {
        status: 200,
        connection: &name,
        request,
        body,
    };
    let key = (keys.signing(Direction::Sender), 1);
    let headers: HashMap<_, _> = sign_answer(key, &answer, NOW).into_iter().collect();
    let proof =
        |key, answer: &Answer<'_>| verify_answer(key, answer, |name| headers.get(name).cloned());
    assert_eq!(proof(key, &answer), Proof::Holds);
    let other_request = signed_at(NOW + 1).signature;
    let zero = "0".repeat(64);
    for (case, altered) in [
        (
            "status",
            Answer {
                status: 404,
                ..answer
            },
        ),
        (
            "body",
            Answer {
                body: b"{}",
                ..answer
            },
        ),
        (
            "request",
            Answer {
                request: other_request,
                ..answer
            },
        ),
        (
            "connection",
            Answer {
                connection: &zero,
                ..answer
            },
        ),
    ] {
        assert_eq!(proof(key, &altered), Proof::Wrong, "{case}");
    }
    let of_receiver = (keys.signing(Direction::Receiver), 1);
    assert_eq!(proof(of_receiver, &answer), Proof::Wrong);
    assert_eq!(proof((key.0, 2), &answer), Proof::Wrong);
    assert_eq!(verify_answer(key, &answer, |_| None), Proof::Missing);
    // A request's signature is none of an answer.
    let of_request: HashMap<_, _> = signed_at(NOW).headers.into_iter().collect();
    let replayed = verify_answer(key, &answer, |name| of_request.get(name).cloned());
    assert_eq!(replayed, Proof::Wrong);
}
