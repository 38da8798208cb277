//! `POST verify-connection`

use serde_json::json;

use super::{answers, giving, missing, refuses_nonsense, says_it_is_disabled};

#[test]
fn a_connection_is_found_by_url_and_token_and_its_absence_has_an_exact_answer() {
    says_it_is_disabled("verify-connection");
    let giving = giving(json!(["orders"]));
    let site = &giving.site;
    let fields = ["sender_url", "auth_token_hash"];
    answers(
        site,
        "verify-connection",
        &json!({}),
        400,
        &missing(&fields),
    );
    refuses_nonsense(site, "verify-connection", &fields);
    let gone = json!({"success": false, "exists": false});
    for url in ["https://elsewhere.example.com", "no url"] {
        giving.answers("verify-connection", json!({"sender_url": url}), 404, &gone);
    }
    let other_token =
        json!({"sender_url": giving.stranger.url(), "auth_token_hash": "0".repeat(64)});
    answers(site, "verify-connection", &other_token, 404, &gone);
    let known = json!({"sender_url": format!("{}/", giving.stranger.url())});
    let exists = json!({"success": true, "exists": true});
    giving.answers("verify-connection", known.clone(), 200, &exists);
    giving.decide("revoke");
    giving.answers("verify-connection", known, 200, &exists);
}
