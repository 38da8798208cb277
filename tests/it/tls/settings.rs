//! `config check` and the start with certificates that are wrong.

use crate::support::daemon::Site;
use crate::support::tls::{Authority, Issued};

#[test]
fn wrong_files_are_told_all_at_once_by_check_and_at_start() {
    let (one, other) = (Authority::new(), Authority::new());
    let mixed = Issued {
        certificate: one.issue(&["a.example"]).certificate,
        key: other.issue(&["a.example"]).key,
    };
    let mut site = Site::builder("berlin")
        .sqlite(|_| {})
        .certified("server.tls", &mixed)
        .with("admin.tls.certificate", "/nowhere/cert.pem")
        .with("outgoing.ca_file", "evenkeel.toml")
        .with("healing.interval", "soon")
        .build();
    let checked = site.cli(&["config", "check"]);
    assert_eq!(checked.code, 2, "{checked:#?}");
    let lines: Vec<&str> = checked.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{checked:#?}");
    for words in [
        "admin.tls.key: is not set, but certificate is",
        "healing.interval: must be a time",
        "outgoing.ca_file: evenkeel.toml holds no certificate in PEM form",
        "does not belong to the first certificate in",
    ] {
        let told = lines.iter().any(|line| line.contains(words));
        assert!(told, "{words}: {checked:#?}");
    }
    site.spawn(&[]);
    assert_eq!(site.wait().code(), Some(2));
    assert!(site.log().contains("does not belong"), "{}", site.log());
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let expired = Authority::new().issue_for_years(&["127.0.0.1"], 2020, 2021);
    let site = Site::builder("berlin")
        .sqlite(|_| {})
        .certified("server.tls", &expired)
        .build();
    let checked = site.cli(&["config", "check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (0, "ok\n"));
    let words = "warning: ";
    assert!(checked.stderr.starts_with(words), "{checked:#?}");
    assert!(checked.stderr.contains("expired at 2021-01-01T00:00:00Z"));
    let json = site.cli(&["--json", "config", "check"]).stdout;
    assert!(
        json.contains("\"key\":\"server.tls.certificate\""),
        "{json}"
    );
}
