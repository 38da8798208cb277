//! What people reach: the admin API, its listeners and what stands beside it.

mod access;
mod beside;
mod connections;
mod listeners;
mod lists;
mod settings;
mod status;

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};
use crate::support::sqlite;

/// A running site with one table.
fn site() -> Site {
    Site::builder("berlin").sqlite(orders).start()
}

/// Fills a site database with one small table.
fn orders(path: &std::path::Path) {
    sqlite::execute(
        path,
        "create table orders (id integer primary key, item text not null);
         insert into orders values (1, 'tea'), (2, 'rice')",
    );
}

/// A new token of this role.
pub(crate) fn token(site: &Site, role: &str) -> String {
    let made = site
        .post("/tokens", &json!({"name": role, "role": role}))
        .expect(201)
        .json();
    made["token"].as_str().unwrap().to_owned()
}

/// A call below `/api/v1` with this token.
pub(crate) fn call(
    site: &Site,
    token: &str,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Answer {
    let request = Request::new(method, &format!("/api/v1{target}"))
        .header("authorization", &format!("Bearer {token}"));
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    request.send(&site.admin_address()).unwrap()
}

/// The problem document of an answer, after checking its form.
pub(crate) fn problem(answer: Answer, status: u16, kind: &str) -> Value {
    let answer = answer.expect(status);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{}",
        answer.text()
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("/problems/{kind}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    problem
}
