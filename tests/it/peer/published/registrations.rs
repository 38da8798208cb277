//! A site that is closed, or asks for a password.

use serde_json::{Value, json};

use super::{
    ANY, CLAIMED, ENDPOINTS, OTHER, Site, Stranger, TOKEN, ask, case, check, checked, fill,
    missing, refusal,
};

#[test]
fn a_closed_site_says_so_before_it_looks_at_the_request() {
    let closed = |endpoint| {
        case(
            "switched off",
            endpoint,
            json!({}),
            (503, refusal("DB Sync module is disabled")),
        )
    };
    let disabled = Site::builder("berlin")
        .sqlite(fill)
        .with("peer.enabled", false);
    checked(
        &disabled.start(),
        ENDPOINTS.map(|(endpoint, _)| closed(endpoint)).into(),
    );

    let site = Site::builder("berlin")
        .sqlite(fill)
        .with("incoming.mode", "deny_all")
        .start();
    let denied = (403, refusal("Incoming connections are not allowed"));
    let empty = case(
        "closed before missing",
        "register-connection",
        json!({}),
        denied,
    );
    check(&site, &empty);
    // By the administrator's word, without a restart; and then the mode is not asked.
    let switched = |on: bool| {
        let body = json!({"enabled": on});
        site.admin("PATCH", "/settings", Some(&body)).expect(200);
    };
    switched(false);
    for (endpoint, _) in ENDPOINTS {
        check(&site, &closed(endpoint));
    }
    switched(true);
    check(&site, &empty);
}

#[test]
fn registrations_are_refused_in_the_published_order() {
    let site = Site::builder("berlin")
        .sqlite(fill)
        .with("incoming.mode", "require_password")
        .start();
    let stranger = Stranger::start();
    let offer = |url: &str, token: &str, password: Value| json!({"sender_url": url, "connection_name": "kiel", "auth_token": token, "password": password});
    let required = || (401, refusal("Password required"));
    check(
        &site,
        &case(
            "none is configured",
            "register-connection",
            offer(CLAIMED, TOKEN, json!("open sesame")),
            required(),
        ),
    );
    let settings = json!({"incoming_password": "open sesame"});
    site.admin("PATCH", "/settings", Some(&settings))
        .expect(200);
    let known = offer(&stranger.url(), TOKEN, json!("open sesame"));
    let made = ask(&site, "register-connection", &known).expect(200).json();
    let target = format!(
        "/connections/{}/approve",
        made["connection_uuid"].as_str().expect("an id")
    );
    site.post(&target, &json!({})).expect(200);
    let invalid = || (401, refusal("Invalid password"));
    checked(
        &site,
        vec![
            case(
                "missing before the URL",
                "register-connection",
                json!({"sender_url": "ftp://x"}),
                (400, missing(&["connection_name", "auth_token"])),
            ),
            case(
                "the URL before the password",
                "register-connection",
                offer("ftp://x", TOKEN, Value::Null),
                (400, refusal(ANY)),
            ),
            case(
                "the password before what exists",
                "register-connection",
                offer(&stranger.url(), OTHER, Value::Null),
                required(),
            ),
            case(
                "an empty password is none",
                "register-connection",
                offer(&stranger.url(), OTHER, json!("")),
                required(),
            ),
            case(
                "another password before what exists",
                "register-connection",
                offer(&stranger.url(), OTHER, json!("x")),
                invalid(),
            ),
            case(
                "a password that is no text",
                "register-connection",
                offer(CLAIMED, TOKEN, json!(7)),
                (400, refusal("password must be text")),
            ),
            case(
                "another token for a site that was approved",
                "register-connection",
                offer(&stranger.url(), OTHER, json!("open sesame")),
                (409, refusal("Connection already exists for this site")),
            ),
            case(
                "the same token again",
                "register-connection",
                known,
                (
                    200,
                    json!({"success": true,
            "message": "Connection registered and activated", "connection_status": "active",
            "connection_uuid": made["connection_uuid"], "evenkeel": ANY}),
                ),
            ),
        ],
    );
}
