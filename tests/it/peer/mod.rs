//! The peer API, one file per endpoint: asked by raw HTTP, at the root and below the prefix, answered byte for byte.

mod delete_connection;
mod get_connection_status;
mod list_tables;
mod published;
mod pull_data;
mod pull_data_frames;
pub(crate) mod receiver;
mod register_connection;
mod sessions;
mod status;
pub(crate) mod stranger;
mod table_records;
mod table_schema;
mod update_status;

use std::path::Path;

use serde_json::{Value, json};

use self::stranger::Stranger;
use crate::support::daemon::{Site, SiteBuilder};
use crate::support::http::{Answer, Request};
use crate::support::sqlite;

/// Where the API is mounted by default.
const BASES: [&str; 2] = ["/sync/api", "/phoenix_kit/sync/api"];

/// A site whose database has every kind of table these tests ask for.
fn site() -> SiteBuilder {
    Site::builder("berlin").sqlite(fill)
}

fn fill(path: &Path) {
    sqlite::execute(
        path,
        "create table customers (id integer primary key, name varchar(40) not null);
         create table orders (
             id integer primary key, customer_id integer references customers (id), total decimal(10,2),
             placed_at timestamp, note text, twice integer generated always as (id * 2) virtual);
         create table ledger (account text, day date, amount bigint, primary key (account, day));
         create table words (word text primary key);
         create table visits (at timestamp);
         create table user_sessions (id integer primary key);
         insert into customers values (1, 'Ada'), (2, 'Grace');
         insert into orders (id, customer_id, total, placed_at, note)
             values (1, 1, 12.50, '2024-01-02 03:04:05.000000', 'first'), (2, 2, null, null, null), (10, 1, 3, null, 'ten');
         insert into ledger values ('a', '2024-01-01', 5), ('a', '2024-01-02', 6), ('b', '2024-01-01', 7);
         insert into words values ('10'), ('alpha'), ('beta');",
    );
}

/// Asks an endpoint below `/sync/api`.
fn ask(site: &Site, endpoint: &str, body: &Value) -> Answer {
    let request = Request::new("POST", &format!("/sync/api/{endpoint}")).json(body);
    site.peer(&request).expect("an answer")
}

/// Asks an endpoint wherever it is mounted, and makes sure that it answers the same everywhere, in the published form.
fn answers(site: &Site, endpoint: &str, body: &Value, status: u16, expected: &Value) {
    for base in BASES {
        let request = Request::new("POST", &format!("{base}/{endpoint}")).json(body);
        let answer = site.peer(&request).expect("an answer");
        let found = (answer.status, answer.json());
        assert_eq!(
            found,
            (status, expected.clone()),
            "{base}/{endpoint} {body}"
        );
        let form = answer.header("content-type");
        assert_eq!(form, Some("application/json; charset=utf-8"), "{endpoint}");
    }
}

fn refusal(words: &str) -> Value {
    json!({"success": false, "error": words})
}

/// The published words for fields that are missing.
fn missing(fields: &[&str]) -> Value {
    json!({"success": false, "error": "Missing required fields", "fields": fields})
}

/// What is no JSON object is a 4xx in JSON, on every endpoint but `status`.
fn nonsense(site: &Site, endpoint: &str) {
    for base in BASES {
        let target = format!("{base}/{endpoint}");
        for body in ["{", "nonsense", "\"text\"", "7", &"[".repeat(10_000)] {
            let request = Request::new("POST", &target).body(body.as_bytes().to_vec());
            let answer = site.peer(&request).expect("an answer");
            let shown: String = body.chars().take(60).collect();
            assert_eq!(answer.status, 400, "{target} {shown}");
            assert_eq!(answer.json()["success"], false, "{target} {shown}");
        }
        let empty = site.peer(&Request::new("POST", &target));
        assert_eq!(empty.expect("an answer").status, 400, "{target}");
        let wrong_method = site.peer(&Request::new("GET", &target)).expect("an answer");
        assert_eq!(wrong_method.status, 405, "{target}");
        assert_eq!(wrong_method.json()["success"], false, "{target}");
    }
    let long = Request::new("POST", &format!("/sync/api/{endpoint}")).body(vec![b' '; 64 << 20]);
    if let Ok(answer) = site.peer(&long) {
        assert_eq!(answer.status, 413, "{endpoint}");
        assert_eq!(answer.json()["success"], false, "{endpoint}");
    }
}

/// A site that gives to a stranger whose token we know.
struct Giving {
    site: Site,
    stranger: Stranger,
    /// The connection's row on the site.
    id: String,
    /// What the stranger authenticates with.
    hash: String,
}

/// A site that gives `tables` (names or `"*"`) to a stranger.
fn giving(tables: Value) -> Giving {
    giving_within(json!({"tables": tables}))
}

fn giving_within(grant: Value) -> Giving {
    let stranger = Stranger::start();
    let site = site().start();
    let body = json!({"url": stranger.url(), "name": "hamburg", "grant": grant});
    let made = site.post("/connections", &body).expect(201).json();
    assert_eq!(made["status"], "active", "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let hash = stranger.token_hash();
    Giving {
        site,
        stranger,
        id,
        hash,
    }
}

impl Giving {
    /// Asks as the stranger, with `fields` beside the token's hash.
    fn ask(&self, endpoint: &str, fields: Value) -> Answer {
        ask(&self.site, endpoint, &self.body(fields))
    }

    fn body(&self, mut fields: Value) -> Value {
        fields["auth_token_hash"] = self.hash.as_str().into();
        fields
    }

    /// Asks at every mount point and compares.
    fn answers(&self, endpoint: &str, fields: Value, status: u16, expected: &Value) {
        answers(&self.site, endpoint, &self.body(fields), status, expected);
    }

    /// The connection as the administrator sees it.
    fn connection(&self) -> Value {
        self.site.get(&format!("/connections/{}", self.id))
    }

    fn decide(&self, decision: &str) {
        let target = format!("/connections/{}/{decision}", self.id);
        self.site.post(&target, &json!({})).expect(200);
    }
}
