//! Registering, telling and finding connections.

use serde_json::{Value, json};

use super::{ANY, BASES, CLAIMED, OTHER, TOKEN, ask, case, check, checked, hash, refusal, world};
use crate::support::http::Request;

#[test]
fn connections_are_registered_told_of_and_found_as_published() {
    let world = world();
    let url = world.giving.stranger.url();
    let own = json!({"sender_url": CLAIMED, "auth_token_hash": hash(TOKEN)});
    let with = |extra: &Value| {
        let mut body = own.clone();
        for (key, value) in extra.as_object().expect("an object") {
            body[key] = value.clone();
        }
        body
    };
    let elsewhere = json!({"sender_url": "https://elsewhere.example.com"});
    let not_found = (404, refusal("Connection not found"));
    let gone = (404, json!({"success": false, "exists": false}));
    let exists = (200, json!({"success": true, "exists": true}));
    let registered = (
        200,
        json!({"success": true, "message": "Connection registered and waiting for approval",
            "connection_status": "pending", "connection_uuid": ANY, "evenkeel": ANY}),
    );
    let offer =
        |url: &str| json!({"sender_url": url, "connection_name": "kiel", "auth_token": TOKEN});
    let updated = |status: &str| {
        let words = format!("Status updated to {status}");
        (200, json!({"success": true, "message": words}))
    };
    let receiver = json!({"receiver_url": "not looked at", "auth_token_hash": world.giving.hash});
    let mut cases = vec![
        case(
            "a repeated offer",
            "register-connection",
            offer(CLAIMED),
            registered.clone(),
        ),
        case(
            "the same URL written otherwise",
            "register-connection",
            offer("HTTPS://Hamburg.example.com:443/"),
            registered,
        ),
        case(
            "a URL that is none",
            "register-connection",
            offer("hamburg"),
            (400, refusal(ANY)),
        ),
        case(
            "its own row",
            "verify-connection",
            own.clone(),
            exists.clone(),
        ),
        case(
            "its own row, the URL written otherwise",
            "verify-connection",
            with(&json!({"sender_url": "HTTPS://Hamburg.example.com:443/"})),
            exists.clone(),
        ),
        case(
            "the row that gives, by the other's URL",
            "verify-connection",
            json!({"sender_url": url, "auth_token_hash": world.giving.hash}),
            exists,
        ),
        case(
            "another URL",
            "verify-connection",
            with(&elsewhere),
            gone.clone(),
        ),
        case(
            "no URL",
            "verify-connection",
            with(&json!({"sender_url": "no url"})),
            gone.clone(),
        ),
        case(
            "another hash",
            "verify-connection",
            with(&json!({"auth_token_hash": hash(OTHER)})),
            gone.clone(),
        ),
        case(
            "the token itself",
            "verify-connection",
            with(&json!({"auth_token_hash": TOKEN})),
            gone,
        ),
        case(
            "another URL",
            "update-status",
            with(&json!({"sender_url": "https://x.example.com", "status": "active"})),
            not_found.clone(),
        ),
        case(
            "a row that receives is not looked at",
            "get-connection-status",
            json!({"receiver_url": CLAIMED, "auth_token_hash": hash(TOKEN)}),
            not_found.clone(),
        ),
        case(
            "a row that gives",
            "get-connection-status",
            receiver,
            (
                200,
                json!({"success": true, "status": "active", "name": "hamburg"}),
            ),
        ),
        case(
            "a suspended row that gives",
            "get-connection-status",
            json!({"receiver_url": "x", "auth_token_hash": world.suspended.hash}),
            (
                200,
                json!({"success": true, "status": "suspended", "name": "bremen"}),
            ),
        ),
        case(
            "another URL",
            "delete-connection",
            with(&elsewhere),
            not_found,
        ),
    ];
    for status in ["suspended", "active"] {
        cases.push(case(
            "a status",
            "update-status",
            with(&json!({"status": status})),
            updated(status),
        ));
    }
    for status in ["pending", "expired", "severed", "ACTIVE", "on"] {
        let invalid = (400, refusal("Invalid status value"));
        // Before the row is looked for.
        let body = json!({"sender_url": "https://x.example.com", "auth_token_hash": "x", "status": status});
        cases.push(case(
            "no status that a peer may set",
            "update-status",
            body,
            invalid,
        ));
    }
    cases.push(case(
        "revoked",
        "update-status",
        with(&json!({"status": "revoked"})),
        updated("revoked"),
    ));
    checked(&world.site, cases);

    for (base, token) in BASES.iter().zip([TOKEN, OTHER]) {
        let mut body = offer(CLAIMED);
        body["auth_token"] = token.into();
        ask(&world.site, "register-connection", &body).expect(200);
        let body = with(&json!({"auth_token_hash": hash(token)}));
        let request = Request::new("POST", &format!("{base}/delete-connection")).json(&body);
        let deleted = world
            .site
            .peer(&request)
            .expect("an answer")
            .expect(200)
            .json();
        assert_eq!(
            deleted,
            json!({"success": true, "message": "Connection deleted"}),
            "{base}"
        );
        let again = case(
            "what is deleted",
            "delete-connection",
            body,
            (404, refusal("Connection not found")),
        );
        check(&world.site, &again);
    }
}
