//! How often whoever is nobody may ask.

use serde_json::{Value, json};

use super::Giving;
use crate::support::daemon::{Site, SiteBuilder};
use crate::support::database::{Database, Kind};
use crate::support::http::{Answer, Request};

/// A site with the rates that it has unless an administrator sets others, behind a proxy that tells who asks.
fn strict() -> SiteBuilder {
    let keys = [
        "strangers_per_minute",
        "strangers_burst",
        "passwords_per_minute",
        "tokens_per_minute",
    ];
    let site = Site::builder("berlin").sqlite(|_| {});
    let site = keys
        .iter()
        .fold(site, |site, key| site.without(&format!("limits.{key}")));
    site.with("server.trusted_proxies", vec!["127.0.0.1/32"])
}

fn ask(site: &Site, endpoint: &str, body: &Value, from: &str) -> Answer {
    let request = Request::new("POST", &format!("/sync/api/{endpoint}"));
    let request = request.header("x-forwarded-for", from).json(body);
    site.peer(&request).expect("an answer")
}

fn registration(token: usize, password: Option<&str>) -> Value {
    json!({"sender_url": "https://oslo.example.com", "connection_name": "oslo", "auth_token": format!("{token:043}"), "password": password})
}

/// Asks until it is told to come later; how often it was answered otherwise, which must be with `status`.
fn until_told(mut ask: impl FnMut() -> Answer, status: u16) -> usize {
    for at in 0..1_000 {
        let answer = ask();
        if answer.status == 429 {
            let body = answer.json();
            assert_eq!(body["error_code"], "too_many_requests", "{body}");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            return at;
        }
        assert_eq!(answer.status, status, "{}", answer.json());
    }
    panic!("never told to come later");
}

#[test]
fn a_stranger_has_a_burst_of_sixty_whatever_he_asks_and_holds_up_nobody_else() {
    let database = Database::with(Kind::Sqlite, super::SHOP);
    let giving = Giving::of(strict(), database, &json!({"tables": ["orders"]}));
    let site = &giving.site;
    let nobody = json!({"auth_token_hash": "0".repeat(64), "table_name": "x", "sender_url": "http://x", "receiver_url": "x"});
    for (endpoint, status) in [
        ("list-tables", 401),
        ("verify-connection", 404),
        ("pull-data", 401),
        ("get-connection-status", 404),
    ] {
        let from = format!("192.0.2.{}", endpoint.len());
        let answered = until_told(|| ask(site, endpoint, &nobody, &from), status);
        // Two a second come back while it asks.
        assert!((60..=75).contains(&answered), "{endpoint}: {answered}");
    }
    let mut token = 0;
    let register = || {
        token += 1;
        ask(
            site,
            "register-connection",
            &json!({"connection_name": "x"}),
            "2001:db8:1:2::5",
        )
    };
    assert!((60..=75).contains(&until_told(register, 400)));
    // The same site by another of its addresses, and another site.
    assert_eq!(
        ask(site, "list-tables", &nobody, "2001:db8:1:2:ffff::1").status,
        429
    );
    assert_eq!(
        ask(site, "list-tables", &nobody, "2001:db8:1:3::1").status,
        401
    );
    // A peer behind the same address is not held up.
    let request = giving
        .request("list-tables", json!({}))
        .header("x-forwarded-for", "192.0.2.11");
    for _ in 0..80 {
        site.peer(&request).unwrap().expect(200);
    }
    let status = Request::new("GET", "/sync/api/status").header("x-forwarded-for", "192.0.2.11");
    for _ in 0..80 {
        site.peer(&status).unwrap().expect(200);
    }
}

#[test]
fn a_password_is_tried_five_times_a_minute_and_the_right_one_comes_too_late() {
    let site = strict().with("incoming.mode", "require_password").start();
    let set = json!({"incoming_password": "open sesame"});
    site.admin("PATCH", "/settings", Some(&set)).expect(200);
    let attempt = |at: usize, password: &str, from: &str| {
        ask(
            &site,
            "register-connection",
            &registration(at, Some(password)),
            from,
        )
    };
    let mut at = 0;
    let guessed = until_told(
        || {
            at += 1;
            attempt(at, "guess", "203.0.113.9")
        },
        401,
    );
    assert_eq!(guessed, 5);
    assert_eq!(attempt(9, "open sesame", "203.0.113.9").status, 429);
    assert_eq!(attempt(9, "open sesame", "203.0.113.10").status, 200);
    // Without a password nothing is guessed.
    assert_eq!(
        ask(
            &site,
            "register-connection",
            &registration(8, None),
            "203.0.113.9"
        )
        .status,
        401
    );
}

#[test]
fn wrong_tokens_of_the_admin_api_are_put_off_and_right_ones_are_not() {
    let site = strict().start();
    let right = site.token().to_owned();
    let ask = |token: &str| {
        let request =
            Request::new("GET", "/api/v1/site").header("authorization", &format!("Bearer {token}"));
        request.send(&site.admin_address()).expect("an answer")
    };
    let mut refused = 0;
    while ask("wrong").status == 401 {
        refused += 1;
        assert!(refused < 100);
    }
    assert!((30..=40).contains(&refused), "{refused}");
    let answer = ask("wrong");
    assert_eq!(
        (answer.status, answer.header("retry-after").is_some()),
        (429, true)
    );
    assert_eq!(ask(&right).status, 200);
}
