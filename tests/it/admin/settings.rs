//! `/settings`: what may be changed while running, and what file or environment keep to themselves.

use serde_json::json;

use crate::admin::{orders, problem, site};
use crate::support::daemon::Site;

#[test]
fn settings_are_changed_while_running_and_survive_a_restart() {
    let mut site = site();
    assert_eq!(site.get("/settings")["incoming_mode"], "require_approval");
    let changes = json!({"incoming_mode": "require_password", "incoming_password": "open sesame"});
    let changed = site.admin("PATCH", "/settings", Some(&changes)).expect(200);
    assert!(!changed.text().contains("sesame") && !changed.text().contains("argon2"));
    assert_eq!(changed.json()["incoming_password_set"], true);
    site.restart();
    let kept = site.get("/settings");
    assert_eq!(kept["incoming_mode"], "require_password");
    assert_eq!(kept["incoming_password_set"], true);
    let removed = site.admin(
        "PATCH",
        "/settings",
        Some(&json!({"incoming_password": null})),
    );
    assert_eq!(removed.expect(200).json()["incoming_password_set"], false);
    let audit = site.get("/audit").to_string();
    assert!(
        audit.contains("settings.change") && !audit.contains("sesame"),
        "{audit}"
    );
}

#[test]
fn what_the_file_sets_rules_and_the_refusal_names_the_place() {
    let site = Site::builder("berlin")
        .sqlite(orders)
        .with("incoming.mode", "deny_all")
        .environment("EVENKEEL__PEER__ENABLED", "false")
        .start();
    for (changes, place) in [
        (json!({"incoming_mode": "auto_accept"}), "evenkeel.toml"),
        (json!({"enabled": true}), "EVENKEEL__PEER__ENABLED"),
    ] {
        let refused = site.admin("PATCH", "/settings", Some(&changes));
        let problem = problem(refused, 409, "set-elsewhere");
        assert!(
            problem["detail"].as_str().unwrap().contains(place),
            "{problem}"
        );
    }
    let kept = site.get("/settings");
    assert_eq!(
        (&kept["incoming_mode"], &kept["enabled"]),
        (&json!("deny_all"), &json!(false))
    );
    let fine = json!({"incoming_password": "x"});
    site.admin("PATCH", "/settings", Some(&fine)).expect(200);
}

#[test]
fn a_setting_that_makes_no_sense_changes_nothing() {
    let site = site();
    for (changes, field) in [
        (json!({"incoming_mode": "everybody"}), "incoming_mode"),
        (json!({"enabled": "yes"}), "enabled"),
        (
            json!({"enabled": false, "incoming_password": ""}),
            "incoming_password",
        ),
        (json!({"enabled": false, "colour": "red"}), "colour"),
    ] {
        let refused = site.admin("PATCH", "/settings", Some(&changes));
        assert_eq!(
            problem(refused, 422, "invalid")["errors"][0]["field"],
            field
        );
    }
    assert_eq!(site.get("/settings")["enabled"], true);
}
