//! Who a peer is: proved before it is let in, and told from those who only say so.

mod approve;
mod claims;
mod moved;
pub(crate) mod party;
mod request;
mod rotate;
mod signed;

use evenkeel::base::secret::token_hash;
use serde_json::{Value, json};

use crate::support::daemon::{Site, SiteBuilder};
use crate::support::http::{Answer, Request};
use crate::support::sqlite;

/// A site with a table `notes`, which heals quickly.
pub(crate) fn site(name: &str) -> SiteBuilder {
    Site::builder(name)
        .sqlite(|path| {
            sqlite::execute(
                path,
                "create table notes (id integer primary key, body text);
                 insert into notes values (1, 'one'), (2, 'two');",
            );
        })
        .with("healing.interval", "1s")
}

/// What a site that signs says of itself.
pub(crate) fn hello() -> Value {
    json!({
        "protocol": 1, "site_id": "0192d1c8-3b7e-7000-8000-000000000003", "site_name": "lyon",
        "version": "0.1.0", "receipt_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    })
}

/// A registration that anybody could send.
pub(crate) fn claim(url: &str, name: &str, token: &str) -> Value {
    json!({"sender_url": url, "connection_name": name, "auth_token": token})
}

/// Asks an endpoint of the peer API without a signature.
pub(crate) fn ask(site: &Site, endpoint: &str, body: &Value) -> Answer {
    let request = Request::new("POST", &format!("/sync/api/{endpoint}")).json(body);
    site.peer(&request).expect("an answer")
}

/// Registers at `site`; the row it makes.
pub(crate) fn registered(site: &Site, body: &Value) -> Value {
    let answer = ask(site, "register-connection", body).expect(200).json();
    let id = answer["connection_uuid"].as_str().expect("an id");
    site.get(&format!("/connections/{id}"))
}

/// `row` of `site` as it is now.
pub(crate) fn again(site: &Site, row: &Value) -> Value {
    site.get(&format!(
        "/connections/{}",
        row["id"].as_str().expect("an id")
    ))
}

pub(crate) fn act(site: &Site, row: &Value, verb: &str, body: &Value) -> Answer {
    let id = row["id"].as_str().expect("an id");
    site.post(&format!("/connections/{id}/{verb}"), body)
}

/// The audit entries of this action about this row, newest first.
pub(crate) fn audited(site: &Site, action: &str, row: &Value) -> Vec<Value> {
    let entries = site.get("/audit?limit=200");
    let items = entries["items"].as_array().expect("items").clone();
    let is = |entry: &Value| entry["action"] == action && entry["subject"] == row["id"];
    items.into_iter().filter(is).collect()
}

/// A token like those that sites make.
pub(crate) fn token(letter: char) -> String {
    letter.to_string().repeat(43)
}

pub(crate) fn hash(token: &str) -> String {
    token_hash(token).expose().clone()
}
