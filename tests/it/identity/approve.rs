//! Nobody is let in by the word of a stranger: the site at the URL has to answer.

use serde_json::json;

use super::{act, again, audited, claim, hash, hello, registered, site, token};
use crate::admin::problem;
use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::http::{Address, Request};
use crate::support::impostor::Impostor;
use crate::support::pair::connection;
use crate::support::proxy::{Link, Proxy};
use crate::support::wait;

/// `giver` offers its table to `taker`; the row there.
fn offered(giver: &Site, taker: &Site) -> serde_json::Value {
    let offer = json!({"url": taker.url(), "name": taker.name(), "grant": {"tables": ["notes"]}});
    giver.post("/connections", &offer).expect(201);
    connection(taker, giver.name())
}

#[test]
fn a_site_that_answers_at_its_url_is_let_in_and_shown_as_proved() {
    for signs in [true, false] {
        let (giver, builder) = (site("berlin").start(), site("hq"));
        let earlier = Impostor::of_earlier_version(builder.port());
        let taker = match signs {
            true => builder.start(),
            false => builder.reached_at(&earlier.url()).start(),
        };
        let row = offered(&giver, &taker);
        assert_eq!(row["identity"], "claimed");
        let auth = if signs { "signed" } else { "token_hash" };
        assert_eq!(row["auth"], auth);
        let approved = act(&taker, &row, "approve", &json!({})).expect(200).json();
        for (field, expected) in [
            ("status", "active"),
            ("identity", "proved"),
            ("requested_from", "127.0.0.1"),
        ] {
            assert_eq!(approved[field], expected, "{auth} {field}");
        }
        assert_eq!(
            audited(&taker, "connection.proved", &row).len(),
            1,
            "{auth}"
        );
        assert!(audited(&taker, "connection.approve_unproved", &row).is_empty());
        let listed = taker.cli(&["connections"]).stdout;
        assert!(listed.contains("proved"), "{listed}");
    }
}

#[test]
fn a_stranger_who_claims_anothers_url_is_refused_unless_a_person_waives_the_proof() {
    let victim = site("berlin").start();
    let taker = site("hq").start();
    let signing = json!({"evenkeel": hello()});
    for (letter, signs) in [('a', true), ('b', false)] {
        let mut body = claim(&victim.url(), "berlin", &token(letter));
        if signs {
            body["evenkeel"] = signing["evenkeel"].clone();
        }
        let row = registered(&taker, &body);
        let refused = problem(act(&taker, &row, "approve", &json!({})), 409, "unproved");
        assert!(refused["hint"].as_str().unwrap().contains("--unproved"));
        let id = row["id"].as_str().unwrap();
        let command = taker.cli(&["connections", "approve", id]);
        assert_eq!(command.code, 4, "{command:#?}");
        for words in ["knows nothing of this connection", "--unproved"] {
            assert!(command.stderr.contains(words), "{command:#?}");
        }
        assert_eq!(
            again(&taker, &row),
            row,
            "a refused approval changes nothing"
        );
        let waived = taker.cli(&["connections", "approve", id, "--unproved"]);
        assert_eq!(waived.code, 0, "{waived:#?}");
        let row = again(&taker, &row);
        assert_eq!(row["local_status"], "active");
        assert_eq!(row["identity"], "claimed");
        assert_eq!(
            audited(&taker, "connection.approve_unproved", &row).len(),
            1
        );
        act(&taker, &row, "revoke", &json!({})).expect(200);
        taker
            .admin("DELETE", &format!("/connections/{id}"), None)
            .expect(200);
    }
    // And a site that is not there proves nothing either.
    let row = registered(&taker, &claim("http://127.0.0.1:9", "nobody", &token('c')));
    problem(act(&taker, &row, "approve", &json!({})), 409, "unproved");
}

