//! Two sites with certificates of a private authority.

use serde_json::Value;

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::Request;
use crate::support::pair::Pair;
use crate::support::tls::Authority;
use crate::tls::{EMPTY, ORDERS, ask};

fn findings(site: &Site) -> Vec<Value> {
    let doctor = site.cli(&["--json", "doctor"]);
    let lines = doctor.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn has(findings: &[Value], ok: bool, words: &str) -> bool {
    findings.iter().any(|finding| {
        let what = finding["what"].as_str().unwrap();
        finding["ok"] == ok && what.contains(words)
    })
}

#[test]
fn two_sites_connect_and_pull_over_tls_with_an_authority_of_their_own() {
    let authority = Authority::new();
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, ORDERS),
        Database::with(Kind::Sqlite, EMPTY),
    )
    .encrypted(&authority)
    .start();
    let pulled = pair.pull(&["orders"]).completed();
    assert_eq!(pulled.run["changes"]["added"], 3, "{pulled:#?}");
    let all = "select group_concat(id || item) from orders";
    assert_eq!(pair.destination.query(all), pair.source.query(all));

    let status = Request::new("GET", "/sync/api/status");
    let answer = ask(pair.giver.peer_address(), &authority, &status).unwrap();
    answer.expect(200);
    assert!(
        pair.giver.peer(&status).is_err(),
        "plain HTTP is no language of this listener"
    );

    let found = findings(&pair.taker);
    for words in [
        "peers reach this site encrypted",
        "the certificate of server.tls is valid until 2090-01-01",
        "outgoing.ca_file names 1 besides",
    ] {
        assert!(has(&found, true, words), "{words}: {found:#?}");
    }
}

#[test]
fn doctor_tells_of_certificates_that_will_not_serve() {
    let authority = Authority::new();
    let issued = authority.issue(&["127.0.0.1"]);
    let site = Site::builder("hq")
        .sqlite(|_| {})
        .encrypted(&authority, "127.0.0.1")
        .certified(
            "server.tls",
            &authority.issue_for_years(&["a.example"], 2020, 2021),
        )
        .start();
    let found = findings(&site);
    for words in ["expired at 2021-01-01", "is not for 127.0.0.1"] {
        assert!(has(&found, false, words), "{words}: {found:#?}");
    }
    assert!(
        site.log().contains("expired at 2021-01-01"),
        "{}",
        site.log()
    );
    // Renewed on the disk, but the daemon was not told.
    site.renew(&issued);
    let found = findings(&site);
    assert!(
        has(&found, false, "another than the one in use"),
        "{found:#?}"
    );
}
