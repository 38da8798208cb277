//! Site, doctor, and what stands beside the API: health, readiness, metrics.

use crate::admin::site;
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::wait;

#[test]
fn a_site_says_who_it_is() {
    let site = site();
    let about = site.get("/site");
    assert_eq!(about["name"], "berlin");
    assert_eq!(about["engine"], "sqlite");
    assert_eq!(about["state"], "sqlite");
    assert_eq!(about["role"], "admin");
    assert!(about["id"].as_str().unwrap().len() == 36 && about["version"].is_string());
}

#[test]
fn a_daemon_is_ready_without_its_site_database_and_says_that_it_is_down() {
    let site = Site::builder("berlin")
        .database("postgresql://nobody@127.0.0.1:1/nothing")
        .start();
    let ready = Request::new("GET", "/readyz")
        .send(&site.admin_address())
        .unwrap();
    let report = ready.expect(200).json();
    assert_eq!(report["ready"], true);
    assert_eq!(report["database"], "down");
    let findings = site.get("/doctor")["findings"].clone();
    let told = findings.as_array().unwrap().iter();
    assert!(
        told.clone()
            .any(|finding| finding["ok"] == false && finding["hint"].is_string())
    );
    assert!(!findings.to_string().contains("nobody@"), "{findings}");
}

#[test]
fn a_daemon_that_does_not_find_its_site_database_says_so_once_at_its_start() {
    let site = Site::builder("berlin")
        .database("postgresql://nobody@127.0.0.1:1/nothing")
        .start();
    let warning = "the site database does not answer";
    wait::until("the warning", wait::LONG, || {
        site.log().contains(warning).then_some(())
    });
    let log = site.log();
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    assert!(
        log.contains("WARN") && log.contains("evenkeel doctor"),
        "{log}"
    );
    assert!(
        !log.contains("nobody@") && !log.contains("Some("),
        "lines are for people, and name no database's URL: {log}"
    );
}

#[test]
fn doctor_warns_of_a_key_that_lies_beside_what_it_opens() {
    let site = site();
    let findings = site.get("/doctor")["findings"].clone();
    let warned = findings.as_array().unwrap().iter().any(|finding| {
        finding["ok"] == false && finding["what"].as_str().unwrap().contains("secret.key")
    });
    assert!(warned, "{findings}");
}

#[test]
fn metrics_count_requests_and_name_no_table() {
    let site = site();
    site.get("/connections");
    let answer = Request::new("GET", "/metrics")
        .send(&site.admin_address())
        .unwrap()
        .expect(200);
    let text = answer.text();
    for line in [
        "evenkeel_build_info{version=",
        "evenkeel_http_requests_total{listener=\"admin\",method=\"GET\",status=\"200\"}",
        "evenkeel_http_connections{listener=\"admin\"}",
        "evenkeel_state_up 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("orders"));
}
