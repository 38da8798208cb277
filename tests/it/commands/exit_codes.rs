//! How each command ends: 0 done, 1 told, 2 wrong usage, 3 nobody there, 4 refused; and on which stream it says why.

use serde_json::Value;

use crate::support::daemon::{Output, Site};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

struct Case {
    arguments: &'static [&'static str],
    code: i32,
    /// What standard error has to say.
    words: &'static [&'static str],
}

const fn case(
    arguments: &'static [&'static str],
    code: i32,
    words: &'static [&'static str],
) -> Case {
    Case {
        arguments,
        code,
        words,
    }
}

const THERE: &str =
    "create table notes (id integer primary key, body text); insert into notes values (1, 'one')";

fn pair() -> Pair {
    let source = Database::with(Kind::Sqlite, THERE);
    Pair::builder(source, Database::empty(Kind::Sqlite)).start()
}

fn check(site: &Site, cases: &[Case]) {
    for case in cases {
        let output = site.cli(case.arguments);
        assert_eq!(output.code, case.code, "{:?}: {output:#?}", case.arguments);
        for word in case.words {
            assert!(
                output.stderr.contains(word),
                "{:?}: `{word}`: {output:#?}",
                case.arguments
            );
        }
        if case.code > 1 {
            assert_eq!(
                output.stdout, "",
                "{:?}: only data on stdout",
                case.arguments
            );
        }
    }
}

#[test]
fn every_command_ends_with_the_code_that_scripts_rely_on() {
    let pair = pair();
    let taker = [
        case(&["config", "check"], 0, &[]),
        case(&["connections"], 0, &[]),
        case(&["tables", "berlin"], 0, &[]),
        case(&["schema", "berlin", "notes"], 0, &[]),
        case(&["records", "berlin", "notes"], 0, &[]),
        case(&["settings"], 0, &[]),
        case(&["status"], 0, &[]),
        case(&["runs"], 0, &[]),
        case(&["connections", "verify", "berlin"], 0, &[]),
        case(&["pull", "berlin", "notes"], 1, &["notes", "--create"]),
        case(&["status"], 1, &[]),
        case(&["pull", "berlin", "notes", "--create", "--yes"], 0, &[]),
        case(&["status"], 0, &[]),
        case(&[], 2, &["Usage"]),
        case(&["frobnicate"], 2, &["frobnicate"]),
        case(&["pull", "berlin"], 2, &["TABLE[=DEST]"]),
        case(
            &["pull", "berlin", "notes", "--mode", "replace"],
            2,
            &["replace"],
        ),
        case(
            &["pull", "berlin", "notes", "--conflict", "newest"],
            2,
            &["version_column"],
        ),
        case(&["diff", "nobody", "notes"], 2, &["nobody"]),
        case(&["runs", "approve", "ffff"], 2, &["ffff"]),
        case(&["pull", "berlin", "a.b.c"], 2, &["a.b.c"]),
        case(&["pull", "nobody", "notes"], 2, &["nobody"]),
        case(
            &["pull", "berlin", "ghosts", "--create", "--yes"],
            1,
            &["ghosts"],
        ),
        case(&["schema", "berlin", "ghosts"], 2, &["ghosts"]),
        case(
            &["runs", "show", "00000000-0000-7000-8000-000000000000"],
            2,
            &["00000000"],
        ),
        case(&["runs", "cancel", "ffff"], 2, &["ffff"]),
        case(
            &["connect", "ftp://example.com", "--tables", "notes"],
            2,
            &["https://"],
        ),
        case(&["connect", "http://127.0.0.1:9"], 2, &["--tables"]),
        case(&["settings", "set", "colour", "blue"], 2, &["colour"]),
        case(&["connections", "reactivate", "berlin"], 0, &[]),
        case(&["connections", "approve", "berlin"], 0, &[]),
        case(&["connections", "reject", "berlin"], 4, &["rejected"]),
        case(
            &[
                "connections",
                "suspend",
                "berlin",
                "--reason",
                "stocktaking",
            ],
            0,
            &[],
        ),
        case(
            &["pull", "berlin", "notes"],
            4,
            &["berlin", "suspended", "this site"],
        ),
        case(&["status"], 1, &[]),
        case(&["connections", "reactivate", "berlin"], 0, &[]),
        case(&["pull", "berlin", "notes"], 0, &[]),
        case(&["connections", "revoke", "berlin"], 0, &[]),
        case(&["connections", "reactivate", "berlin"], 4, &["revoked"]),
        case(&["pull", "berlin", "notes"], 4, &["berlin", "revoked"]),
        case(&["connections", "delete", "berlin"], 0, &[]),
        case(&["connections", "show", "berlin"], 2, &["berlin"]),
    ];
    check(&pair.taker, &taker);
    let giver = [
        case(&["pull", "paris", "notes"], 4, &["paris", "gives"]),
        case(&["connections", "approve", "nobody"], 2, &["nobody"]),
    ];
    check(&pair.giver, &giver);
}

