//! Attacks of approved peers on sessions: what they try to see, to hold, or to have made for them.

use evenkeel::wire::session::{MAX_LISTED, MAX_NODES};
use serde_json::{Value, json};

use crate::peer::receiver::Receiver;
use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};
use crate::support::sqlite;

/// A site with a table of 70,000 rows, one whose columns and rows are granted in part, and one that is not granted.
fn giving() -> (Site, Receiver) {
    let site = Site::builder("berlin")
        .sqlite(|path| {
            sqlite::execute(
                path,
                "create table notes (id integer primary key, body text not null);
                 with recursive n (id) as (select 1 union all select id + 1 from n where id < 70000)
                     insert into notes select id, 'note ' || id from n;
                 create table people (id integer primary key, name text not null, salary integer not null, mail text unique);
                 insert into people values (1, 'Ada', 4711, 'ada@example.com'), (2, 'Grace', 1000, 'grace@example.com');
                 create table secrets (id integer primary key, word text);
                 insert into secrets values (1, 'swordfish');",
            );
        })
        .start();
    let grant = json!({
        "tables": ["notes", "people"],
        "columns": {"people": {"id": {"pseudonym": "person"}, "name": "allow"}},
        "row_filter": {"people": {"column": "salary", "op": ">", "value": 2000}},
    });
    let taker = Receiver::of(&site, "hamburg", grant);
    (site, taker)
}

fn notes() -> Value {
    json!({"columns": ["id", "body"], "key": ["id"], "forms": ["same", "same"]})
}