#[test]
fn auto_accept_lets_in_whoever_signs_and_answers_at_its_url_and_nobody_else() {
    let victim = site("oslo").start();
    let giver = site("berlin").start();
    let taker = site("hq").with("incoming.mode", "auto_accept").start();
    let offer = json!({"url": taker.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    let made = giver.post("/connections", &offer).expect(201).json();
    assert_eq!(
        made["remote_status"], "pending",
        "the answer does not wait: {made}"
    );
    for (at, name) in [(&giver, "hq"), (&taker, "berlin")] {
        wait::until("both sides are active", wait::LONG, || {
            (connection(at, name)["status"] == "active").then_some(())
        });
    }
    let row = connection(&taker, "berlin");
    assert_eq!(row["approved_by"], "auto_accept");
    assert_eq!(row["identity"], "proved");
    assert_eq!(
        audited(&taker, "connection.approve", &row)[0]["actor"],
        "auto_accept"
    );

    let mut claimed = claim(&victim.url(), "oslo", &token('a'));
    claimed["evenkeel"] = hello();
    let claimed = registered(&taker, &claimed);
    let unsigned = registered(&taker, &claim(&victim.url(), "lyon", &token('b')));
    // Once more after the claim: the janitor has been round by the time it is done.
    let hamburg = site("hamburg").start();
    let offer = json!({"url": taker.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    hamburg.post("/connections", &offer).expect(201);
    wait::until("the honest one is let in", wait::LONG, || {
        (connection(&taker, "hamburg")["status"] == "active").then_some(())
    });
    for row in [&claimed, &unsigned] {
        let row = again(&taker, row);
        assert_eq!(row["status"], "pending", "{row}");
        assert_eq!(row["identity"], "claimed", "{row}");
    }
    let log = taker.log();
    assert!(log.contains("a peer did not prove who it is"), "{log}");
}

#[test]
fn no_strangers_url_is_called_before_a_person_acts() {
    for mode in ["require_approval", "auto_accept"] {
        let stranger = Stranger::start();
        let taker = site("hq").with("incoming.mode", mode).start();
        let mut body = claim(&stranger.url(), "hamburg", &token('a'));
        let row = registered(&taker, &body);
        if mode == "require_approval" {
            body["evenkeel"] = hello();
            body["auth_token"] = token('b').into();
            registered(&taker, &body);
        }
        // What runs by itself has run: it told this one, which our administrator made.
        let known = Stranger::start();
        let offer = json!({"url": known.url(), "name": "oslo", "grant": {"tables": ["notes"]}});
        let made = taker.post("/connections", &offer).expect(201).json();
        act(&taker, &made, "suspend", &json!({})).expect(200);
        wait::until("the decision is told", wait::LONG, || {
            (known.heard("update-status").len() == 1).then_some(())
        });
        assert_eq!(stranger.heard("verify-connection").len(), 0, "{mode}");
        act(&taker, &row, "approve", &json!({})).expect(200);
        let asked = stranger.heard("verify-connection");
        assert_eq!(asked.len(), 1, "{mode}");
        assert_eq!(asked[0]["sender_url"], taker.url());
        assert_eq!(asked[0]["auth_token_hash"], hash(&token('a')));
    }
}

#[test]
fn a_site_that_still_waits_for_the_answer_to_its_registration_can_prove_itself() {
    let giver = site("berlin").start();
    let builder = site("hq").with("incoming.mode", "auto_accept");
    let link = Proxy::to(builder.port());
    let taker = builder.reached_at(&link.url()).start();
    let at = link.url().strip_prefix("http://").unwrap().parse().unwrap();
    let at = Address::Tcp(at);
    // The API is found, and the answer to the registration is held back.
    drop(Request::new("GET", "/sync/api/status").send(&at));
    // More than the first answer, less than the second.
    let first = wait::until("the answer is counted", wait::LONG, || {
        usize::try_from(link.passed())
            .ok()
            .filter(|passed| *passed > 100)
    });
    let passing = first + 100;
    link.set(Link::StallAfter(passing));
    let offer = json!({"url": taker.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    let made = giver.post("/connections", &offer).expect(201).json();
    assert_eq!(
        made["auth"], "token_hash",
        "nobody has told it more: {made}"
    );
    let let_in = |site: &Site, name: &str| {
        wait::until("it is let in", wait::LONG, || {
            (connection(site, name)["local_status"] == "active").then_some(())
        });
        connection(site, name)
    };
    let row = let_in(&taker, "berlin");
    assert_eq!(row["identity"], "proved");
    assert_eq!(connection(&giver, "hq")["auth"], "token_hash");
    link.set(Link::Whole);
    wait::until("both sides agree", wait::LONG, || {
        let row = connection(&giver, "hq");
        (row["status"] == "active" && row["auth"] == "signed").then_some(())
    });
}

#[test]
fn a_site_that_gave_up_its_registration_is_not_let_in() {
    let giver = site("berlin").start();
    let builder = site("hq").with("incoming.mode", "auto_accept");
    let mute = Impostor::before(builder.port());
    mute.alter("register-connection", |answer| answer.status = 503);
    let taker = builder.reached_at(&mute.url()).start();
    let offer = json!({"url": mute.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    giver.post("/connections", &offer).expect(422);
    wait::until("it is asked in vain", wait::LONG, || {
        let log = taker.log();
        log.contains("knows nothing of this connection")
            .then_some(())
    });
    assert_eq!(connection(&taker, "berlin")["status"], "pending");
}
