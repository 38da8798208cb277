//! A site asks another to let it read.

use serde_json::{Value, json};

use super::{act, again, ask, audited, claim, hello, registered, site, token};
use crate::admin::problem;
use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::impostor::Impostor;
use crate::support::pair::{connection, pull};
use crate::support::wait;

/// `asker` asks `asked` for these tables by the command; how that ended.
fn requested(asker: &Site, asked: &str, tables: &str) -> crate::support::daemon::Output {
    asker.cli(&["request", asked, "--tables", tables, "--name", "berlin"])
}

fn reaches(site: &Site, row: &Value, field: &str, expected: &str) -> Value {
    wait::until(&format!("{field} is {expected}"), wait::LONG, || {
        Some(again(site, row)).filter(|row| row[field] == expected)
    })
}

#[test]
fn a_site_that_asks_reads_what_it_was_given_once_it_was_let_in() {
    for mode in ["require_approval", "auto_accept"] {
        let giver = site("berlin").with("incoming.mode", mode).start();
        let taker = site("paris").start();
        let asked = requested(&taker, &giver.url(), "notes");
        assert_eq!(asked.code, 0, "{asked:#?}");
        assert!(asked.stdout.contains("pending"), "{asked:#?}");
        assert!(asked.stderr.contains("to let it read notes"), "{asked:#?}");
        let (here, there) = (connection(&taker, "berlin"), connection(&giver, "paris"));
        for (row, direction) in [(&here, "receiver"), (&there, "sender")] {
            assert_eq!(row["direction"], direction, "{row}");
            assert_eq!(row["status"], "pending", "{row}");
            assert_eq!(row["auth"], "signed", "{row}");
            assert_eq!(row["wanted_tables"], json!(["notes"]), "{row}");
        }
        let told = giver.cli(&["status"]).stdout;
        assert!(told.contains("asks to read notes"), "{told}");
        let early = act(&taker, &here, "pull", &json!({"tables": ["notes"]}));
        problem(early, 409, "not-active");

        let approved = giver.cli(&["connections", "approve", "paris"]);
        assert_eq!(approved.code, 0, "{approved:#?}");
        let said = "paris will be able to read 1 table of this site: notes";
        assert!(approved.stderr.contains(said), "{approved:#?}");
        let there = reaches(&giver, &there, "status", "active");
        assert_eq!(there["identity"], "proved", "{there}");
        assert_eq!(there["grant"]["tables"], json!(["notes"]));
        let here = reaches(&taker, &here, "status", "active");
        assert_eq!(here["identity"], "proved", "{here}");
        pull(&taker, "berlin", &["notes"]).completed();
    }
}

#[test]
fn a_site_that_asks_for_too_much_gets_what_the_administrator_names() {
    let (giver, taker) = (site("berlin").start(), site("paris").start());
    requested(&taker, &giver.url(), "salaries,notes");
    let row = connection(&giver, "paris");
    let unknown = problem(act(&giver, &row, "approve", &json!({})), 422, "invalid");
    assert!(unknown.to_string().contains("salaries"), "{unknown}");
    let now = again(&giver, &row);
    for field in ["status", "grant", "wanted_tables", "approved_at"] {
        assert_eq!(now[field], row[field], "a refused approval changes nothing");
    }
    let approved = giver.cli(&["connections", "approve", "paris", "--tables", "notes"]);
    assert_eq!(approved.code, 0, "{approved:#?}");
    assert_eq!(
        reaches(&giver, &row, "status", "active")["grant"]["tables"],
        json!(["notes"])
    );
    // One that names nothing has to be told what it gets.
    let oslo = site("oslo").start();
    oslo.cli(&["request", &giver.url(), "--name", "berlin"]);
    let row = connection(&giver, "oslo");
    assert!(row["wanted_tables"].is_null(), "{row}");
    let asked = problem(act(&giver, &row, "approve", &json!({})), 422, "invalid");
    assert_eq!(asked["errors"][0]["field"], "grant", "{asked}");
    assert_eq!(giver.cli(&["connections", "approve", "oslo"]).code, 2);
    let grant = json!({"grant": {"tables": "*"}});
    act(&giver, &row, "approve", &grant).expect(200);
}

#[test]
fn whoever_asked_sees_that_it_was_rejected() {
    let (giver, taker) = (site("berlin").start(), site("paris").start());
    requested(&taker, &giver.url(), "notes");
    let (here, there) = (connection(&taker, "berlin"), connection(&giver, "paris"));
    act(&giver, &there, "reject", &json!({})).expect(200);
    assert_eq!(again(&giver, &there)["status_reason"], "rejected");
    let here = reaches(&taker, &here, "status", "severed");
    assert_eq!(
        here["status_reason"],
        "rejected by the peer's administrator"
    );
    let waited = taker.cli(&["connections", "show", "berlin"]);
    assert!(waited.stdout.contains("rejected"), "{waited:#?}");
}

