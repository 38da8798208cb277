//! The vectors of `docs/protocol.md`, for whoever writes a second implementation.

use std::collections::HashMap;

use super::super::{
    Answer, Input, OF_ANSWER, Presented, Request, Signature, base_of_answer, base_of_request,
    is_mac, sign_answer,
};
use super::{
    CONTENT_DIGEST, NONCE, NOW, PATH, SIGNATURE, SIGNATURE_INPUT, TOKEN, body, keys, name,
    signed_at,
};
use crate::base::secret::Secret;
use crate::model::connection::Direction;
use crate::wire::signing::{ConnectionKeys, RootKey, Seal};

/// Those of the page, by name.
fn published() -> HashMap<String, String> {
    let page = include_str!("../../../../../docs/protocol.md");
    let (_, rest) = page
        .split_once("```vectors\n")
        .expect("the page has vectors");
    let (block, _) = rest.split_once("```").expect("their end");
    let pairs = block.lines().filter_map(|line| line.split_once(" = "));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_published_vectors_are_what_this_program_computes() {
    let (keys, name, body) = (keys(), name(), body());
    let offered = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
    let second = ConnectionKeys::derive(&RootKey::from_offer(offered).unwrap(), 2);
    let root = RootKey::of_token(&Secret::new(TOKEN.to_owned()));
    let request = Request {
        method: "POST",
        path: PATH,
        connection: &name,
        body: &body,
    };
    let signed = signed_at(NOW);
    let of_request: HashMap<_, _> = signed.headers.into_iter().collect();
    let answer_body = br#"{"success":true,"tables":[]}"#;
    let answer = Answer {
        status: 200,
        connection: &name,
        request: signed.signature,
        body: answer_body,
    };
    let sender = keys.signing(Direction::Sender);
    let of_answer: HashMap<_, _> = sign_answer((sender, 1), &answer, NOW).into_iter().collect();
    let presented = Presented::read(|name| of_request.get(name).cloned())
        .unwrap()
        .unwrap();
    let request_base =
        base_of_request(&request, &of_request[CONTENT_DIGEST], &presented.parameters);
    let Input::Ours(parameters) = Input::read(&of_answer[SIGNATURE_INPUT], &OF_ANSWER) else {
        panic!("an answer's signature");
    };
    let answer_base = base_of_answer(&answer, &of_answer[CONTENT_DIGEST], &parameters);
    let seal = Seal::of_stream(sender, NONCE);
    // A `progress` frame, the second of its stream.
    let header = [5, 0, 1, 0, 0, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0];
    let payload = b"{\"rows\":0}".as_slice();
    let in_a_line = |text: &str| text.replace('\n', "\\n");
    let computed = [
        ("token", TOKEN.to_owned()),
        ("auth_token_hash", name.clone()),
        ("root key", root.to_text().expose().clone()),
        (
            "key: sign sender, generation 1",
            hex::encode(sender.expose()),
        ),
        (
            "key: sign receiver, generation 1",
            hex::encode(keys.signing(Direction::Receiver).expose()),
        ),
        ("key: row, generation 1", hex::encode(keys.row().expose())),
        ("key of generation 2, as offered", offered.to_owned()),
        (
            "key: sign sender, generation 2",
            hex::encode(second.signing(Direction::Sender).expose()),
        ),
        (
            "key: sign receiver, generation 2",
            hex::encode(second.signing(Direction::Receiver).expose()),
        ),
        ("key: row, generation 2", hex::encode(second.row().expose())),
        ("nonce", hex::encode(NONCE.0)),
        ("key: stream", hex::encode(seal.expose())),
        ("request body", String::from_utf8(body.clone()).unwrap()),
        ("request content-digest", of_request[CONTENT_DIGEST].clone()),
        ("request signature base", in_a_line(&request_base)),
        (
            "request signature-input",
            of_request[SIGNATURE_INPUT].clone(),
        ),
        ("request signature", of_request[SIGNATURE].clone()),
        (
            "answer body",
            String::from_utf8(answer_body.to_vec()).unwrap(),
        ),
        ("answer content-digest", of_answer[CONTENT_DIGEST].clone()),
        ("answer signature base", in_a_line(&answer_base)),
        ("answer signature-input", of_answer[SIGNATURE_INPUT].clone()),
        ("answer signature", of_answer[SIGNATURE].clone()),
        ("frame header", hex::encode(header)),
        (
            "frame payload",
            String::from_utf8(payload.to_vec()).unwrap(),
        ),
        (
            "frame authenticator",
            hex::encode(seal.of_frame(1, &header, [payload])),
        ),
    ];
    assert!(is_mac(
        sender,
        &answer_base,
        &Signature::read(&of_answer[SIGNATURE]).unwrap()
    ));
    let published = published();
    let listed: String = computed
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    for (name, value) in &computed {
        assert_eq!(
            published.get(*name),
            Some(value),
            "{name}; computed:\n{listed}"
        );
    }
    assert_eq!(published.len(), computed.len());
}
