//! The peer API, one file per endpoint: asked by raw HTTP, at the root and below the prefix, answered byte for byte.

mod delete_connection;
mod get_connection_status;
mod list_tables;
mod pull_data;
mod pull_data_frames;
mod register_connection;
mod status;
pub(crate) mod stranger;
mod table_records;
mod table_schema;
mod update_status;
mod verify_connection;

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

/// What is no proper request is a 4xx in JSON, on every endpoint but `status`.
fn refuses_nonsense(site: &Site, endpoint: &str, fields: &[&str]) {
    let target = format!("/sync/api/{endpoint}");
    let first = fields.first().expect("a field");
    let filled = |value: Value| {
        let mut body = json!({});
        for field in fields {
            body[field] = "x".into();
        }
        body[first] = value;
        body.to_string()
    };
    let bodies = [
        "{".to_owned(),
        "nonsense".to_owned(),
        "\"text\"".to_owned(),
        "[1, 2]".to_owned(),
        "[".repeat(10_000),
        String::new(),
        filled(json!(7)),
        filled(json!({"a": 1})),
        filled(json!(["a"])),
        filled(json!(true)),
    ];
    for body in bodies {
        let request = Request::new("POST", &target).body(body.clone().into_bytes());
        let answer = site.peer(&request).expect("an answer");
        let shown: String = body.chars().take(60).collect();
        assert!(
            (400..500).contains(&answer.status),
            "{endpoint} {shown}: {}",
            answer.status
        );
        assert_eq!(answer.json()["success"], false, "{endpoint} {shown}");
    }
    let long = Request::new("POST", &target).body(vec![b' '; 64 << 20]);
    if let Ok(answer) = site.peer(&long) {
        assert_eq!(answer.status, 413, "{endpoint}");
        assert_eq!(answer.json()["success"], false, "{endpoint}");
    }
    let wrong_method = site.peer(&Request::new("GET", &target)).expect("an answer");
    assert_eq!(wrong_method.status, 405, "{endpoint}");
    assert_eq!(wrong_method.json()["success"], false, "{endpoint}");
}

/// What every endpoint but `status` and `register-connection` says when the peer API is switched off.
fn says_it_is_disabled(endpoint: &str) {
    let site = site().with("peer.enabled", false).start();
    let expected = refusal("DB Sync module is disabled");
    answers(&site, endpoint, &json!({}), 503, &expected);
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

/// The order in which a data endpoint refuses, up to the grant.
fn refuses_in_order(endpoint: &str, table_field: &[&str], missing_words: fn(&[&str]) -> Value) {
    says_it_is_disabled(endpoint);
    let giving = giving(json!(["orders"]));
    let required: Vec<&str> = [&["auth_token_hash"], table_field].concat();
    answers(
        &giving.site,
        endpoint,
        &json!({}),
        400,
        &missing_words(&required),
    );
    let mut unknown = json!({"auth_token_hash": "0".repeat(64)});
    for field in table_field {
        unknown[field] = "no_such_table".into();
    }
    answers(
        &giving.site,
        endpoint,
        &unknown,
        401,
        &refusal("Invalid connection"),
    );
    refuses_nonsense(&giving.site, endpoint, &required);
    giving.decide("suspend");
    let fields = unknown.clone();
    giving.answers(endpoint, fields, 403, &refusal("Connection is not active"));
    giving.decide("reactivate");
    if !table_field.is_empty() {
        let words = "This connection is not authorised to access that table";
        for table in ["customers", "no_such_table", "main.orders", "a.b.c", "\""] {
            giving.answers(endpoint, json!({"table_name": table}), 403, &refusal(words));
        }
    }
}