#[test]
fn a_refusal_by_the_peer_says_whose_decision_it_was() {
    let pair = pair();
    let suspended = pair.giver.cli(&["connections", "suspend", "paris"]);
    assert_eq!(suspended.code, 0, "{suspended:#?}");
    // Until the taker has heard of it, the giver itself refuses.
    crate::support::wait::until("the taker has heard", crate::support::wait::LONG, || {
        let pulled = pair
            .taker
            .cli(&["pull", "berlin", "notes", "--create", "--yes"]);
        let says = pulled.stderr.contains("the peer's decision");
        (pulled.code == 4 && says).then_some(())
    });
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_what_was_tried() {
    let database = Database::empty(Kind::Sqlite);
    let site = Site::builder("berlin").database(&database.url()).build();
    let socket = site.folder().join("admin.sock").display().to_string();
    for command in ["connections", "runs", "status", "settings"] {
        let output = site.cli(&[command]);
        assert_eq!(output.code, 3, "{command}: {output:#?}");
        assert!(output.stderr.contains(&socket), "{command}: {output:#?}");
    }
    // What can be checked without the daemon still is.
    let doctor = site.cli(&["doctor"]);
    assert_eq!(doctor.code, 3, "{doctor:#?}");
    for words in ["ok  the settings are valid", &socket, "the key file"] {
        assert!(doctor.stdout.contains(words), "{words}: {doctor:#?}");
    }
    let elsewhere = site.cli(&["--server", "http://127.0.0.1:9", "connections"]);
    assert_eq!(elsewhere.code, 3, "{elsewhere:#?}");
    assert!(
        elsewhere.stderr.contains("http://127.0.0.1:9"),
        "{elsewhere:#?}"
    );
}

#[test]
fn a_token_is_needed_over_http_and_its_role_is_kept() {
    let pair = pair();
    let site = &pair.taker;
    let made = site.cli(&["token", "create", "--role", "viewer", "--name", "monitor"]);
    assert_eq!(
        (made.code, made.stdout.lines().count()),
        (0, 1),
        "the token alone: {made:#?}"
    );
    let address = match site.admin_address() {
        crate::support::http::Address::Tcp(address) => format!("http://{address}"),
        crate::support::http::Address::Unix(_) => panic!("the admin listener is a TCP listener"),
    };
    let call = |token: Option<&str>, arguments: &[&str]| -> Output {
        let mut command = site.command();
        command.args(["--server", &address]).args(arguments);
        command.envs(token.map(|token| ("EVENKEEL_TOKEN", token)));
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let viewer = Some(made.stdout.trim());
    assert_eq!(call(viewer, &["connections"]).code, 0);
    for (token, arguments) in [
        (None, &["connections"][..]),
        (Some("nonsense"), &["connections"]),
        (viewer, &["pull", "berlin", "notes", "--create", "--yes"]),
        (viewer, &["connections", "revoke", "berlin"]),
        (viewer, &["settings", "set", "incoming_mode", "deny_all"]),
    ] {
        let refused = call(token, arguments);
        assert_eq!(refused.code, 4, "{token:?} {arguments:?}: {refused:#?}");
        assert!(!refused.stderr.contains(made.stdout.trim()), "{refused:#?}");
    }
    assert_eq!(site.get("/connections")["items"][0]["status"], "active");

    let listed = site.cli(&["--json", "token", "list"]);
    let tokens = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let monitor = tokens
        .into_iter()
        .find(|token| token["name"] == "monitor")
        .unwrap();
    assert!(!listed.stdout.contains(made.stdout.trim()), "{listed:#?}");
    let revoked = site.cli(&["token", "revoke", monitor["id"].as_str().unwrap()]);
    assert_eq!(revoked.code, 0, "{revoked:#?}");
    assert_eq!(call(viewer, &["connections"]).code, 4);
}

#[test]
fn a_shortened_id_is_enough_when_it_is_not_ambiguous() {
    let pair = pair();
    pair.pull(&["notes", "--create", "--yes"]).completed();
    pair.pull(&["notes"]).completed();
    let runs = pair.taker.get("/runs");
    let ids: Vec<&str> = [0, 1]
        .map(|at| runs["items"][at]["id"].as_str().unwrap())
        .into();
    let same = ids[0]
        .bytes()
        .zip(ids[1].bytes())
        .take_while(|(one, other)| one == other)
        .count();
    let shown = pair
        .taker
        .cli(&["--json", "runs", "show", &ids[0][..=same]]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    assert!(shown.stdout.contains(ids[0]), "{shown:#?}");
    let ambiguous = pair.taker.cli(&["runs", "show", &ids[0][..same]]);
    assert_eq!(ambiguous.code, 2, "{ambiguous:#?}");
    for id in ids {
        assert!(ambiguous.stderr.contains(id), "{ambiguous:#?}");
    }
    let connection = pair.taker.get("/connections")["items"][0]["id"].clone();
    let shortened = &connection.as_str().unwrap()[..8];
    let shown = pair.taker.cli(&["connections", "show", shortened]);
    assert_eq!(shown.code, 0, "{shown:#?}");
}