#[test]
fn a_request_is_refused_where_registrations_are() {
    let closed = site("berlin").with("incoming.mode", "deny_all").start();
    let taker = site("paris").start();
    let refused = requested(&taker, &closed.url(), "notes");
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("not allowed"), "{refused:#?}");
    let guarded = site("oslo")
        .with("incoming.mode", "require_password")
        .start();
    let settings = json!({"incoming_password": "open sesame"});
    guarded
        .admin("PATCH", "/settings", Some(&settings))
        .expect(200);
    let refused = requested(&taker, &guarded.url(), "notes");
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("Password required"), "{refused:#?}");
    assert_eq!(taker.get("/connections")["items"], json!([]));
    let body = json!({
        "url": guarded.url(), "name": "oslo", "direction": "receiver", "tables": ["notes"],
        "password": "open sesame",
    });
    let made = taker.post("/connections", &body).expect(201).json();
    assert_eq!(made["status"], "pending");
    for (changed, field) in [("grant", "grant"), ("tables", "tables")] {
        let mut wrong = body.clone();
        wrong[changed] = match changed {
            "grant" => json!({"tables": "*"}),
            _ => Value::Null,
        };
        let refusal = problem(taker.post("/connections", &wrong), 422, "invalid");
        assert_eq!(refusal["errors"][0]["field"], field);
    }
}

#[test]
fn a_site_that_lost_its_memory_is_told_how_to_ask_anew() {
    let (giver, taker) = (site("berlin").start(), site("paris").start());
    requested(&taker, &giver.url(), "notes");
    let approved = giver.cli(&["connections", "approve", "paris"]);
    assert_eq!(approved.code, 0, "{approved:#?}");
    reaches(&giver, &connection(&giver, "paris"), "identity", "proved");
    let new = site("paris").with("site.url", taker.url()).start();
    let refused = requested(&new, &giver.url(), "notes");
    assert_eq!(refused.code, 4, "{refused:#?}");
    for words in ["already exists", "administrator to delete"] {
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
    let deleted = giver.cli(&["connections", "delete", "paris"]);
    assert_eq!(deleted.code, 0, "{deleted:#?}");
    let asked = requested(&new, &giver.url(), "notes");
    assert_eq!(asked.code, 0, "{asked:#?}");
}

#[test]
fn a_site_that_cannot_be_asked_is_left_as_it_was() {
    let taker = site("paris").start();
    let phoenix = Stranger::start();
    let refused = requested(&taker, &phoenix.url(), "notes");
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("no Evenkeel"), "{refused:#?}");
    assert!(refused.stderr.contains("nothing stays"), "{refused:#?}");
    let undone = phoenix.heard("delete-connection");
    assert_eq!(undone.len(), 1);
    assert_eq!(undone[0]["auth_token_hash"], phoenix.token_hash());
    assert_eq!(undone[0]["sender_url"], taker.url());

    let builder = site("berlin");
    let earlier = Impostor::without_wishes(builder.port());
    let giver = builder.reached_at(&earlier.url()).start();
    let refused = requested(&taker, &giver.url(), "notes");
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("nothing stays"), "{refused:#?}");
    assert_eq!(connection(&giver, "paris")["status"], "severed");
    assert_eq!(taker.get("/connections")["items"], json!([]));
}

#[test]
fn a_site_that_is_not_there_is_asked_once_it_is() {
    let mut giver = site("berlin").build();
    let taker = site("paris").start();
    let asked = requested(&taker, &giver.url(), "notes");
    assert_eq!(asked.code, 0, "{asked:#?}");
    giver.start();
    let there = wait::until("the request arrives", wait::LONG, || {
        giver.get("/connections")["items"]
            .as_array()
            .unwrap()
            .first()
            .cloned()
    });
    assert_eq!(there["direction"], "sender");
    assert_eq!(there["wanted_tables"], json!(["notes"]));
}

#[test]
fn a_wish_is_bounded_and_gives_nothing_by_itself() {
    let giver = site("berlin").with("incoming.mode", "auto_accept").start();
    let mut body = claim("http://127.0.0.1:9", "paris", &token('a'));
    let mut evenkeel = hello();
    for (field, value) in [
        ("wants", json!("sender")),
        ("wants", json!(7)),
        ("tables", json!(["a.b.c"])),
        ("tables", json!([7])),
        ("tables", json!(vec!["notes"; 1_001])),
    ] {
        let mut wrong = hello();
        wrong["wants"] = "receiver".into();
        wrong[field] = value.clone();
        body["evenkeel"] = wrong;
        let answer = ask(&giver, "register-connection", &body);
        assert_eq!(answer.status, 400, "{field} {value}");
    }
    evenkeel["wants"] = "receiver".into();
    evenkeel["tables"] = json!(["notes"]);
    body["evenkeel"] = evenkeel;
    let row = registered(&giver, &body);
    let wider = {
        let mut wider = body.clone();
        wider["evenkeel"]["tables"] = json!(["notes", "salaries"]);
        registered(&giver, &wider)
    };
    assert_eq!(wider["id"], row["id"]);
    assert_eq!(
        wider["wanted_tables"],
        json!(["notes"]),
        "a repetition changes nothing"
    );
    problem(act(&giver, &row, "approve", &json!({})), 409, "unproved");
    assert!(audited(&giver, "connection.approve", &row).is_empty());
    assert_eq!(again(&giver, &row)["status"], "pending");
}