fn told(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["success"], false, "{body}");
    let code = body["error_code"].as_str().unwrap_or_default();
    (answer.status, code.to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_session_answers_nobody_but_the_peer_who_opened_it() {
    let (site, taker) = giving();
    let other = Receiver::of(&site, "oslo", json!({"tables": ["notes"]}));
    let session = taker.open(&site, json!([{"table": "notes"}]))["session"].clone();
    let asked = json!([{"table": "notes", "agreed": notes(), "level": 1, "prefixes": [""]}]);
    for (endpoint, fields) in [
        ("open-session", json!({})),
        ("tally", json!({"tables": asked})),
        (
            "pull-data",
            json!({"table_name": "notes", "agreed": notes(), "all": true}),
        ),
        ("close-session", json!({"receipts": []})),
    ] {
        let ask = |session: &Value| {
            let mut fields = fields.clone();
            fields["session"] = session.clone();
            let answer = other.ask(&site, endpoint, fields);
            (answer.status, answer.json())
        };
        // What was never there, and what is somebody else's, are told apart by nobody.
        let (foreign, invented) = (ask(&session), ask(&json!("x".repeat(43))));
        assert_eq!(foreign, invented, "{endpoint}");
        assert_eq!(
            (foreign.0, &foreign.1["error_code"]),
            (410, &json!("session_gone"))
        );
    }
    let renewed = taker.ask(&site, "open-session", json!({"session": session}));
    renewed.expect(200);
}

#[test]
fn a_peer_that_does_not_sign_holds_no_session() {
    let (site, _taker) = giving();
    let stranger = Stranger::start();
    let offer = json!({"url": stranger.url(), "name": "lyon", "grant": {"tables": ["notes"]}});
    site.post("/connections", &offer).expect(201);
    for endpoint in ["open-session", "tally", "close-session", "pull-data"] {
        let fields = json!({
            "auth_token_hash": stranger.token_hash(), "session": "s", "table_name": "notes",
            "tables": [{"table": "notes"}],
        });
        let request = Request::new("POST", &format!("/sync/api/{endpoint}")).json(&fields);
        let answer = site.peer(&request).expect("an answer");
        assert_eq!(
            told(&answer),
            is(403, "sessions_need_signing"),
            "{endpoint}"
        );
        assert_eq!(
            answer.json()["error"],
            "Sessions are for signed connections"
        );
    }
}

#[test]
fn a_session_shows_no_table_column_or_row_that_is_not_granted() {
    let (site, taker) = giving();
    let open = |tables: Value| taker.ask(&site, "open-session", json!({"tables": tables}));
    for table in ["secrets", "nothing", "sqlite_master", "_sqlx_migrations"] {
        let answer = open(json!([{"table": "notes"}, {"table": table}]));
        assert_eq!(answer.status, 403, "{table}");
    }
    assert_eq!(open(json!([{"table": "NOTES"}])).status, 403);
    // A filter over what is hidden would be answered by yes and no, digit by digit.
    for column in ["salary", "mail", "id", "none"] {
        let filter = json!({"column": column, "op": "=", "value": 1});
        let answer = open(json!([{"table": "people", "filter": filter}]));
        assert_eq!(told(&answer), is(400, "invalid_filter"), "{column}");
    }
    let opened = taker.open(&site, json!([{"table": "people"}]));
    let text = opened.to_string();
    for hidden in ["salary", "mail", "2000"] {
        assert!(!text.contains(hidden), "{opened}");
    }
    let table = &opened["tables"][0];
    assert_eq!(
        (&table["hides_rows"], table.get("scope")),
        (&json!(true), None),
        "{opened}"
    );
    assert_eq!(table["evenkeel"]["row_estimate"], Value::Null, "{opened}");
    let session = &opened["session"];
    let sums = |columns: Value, key: Value, forms: Value| {
        let agreed = json!({"columns": columns, "key": key, "forms": forms});
        let asked = json!([{"table": "people", "agreed": agreed, "level": 1, "prefixes": [""]}]);
        taker.tally(&site, &json!({"session": session, "tables": asked}))
    };
    let same = json!(["same", "same"]);
    for (columns, key, forms, code) in [
        (
            json!(["id", "salary"]),
            json!(["id"]),
            same.clone(),
            "unknown_column",
        ),
        (
            json!(["id", "mail"]),
            json!(["mail"]),
            same.clone(),
            "unknown_column",
        ),
        (
            json!(["id", "id"]),
            json!(["id"]),
            same.clone(),
            "repeated_column",
        ),
        (
            json!(["id", "name"]),
            json!(["name"]),
            same.clone(),
            "invalid_agreed",
        ),
        (
            json!(["id", "name"]),
            json!(["id", "id"]),
            same.clone(),
            "invalid_agreed",
        ),
        (
            json!(["name"]),
            json!(["id"]),
            json!(["same"]),
            "invalid_agreed",
        ),
        (
            json!(["id", "name"]),
            json!(["id"]),
            json!(["same"]),
            "invalid_agreed",
        ),
        (
            json!(["id", "name"]),
            json!(["id"]),
            json!(["float", "same"]),
            "invalid_agreed",
        ),
    ] {
        let answer = sums(columns.clone(), key, forms).unwrap_err();
        assert_eq!(told(&answer), is(400, code), "{columns}");
    }
    // What does count is the granted view: one row, with what stands for its key.
    sums(json!(["id", "name"]), json!(["id"]), same).expect("sums");
    let fields = json!({"session": session, "table_name": "people", "all": true});
    let rows = taker
        .frames(&site, "pull-data", fields)
        .expect("rows")
        .rows();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].windows(3).any(|bytes| bytes == b"Ada"));
    assert!(
        !rows[0]
            .windows(4)
            .any(|bytes| bytes == 4711_i32.to_be_bytes())
    );
    // A table that is granted and was not asked for at the opening.
    let asked = json!([{"table": "notes", "agreed": notes(), "level": 1, "prefixes": [""]}]);
    let answer = taker
        .tally(&site, &json!({"session": session, "tables": asked}))
        .unwrap_err();
    assert_eq!(told(&answer), is(400, "table_not_in_session"));
}

