//! What signing and verifying cost a request: the requester signs it, the site that is asked verifies it and remembers
//! its nonce, signs its answer, and the requester verifies that.
//!
//! `cargo bench --bench signing [-- REQUESTS]`; 20,000 requests with bodies of 100 bytes and answers of 1,000.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use evenkeel::base::secret::{Secret, new_token, token_hash};
use evenkeel::model::connection::Direction;
use evenkeel::model::id::ConnectionId;
use evenkeel::wire::signing::{
    Answer, CHECKS, ConnectionKeys, Nonce, NonceBounds, Presented, Proof, Received, Remembered,
    Request, RootKey, SeenNonces, sign_answer, sign_request, verify_answer,
};

/// Below this, by `measures`.
const TO_REACH: Duration = Duration::from_micros(100);
const NOW: i64 = 1_763_740_800;

fn main() {
    let requests: u32 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(20_000);
    let token = new_token().unwrap();
    let (name, root) = (
        token_hash(token.expose()),
        RootKey::of_token(&token).to_text(),
    );
    let mut seen = SeenNonces::new(NonceBounds {
        per_connection: 1 << 24,
        in_total: 1 << 24,
    });
    let id = ConnectionId::generate();
    let begun = Instant::now();
    for number in 0..requests {
        exchange(&name, &root, number, &mut |nonce| {
            let remembered = seen.remember(id, nonce, NOW + 60, NOW);
            assert_eq!(remembered, Remembered::New);
        });
    }
    let each = begun.elapsed() / requests.max(1);
    println!(
        "one request and its answer, both signed and verified: {:.1} microseconds; to reach: below {}",
        each.as_secs_f64() * 1e6,
        TO_REACH.as_micros()
    );
    assert!(each < TO_REACH, "more than to reach");
}

/// One request and its answer. Both sides derive the keys anew, as the daemon does.
fn exchange(
    name: &Secret<String>,
    root: &Secret<String>,
    number: u32,
    remember: &mut dyn FnMut(Nonce),
) {
    let keys = || ConnectionKeys::derive(&RootKey::from_text(root).unwrap(), 1);
    let (ours, theirs) = (keys(), keys());
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&number.to_le_bytes());
    let (body, told) = ([b'x'; 100], [b'y'; 1_000]);
    let request = Request {
        method: "POST",
        path: "/sync/api/list-tables",
        connection: name.expose(),
        body: &body,
    };
    let key = (ours.signing(Direction::Receiver), 1);
    let signed = sign_request(key, &request, NOW, Nonce(nonce));
    let headers: HashMap<_, _> = signed.headers.into_iter().collect();
    let presented = Presented::read(|name| headers.get(name).cloned())
        .unwrap()
        .unwrap();
    let received = Received {
        presented: &presented,
        request,
        key: theirs.signing(Direction::Receiver),
        now: NOW,
        started: NOW - 1,
    };
    received.pass(&CHECKS).unwrap();
    remember(presented.nonce);
    let answer = Answer {
        status: 200,
        connection: name.expose(),
        request: presented.signature,
        body: &told,
    };
    let key = (theirs.signing(Direction::Sender), 1);
    let headers: HashMap<_, _> = sign_answer(key, &answer, NOW).into_iter().collect();
    let key = (ours.signing(Direction::Sender), 1);
    let proof = verify_answer(key, &answer, |name| headers.get(name).cloned());
    assert_eq!(black_box(proof), Proof::Holds);
}
