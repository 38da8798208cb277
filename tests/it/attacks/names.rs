//! Names as a way in: tables that were not granted, and SQL where a name is expected.
//!
//! The same names open other tables where a name is pasted into a statement, and where the grant names everything.

use std::path::Path;

use serde_json::{Value, json};

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::Request;
use crate::support::sqlite;

const MADE: &str = "create table notes (id integer primary key, body varchar(20));
    create table ledger (id integer primary key, body varchar(20));
    insert into notes values (1, 'one');
    insert into ledger values (1, 'hush');";

/// Names that mean another table than `notes`, or more than one, to somebody careless.
const NAMES: [&str; 24] = [
    "ledger",
    "LEDGER",
    "Ledger ",
    "public.ledger",
    "main.ledger",
    "\"ledger\"",
    "`ledger`",
    "[ledger]",
    "notes, ledger",
    "notes union select * from ledger",
    "notes union all select id, body from ledger --",
    "notes; drop table ledger",
    "notes\"; drop table \"ledger",
    "notes`; drop table `ledger",
    "notes' or '1'='1",
    "(select * from ledger)",
    "notes natural join ledger",
    "sqlite_master",
    "sqlite_schema",
    "information_schema.tables",
    "pg_catalog.pg_class",
    "mysql.user",
    "notes\u{0}ledger",
    "\u{ff4e}otes",
];

fn requests(hash: &str, name: &str) -> Vec<Request> {
    let ask = |endpoint: &str, accept: &str, body: Value| {
        Request::new("POST", &format!("/sync/api/{endpoint}"))
            .header("accept", accept)
            .json(&body)
    };
    let (json, frames) = ("application/json", "application/vnd.evenkeel.rows");
    let table = json!({"auth_token_hash": hash, "table_name": name});
    let with = |key: &str, value: Value| json!({"auth_token_hash": hash, "table_name": "notes", key: value});
    vec![
        ask("table-schema", json, table.clone()),
        ask("table-records", json, table.clone()),
        ask("pull-data", json, table.clone()),
        ask("pull-data", frames, table),
        ask("pull-data", frames, with("columns", json!([name]))),
        ask(
            "pull-data",
            frames,
            with("filter", json!({"column": name, "op": "=", "value": 1})),
        ),
        ask("pull-data", json, with("cursor", json!(name))),
        ask("pull-data", json, with("ids", json!([name]))),
        ask("pull-data", json, with("id_start", json!(name))),
    ]
}

/// Requests made, and those whose answer holds what is in `ledger`, its columns, or a fault of ours.
fn tried(site: &Site, hash: &str) -> (usize, usize) {
    let (mut tries, mut successes) = (0, 0);
    for request in NAMES.iter().flat_map(|name| requests(hash, name)) {
        let answer = site.peer(&request).expect("an answer");
        assert!(answer.status < 500, "{request:?}: {}", answer.text());
        tries += 1;
        let tells = answer.text().contains("hush") || answer.text().contains("sqlite_autoindex");
        let shows = answer.status == 200 && answer.text().contains("ledger");
        successes += usize::from(tells || shows);
    }
    (tries, successes)
}

fn attacked(kind: Kind) {
    let database = Database::with(kind, MADE);
    let site = Site::builder("berlin").database(&database.url()).start();
    let give = |grant: Value| {
        let stranger = Stranger::start();
        let name = format!("stranger of {grant}");
        let offer = json!({"url": stranger.url(), "name": name, "grant": grant});
        site.post("/connections", &offer).expect(201);
        stranger
    };
    let stranger = give(json!({"tables": ["notes"]}));
    let (tries, successes) = tried(&site, &stranger.token_hash());
    println!("names on {kind:?}: {tries} attacks, {successes} succeeded");
    assert_eq!(successes, 0);
    assert_eq!(database.query("select body from ledger"), "hush");
    // Where all is granted, the plain name works.
    let (_, successes) = tried(&site, &give(json!({"tables": "*"})).token_hash());
    assert!(successes > 0);
}

#[test]
fn a_name_opens_nothing_but_the_granted_table_on_postgresql() {
    attacked(Kind::Postgres);
}

#[test]
fn a_name_opens_nothing_but_the_granted_table_on_mariadb() {
    attacked(Kind::Mariadb);
}

#[test]
fn a_name_opens_nothing_but_the_granted_table_on_sqlite() {
    attacked(Kind::Sqlite);
}

#[test]
fn pasted_into_a_statement_the_same_names_do_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let opens = |at: usize, name: &str| {
        let path = folder.path().join(format!("{at}.db"));
        sqlite::execute(&path, MADE);
        pasted(&path, name)
    };
    let harmful = NAMES
        .iter()
        .enumerate()
        .filter(|(at, name)| opens(*at, name));
    assert!(harmful.count() > 10);
}

/// What somebody careless does with a name; whether it tells or destroys what it should not.
fn pasted(path: &Path, name: &str) -> bool {
    let db = sqlite::open(path);
    let mut told = String::new();
    if let Ok(mut statement) = db.prepare(&format!("select * from {name}"))
        && let Ok(mut rows) = statement.query([])
    {
        while let Ok(Some(row)) = rows.next() {
            let last = row.as_ref().column_count() - 1;
            told.push_str(&row.get::<_, String>(last).unwrap_or_default());
        }
    }
    drop(db.execute_batch(&format!("select * from {name}")));
    let is_gone = db.prepare("select * from ledger").is_err();
    is_gone || told.contains("hush") || told.contains("ledger")
}