#[test]
fn nobody_has_more_made_than_one_answer_may_hold() {
    let (site, taker) = giving();
    let session = taker.open(&site, json!([{"table": "notes"}]))["session"].clone();
    let tally = |tables: Value| taker.tally(&site, &json!({"session": session, "tables": tables}));
    let all = |depth: usize| -> Vec<String> {
        (0..16_usize.pow(u32::try_from(depth).unwrap()))
            .map(|node| format!("{node:0depth$x}"))
            .collect()
    };
    let sums = |level: u8, prefixes: Vec<String>| json!({"table": "notes", "agreed": notes(), "level": level, "prefixes": prefixes});
    let rows =
        |prefixes: Vec<String>| json!({"table": "notes", "agreed": notes(), "prefixes": prefixes});
    tally(json!([sums(1, vec![String::new()])])).expect("sums");
    let most: Vec<String> = all(3).into_iter().take(MAX_NODES).collect();
    tally(json!([sums(4, most.clone())])).expect("sums");
    for (what, tables, code) in [
        (
            "every row",
            json!([rows(vec![String::new()])]),
            "too_many_rows",
        ),
        ("every row by parts", json!([rows(all(2))]), "too_many_rows"),
        (
            "every row by two questions",
            json!([rows(all(2)[..200].to_vec()), rows(all(2)[100..].to_vec())]),
            "too_many_rows",
        ),
        ("too many nodes", json!([sums(4, all(3))]), "invalid_tally"),
        (
            "too many nodes by two questions",
            json!([sums(4, most), sums(2, all(1))]),
            "invalid_tally",
        ),
        (
            "a node again and again",
            json!([sums(1, vec![String::new(); 2])]),
            "invalid_tally",
        ),
        (
            "nodes below nodes",
            json!([rows(vec!["a".into(), "ab".into()])]),
            "invalid_tally",
        ),
        (
            "another level",
            json!([sums(3, vec![String::new()])]),
            "invalid_tally",
        ),
        (
            "below the last level",
            json!([sums(17, vec!["0".repeat(16)])]),
            "invalid_tally",
        ),
        ("level 0", json!([sums(0, vec![])]), ""),
        ("no table", json!([]), "invalid_tally"),
        (
            "no form",
            json!([{"table": "notes", "prefixes": ["xyz"]}]),
            "",
        ),
        (
            "a level of another type",
            json!([{"table": "notes", "level": -1, "prefixes": [""]}]),
            "",
        ),
    ] {
        match tally(tables) {
            Err(answer) => assert_eq!(told(&answer), is(400, code), "{what}"),
            // No node, no sums.
            Ok(frames) => assert!(what == "level 0" && frames.0.len() == 3, "{what}"),
        }
    }
    const { assert!(MAX_LISTED < 70_000) };
    let pull = |picks: Value| {
        let fields = json!({"session": session, "table_name": "notes", "picks": picks});
        taker.frames(&site, "pull-data", fields)
    };
    for (key, value) in [
        ("ids", json!([1])),
        ("id_end", json!(1)),
        ("filter", json!({"column": "id", "op": "=", "value": 1})),
        ("columns", json!(["id"])),
        ("cursor", json!("a")),
    ] {
        let fields = json!({"session": session, "table_name": "notes", "all": true, "agreed": notes(), key: value});
        let answer = taker.frames(&site, "pull-data", fields).unwrap_err();
        assert_eq!(
            answer.status, 400,
            "{key}: passed over, more rows would come than were asked for"
        );
    }
    let bits = "/".repeat(100_000);
    for (what, picks, code) in [
        (
            "a leaf twice",
            json!([{"leaf": "a"}, {"leaf": "a"}]),
            "invalid_picks",
        ),
        (
            "a leaf in a leaf",
            json!([{"leaf": ""}, {"leaf": "a"}]),
            "invalid_picks",
        ),
        ("no bitmap", json!([{"leaf": "a", "bitmap": 7}]), ""),
    ] {
        let answer = pull(picks).unwrap_err();
        assert_eq!(told(&answer), is(400, code), "{what}");
    }
    // Bits beyond the listing mean nothing.
    let frames = pull(json!([{"leaf": "", "bitmap": bits}])).expect("rows");
    assert_eq!(frames.end().unwrap().rows, 70_000);
    assert_eq!(pull(json!([])).expect("no rows").end().unwrap().rows, 0);
    let another = Receiver::of(&site, "oslo", json!({"tables": ["notes"]}));
    let untold = another.open(&site, json!([{"table": "notes"}]))["session"].clone();
    let fields = json!({"session": untold, "table_name": "notes", "agreed": notes(), "picks": [{"leaf": "a"}]});
    let answer = another.frames(&site, "pull-data", fields).unwrap_err();
    assert_eq!(told(&answer), is(400, "invalid_picks"));
}

#[test]
fn what_opens_no_session_is_refused_in_words() {
    let (site, taker) = giving();
    let many: Vec<Value> = (0..1_001)
        .map(|at| json!({"table": format!("t{at}")}))
        .collect();
    for (what, fields, status, code) in [
        ("no tables", json!({}), 400, "invalid_tables"),
        (
            "an empty list",
            json!({"tables": []}),
            400,
            "invalid_tables",
        ),
        (
            "a table twice",
            json!({"tables": [{"table": "notes"}, {"table": "notes"}]}),
            400,
            "invalid_tables",
        ),
        ("too many", json!({"tables": many}), 400, "invalid_tables"),
        ("names alone", json!({"tables": ["notes"]}), 400, ""),
        ("no name", json!({"tables": [{"table": "a.b.c"}]}), 400, ""),
        (
            "no filter",
            json!({"tables": [{"table": "notes", "filter": {"and": []}}]}),
            400,
            "",
        ),
        ("no session", json!({"session": 7}), 400, ""),
    ] {
        let answer = taker.ask(&site, "open-session", fields);
        assert_eq!(told(&answer), is(status, code), "{what}");
    }
}
