//! SIGHUP: what a running daemon takes over, and what it says of the rest.

use std::io::Write as _;
use std::net::TcpStream;

use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::proxy::Link;
use crate::support::tls::{Authority, Issued, connect};
use crate::support::wait;

/// Changes the settings as an operator does, in the file.
fn rewrite(site: &Site, change: impl FnOnce(&mut toml::Table)) {
    let text = std::fs::read_to_string(site.config()).unwrap();
    let mut settings: toml::Table = text.parse().unwrap();
    change(&mut settings);
    std::fs::write(site.config(), settings.to_string()).unwrap();
}

fn set(settings: &mut toml::Table, section: &str, key: &str, value: &str) {
    let section = settings
        .entry(section)
        .or_insert_with(|| toml::Table::new().into());
    section
        .as_table_mut()
        .unwrap()
        .insert(key.to_owned(), value.into());
}

/// Sends SIGHUP and waits until the log says `words` once more.
fn reload(site: &Site, words: &str) -> String {
    let before = site.log().len();
    site.signal(Signal::HUP);
    wait::until(&format!("the log says {words}"), wait::LONG, || {
        let said = site.log()[before..].to_owned();
        said.contains(words).then_some(said)
    })
}

fn shows(site: &Site, authority: &Authority, issued: &Issued) -> bool {
    let stream = connect(site.peer_address(), &authority.client(&[])).unwrap();
    let own = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    stream.conn.peer_certificates().unwrap().first() == Some(&own)
}

#[test]
fn a_renewed_certificate_is_shown_at_once_while_a_pull_over_the_old_one_goes_on() {
    let authority = Authority::new();
    let columns = "create table notes (id integer primary key, words text)";
    let fill = format!(
        "{columns}; with recursive n (id) as (select 1 union all select id + 1 from n where id < 100000)
         insert into notes select id, 'note number ' || id || hex(randomblob(20)) from n"
    );
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, &fill),
        Database::with(Kind::Sqlite, columns),
    )
    .encrypted(&authority)
    .start();
    pair.link.set(Link::StallAfter(2_000_000));
    let id = pair.order(&["notes"]);
    pair.run_until(&id, "rows come in", |run| {
        run["progress"]["rows"].as_u64() > Some(0)
    });

    let renewed = authority.issue(&["127.0.0.1"]);
    assert!(!shows(&pair.giver, &authority, &renewed));
    pair.giver.renew(&renewed);
    reload(&pair.giver, "reloaded");
    assert!(shows(&pair.giver, &authority, &renewed));

    pair.link.set(Link::Whole);
    let run = pair.run_is(&id, "completed");
    assert_eq!(run["attempt"], 1, "{run:#}");
    assert_eq!(run["changes"]["added"], 100_000, "{run:#}");
}

#[test]
fn a_broken_certificate_or_file_changes_nothing_and_is_told() {
    let authority = Authority::new();
    let first = authority.issue(&["127.0.0.1"]);
    let site = Site::builder("berlin")
        .sqlite(|_| {})
        .encrypted(&authority, "127.0.0.1")
        .certified("server.tls", &first)
        .start();
    let other = authority.issue(&["127.0.0.1"]);
    let mixed = Issued {
        certificate: other.certificate.clone(),
        key: first.key.clone(),
    };
    site.renew(&mixed);
    rewrite(&site, |settings| {
        set(settings, "incoming", "mode", "deny_all");
    });
    let said = reload(&site, "nothing was taken over");
    assert!(said.contains("server.tls.key: the key in"), "{said}");
    assert!(shows(&site, &authority, &first));
    assert_eq!(site.get("/settings")["incoming_mode"], "require_approval");

    // In order again: all of it is taken over.
    site.renew(&other);
    reload(&site, "reloaded");
    assert!(shows(&site, &authority, &other));
    assert_eq!(site.get("/settings")["incoming_mode"], "deny_all");

    rewrite(&site, |settings| {
        set(settings, "healing", "interval", "soon");
    });
    let said = reload(&site, "nothing was taken over");
    assert!(said.contains("healing.interval: must be a time"), "{said}");
    assert!(shows(&site, &authority, &other));
}

#[test]
fn what_can_be_taken_over_is_and_what_needs_a_restart_is_named_until_it_comes() {
    let mut site = Site::builder("berlin").sqlite(|_| {}).start();
    let settings = |site: &Site| -> Value { site.get("/settings") };
    assert_eq!(settings(&site)["set_in"], serde_json::json!({}));
    rewrite(&site, |settings| {
        set(settings, "incoming", "mode", "deny_all");
        set(settings, "limits", "max_body_bytes", "1KiB");
        set(settings, "log", "level", "debug");
        set(settings, "site", "name", "munich");
        set(settings, "runs", "give_up_after", "1m");
    });
    let said = reload(&site, "reloaded");
    for words in [
        "site.name was changed; it takes effect at the next start",
        "runs.give_up_after was changed",
        "[\"incoming.mode\", \"limits.max_body_bytes\", \"log.level\"]",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let now = settings(&site);
    assert_eq!(now["incoming_mode"], "deny_all");
    let file = site.config().display().to_string();
    assert_eq!(now["set_in"]["incoming_mode"], file.as_str());
    let large = serde_json::json!({"name": "x".repeat(2_000), "role": "viewer"});
    site.post("/tokens", &large).expect(413);
    wait::until("the log is at debug", wait::LONG, || {
        let mut stream = TcpStream::connect(site.peer_address()).ok()?;
        stream.write_all(b"no HTTP\r\n\r\n").ok()?;
        let log = site.log();
        log.contains("a connection broke off").then_some(())
    });
    assert_eq!(site.get("/site")["name"], "berlin");

    let said = reload(&site, "reloaded");
    assert!(said.contains("site.name was changed"), "{said}");
    assert!(said.contains("changed=[]"), "{said}");
    site.restart();
    assert_eq!(site.get("/site")["name"], "munich");
    let said = reload(&site, "reloaded");
    assert!(!said.contains("was changed"), "{said}");
}

#[test]
fn an_authority_that_was_added_is_trusted_after_a_reload() {
    let (first, second) = (Authority::new(), Authority::new());
    let hq = Site::builder("hq")
        .sqlite(|_| {})
        .encrypted(&second, "127.0.0.1")
        .start();
    let berlin = Site::builder("berlin")
        .sqlite(|_| {})
        .trusting(&first)
        .start();
    let offer = || berlin.cli(&["connect", &hq.url(), "--all-tables"]);
    assert_eq!(offer().code, 4);
    let both = format!("{}{}", first.pem(), second.pem());
    std::fs::write(berlin.folder().join("ca.pem"), both).unwrap();
    reload(&berlin, "reloaded");
    let offered = offer();
    assert_eq!(offered.code, 0, "{offered:#?}");
    assert!(offered.stdout.contains("pending"), "{offered:#?}");
}
