//! What is not sent: nothing to a site that cannot show who it is, no token where others could read it.

use serde_json::json;

use crate::support::daemon::{Output, Site};
use crate::support::http::Request;
use crate::support::sqlite;
use crate::support::tls::{Authority, Issued};
use crate::tls::EMPTY;

/// A public address of the documentation's own kind would be refused for that; this one is only never reached.
const PUBLIC: &str = "http://93.184.216.34";

fn site(name: &str, authority: &Authority) -> Site {
    Site::builder(name)
        .sqlite(|path| sqlite::execute(path, EMPTY))
        .trusting(authority)
        .start()
}

fn offer(site: &Site, url: &str) -> Output {
    site.cli(&["connect", url, "--all-tables", "--name", "hq"])
}

#[test]
fn a_site_whose_certificate_is_not_accepted_is_told_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let berlin = site("berlin", &authority);
    let here = &["127.0.0.1"][..];
    let cases: [(&str, Issued, &[&str]); 4] = [
        (
            "an unknown authority",
            stranger.issue(here),
            &[
                "an authority that this site does not know",
                "outgoing.ca_file",
            ],
        ),
        (
            "another name",
            authority.issue(&["hq.example.com"]),
            &["it is for hq.example.com, not for 127.0.0.1"],
        ),
        (
            "expired",
            authority.issue_for_years(here, 2020, 2024),
            &["it expired at 2024-01-01T00:00:00Z", "renew"],
        ),
        (
            "not valid yet",
            authority.issue_for_years(here, 2080, 2090),
            &["it is not valid before 2080-01-01T00:00:00Z", "clocks"],
        ),
    ];
    for (name, issued, words) in cases {
        let hq = Site::builder("hq")
            .sqlite(|_| {})
            .encrypted(&authority, "127.0.0.1")
            .certified("server.tls", &issued)
            .start();
        let refused = offer(&berlin, &hq.url());
        assert_eq!(refused.code, 4, "{name}: {refused:#?}");
        for words in ["certificate of 127.0.0.1 is not accepted"]
            .iter()
            .chain(words)
        {
            assert!(refused.stderr.contains(words), "{name}: {refused:#?}");
        }
        for site in [&berlin, &hq] {
            assert_eq!(site.get("/connections")["items"], json!([]), "{name}");
        }
    }
}

#[test]
fn a_listener_that_speaks_the_other_language_is_told_from_one_that_is_away() {
    let authority = Authority::new();
    let (berlin, plain) = (site("berlin", &authority), site("hq", &authority));
    let url = plain.url().replacen("http", "https", 1);
    let offered = offer(&berlin, &url);
    assert_eq!(offered.code, 0, "{offered:#?}");
    let id = berlin.get("/connections")["items"][0]["id"].clone();
    let asked = berlin.cli(&["connections", "verify", id.as_str().unwrap()]);
    let log = berlin.log();
    assert!(log.contains("does not speak TLS"), "{asked:#?}\n{log}");
}

#[test]
fn no_token_goes_over_plain_http_to_a_place_that_nobody_named() {
    let authority = Authority::new();
    let berlin = site("berlin", &authority);
    let refused = offer(&berlin, PUBLIC);
    assert_ne!(refused.code, 0, "{refused:#?}");
    assert!(refused.stderr.contains("use https"), "{refused:#?}");
    assert_eq!(berlin.get("/connections")["items"], json!([]));

    // A connection that is there cannot be moved to such a place either.
    let hq = site("hq", &authority);
    offer(&berlin, &hq.url());
    let moved = berlin.cli(&["connections", "edit", "hq", "--url", PUBLIC]);
    assert_ne!(moved.code, 0, "{moved:#?}");
    assert!(moved.stderr.contains("use https"), "{moved:#?}");
    assert_eq!(berlin.get("/connections")["items"][0]["url"], hq.url());
}

#[test]
fn a_peer_that_could_not_be_called_back_is_not_approved() {
    let site = site("hq", &Authority::new());
    let token = "t".repeat(43);
    let request = Request::new("POST", "/sync/api/register-connection").json(&json!({
        "sender_url": PUBLIC, "connection_name": "berlin", "auth_token": token,
    }));
    site.peer(&request).unwrap().expect(200);
    let refused = site.cli(&["connections", "approve", "berlin"]);
    assert_ne!(refused.code, 0, "{refused:#?}");
    assert!(refused.stderr.contains("use https"), "{refused:#?}");
    assert_eq!(site.get("/connections")["items"][0]["status"], "pending");
    let rejected = site.cli(&["connections", "reject", "berlin"]);
    assert_eq!(rejected.code, 0, "{rejected:#?}");
}
