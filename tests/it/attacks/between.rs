//! Whoever sits between two sites that sign changes nothing of what they say.

use evenkeel::wire::frame::RowSum;
use serde_json::json;

use crate::attacks::sender::Victim;
use crate::support::daemon::Site;
use crate::support::impostor::{Alteration, Impostor};
use crate::support::pair::{connect, connection, pull};
use crate::support::{sqlite, wait};

/// The bytes of each frame in a body.
fn frames(body: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = body;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (frame, behind) = rest.split_at(20 + usize::try_from(length).unwrap() + 16);
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

#[test]
fn whoever_sits_between_two_sites_changes_nothing() {
    let fill = |path: &std::path::Path| {
        sqlite::execute(
            path,
            "create table notes (id integer primary key, body text)",
        );
    };
    let builder = Site::builder("berlin").sqlite(|path| {
        sqlite::execute(
            path,
            "create table notes (id integer primary key, body text);
             insert into notes values (1, 'one'), (2, 'two');",
        );
    });
    let impostor = Impostor::before(builder.port());
    let giver = builder.with("site.url", impostor.url()).start();
    let taker = Site::builder("paris")
        .sqlite(fill)
        .with("runs.give_up_after", "1s")
        .start();
    connect(&giver, &taker, &json!({"tables": "*"}));
    for site in [&giver, &taker] {
        assert_eq!(site.get("/connections")["items"][0]["auth"], "signed");
    }
    let attacks: [(&str, &'static str, Alteration); 9] = [
        ("an altered answer", "open-session", |answer| {
            let text = String::from_utf8(answer.body.clone()).unwrap();
            answer.body = text.replace("\"body\"", "\"Body\"").into_bytes();
        }),
        (
            "an answer without its signature",
            "open-session",
            |answer| {
                answer.headers.retain(|(name, _)| name != "signature-input");
            },
        ),
        ("a refusal of his own", "open-session", |answer| {
            answer.status = 403;
            answer
                .headers
                .retain(|(name, _)| !name.starts_with("signature"));
            answer.body = br#"{"success":false,"error":"Connection is not active"}"#.to_vec();
        }),
        (
            "another status on the same answer",
            "open-session",
            |answer| answer.status = 201,
        ),
        ("an altered row", "pull-data", |answer| {
            let mut frames = frames(&answer.body);
            let at = frames[1]
                .windows(3)
                .position(|bytes| bytes == b"two")
                .unwrap();
            frames[1][at] = b'T';
            answer.body = frames.concat();
        }),
        ("a frame left out", "pull-data", |answer| {
            let mut frames = frames(&answer.body);
            frames.remove(1);
            frames[1].splice(16..20, 1_u32.to_le_bytes());
            answer.body = frames.concat();
        }),
        ("frames that changed places", "pull-data", |answer| {
            let mut frames = frames(&answer.body);
            frames.swap(0, 1);
            for (at, frame) in (0_u32..).zip(&mut frames) {
                frame.splice(16..20, at.to_le_bytes());
            }
            answer.body = frames.concat();
        }),
        ("frames without authenticators", "pull-data", |answer| {
            let mut frames = frames(&answer.body);
            for frame in &mut frames {
                frame.truncate(frame.len() - 16);
            }
            answer.body = frames.concat();
        }),
        ("rows as JSON instead", "open-session", |answer| {
            answer.headers.retain(|(name, _)| name != "content-digest");
        }),
    ];
    let tries = attacks.len();
    for (name, endpoint, attack) in attacks {
        impostor.alter(endpoint, attack);
        let run = pull(&taker, "berlin", &["notes"]).run;
        // The last frame that is short of its authenticator waits for more that never comes.
        let code = run["error"]["code"].as_str().unwrap_or_default();
        assert!(
            ["peer_unproved", "stream_cut"].contains(&code),
            "{name}: {run:#}"
        );
        assert_eq!(run["status"], "failed", "{name}: {run:#}");
        let rows = sqlite::query(&taker.site_database(), "select count(*) from notes");
        assert_eq!(rows, "0", "{name}");
    }
    impostor.answer("nothing", b"");
    pull(&taker, "berlin", &["notes"]).completed();
    println!("between two sites: {tries} attacks, 0 succeeded");
    // A decision crosses as well, and is taken because it is signed.
    let id = connection(&giver, "paris")["id"].clone();
    let target = format!("/connections/{}/suspend", id.as_str().unwrap());
    giver.post(&target, &json!({})).expect(200);
    wait::until("the taker heard of it", wait::LONG, || {
        (connection(&taker, "berlin")["status"] == "suspended").then_some(())
    });
}

/// The frames of an unsigned stream, which end with their payloads.
fn unsealed(body: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = body;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (frame, behind) = rest.split_at(20 + usize::try_from(length).unwrap());
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

#[test]
fn between_two_sites_that_do_not_sign_he_changes_what_he_likes() {
    let victim = Victim::start();
    victim.impostor.alter("table-schema", |answer| {
        answer.status = 403;
        answer.body = br#"{"success":false,"error":"Connection is not active"}"#.to_vec();
    });
    let run = pull(&victim.taker, "berlin", &["notes"]).run;
    assert_eq!(run["error"]["code"], "connection_not_active", "{run:#}");
    victim.impostor.alter("pull-data", |answer| {
        let mut frames = unsealed(&answer.body);
        // The only field of the only row is its key, 1, at the end of the frame.
        *frames[1].last_mut().unwrap() = 77;
        let mut sum = RowSum::default();
        sum.add(&frames[1][20..]);
        frames[2].truncate(20);
        frames[2].extend(sum.rows.to_le_bytes());
        frames[2].extend(sum.sum.to_le_bytes());
        answer.body = frames.concat();
    });
    pull(&victim.taker, "berlin", &["notes"]).completed();
    let rows = sqlite::query(
        &victim.taker.site_database(),
        "select id from notes order by id",
    );
    assert_eq!(rows, "1\n77");
}
