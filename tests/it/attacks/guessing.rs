//! Guessing the incoming password. Where the rate of guesses has no bound, the same list of words gets in.

use serde_json::json;

use crate::support::daemon::{Site, SiteBuilder};
use crate::support::http::Request;

const PASSWORD: &str = "swordfish";
/// Words tried before the right one.
const WRONG: usize = 40;

fn site() -> SiteBuilder {
    Site::builder("berlin")
        .sqlite(|_| {})
        .with("incoming.mode", "require_password")
}

/// How many words are tried, and how many of them get a registration in.
fn tried(site: &Site) -> (usize, usize) {
    let set = json!({"incoming_password": PASSWORD});
    site.admin("PATCH", "/settings", Some(&set)).expect(200);
    let words = (0..WRONG).map(|at| format!("word {at}"));
    let words: Vec<String> = words.chain([PASSWORD.to_owned()]).collect();
    let let_in = words.iter().enumerate().filter(|(at, word)| {
        let body = json!({
            "sender_url": "https://oslo.example.com", "connection_name": "oslo",
            "auth_token": format!("{at:043}"), "password": word,
        });
        let request = Request::new("POST", "/sync/api/register-connection").json(&body);
        let status = site.peer(&request).expect("an answer").status;
        assert!([200, 401, 429].contains(&status), "{status}");
        status == 200
    });
    let successes = let_in.count();
    (words.len(), successes)
}

#[test]
fn a_list_of_words_is_too_long_for_the_rate_of_guesses() {
    let (tries, successes) = tried(&site().without("limits.passwords_per_minute").start());
    println!("password guessing: {tries} attacks, {successes} succeeded");
    assert_eq!(successes, 0);
    let (_, successes) = tried(&site().with("limits.passwords_per_minute", 100_000).start());
    assert_eq!(successes, 1);
}
