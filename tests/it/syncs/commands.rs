//! `sync …`: what a person types, reads, and how each command ends.

use serde_json::{Value, json};

use super::stock;
use crate::support::daemon::Output;
use crate::support::pair::Pair;

fn done(pair: &Pair, arguments: &[&str]) -> Output {
    let output = pair.taker.cli(arguments);
    assert_eq!(output.code, 0, "{arguments:?}: {output:#?}");
    output
}

fn shown(pair: &Pair, name: &str) -> Value {
    let output = done(pair, &["--json", "sync", "show", name]);
    serde_json::from_str(output.stdout.trim()).unwrap()
}

#[test]
fn a_sync_lives_its_life_by_commands() {
    let pair = stock().start();
    pair.destination
        .execute("create table berlin_stock (id integer primary key, n integer not null)");
    let none = done(&pair, &["sync", "list"]);
    assert!(
        none.stdout.is_empty() && none.stderr.contains("sync create"),
        "{none:#?}"
    );
    let made = done(
        &pair,
        &[
            "sync",
            "create",
            "nightly",
            "--from",
            "berlin",
            "--table",
            "stock",
            "--schedule",
            "daily@02:30",
            "--timezone",
            "Europe/Berlin",
            "--mode",
            "insert",
            "--conflict",
            "skip",
        ],
    );
    assert!(made.stderr.contains("It runs next at "), "{made:#?}");
    let listed = done(&pair, &["sync", "list"]).stdout;
    let columns: Vec<&str> = listed.trim_end().split('\t').collect();
    assert_eq!(
        columns[..4],
        ["nightly", "active", "stock", "daily@02:30 Europe/Berlin"],
        "{listed}"
    );
    let sync = shown(&pair, "nightly");
    assert_eq!(sync["created_by"], format!("unix:{}", user()));
    assert_eq!(
        (&sync["sync_mode"], &sync["conflict_strategy"]),
        (&json!("insert"), &json!("skip"))
    );

    let run = done(&pair, &["--json", "sync", "trigger", "nightly"]);
    let run: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&run["status"], &run["changes"]["added"]),
        (&json!("completed"), &json!(3))
    );

    done(
        &pair,
        &[
            "sync",
            "edit",
            "nightly",
            "--name",
            "hourly",
            "--schedule",
            "hourly",
            "--table",
            "stock=berlin_stock",
        ],
    );
    let sync = shown(&pair, "hourly");
    assert_eq!(
        sync["tables"],
        json!([{"source_table": "stock", "destination_table": "berlin_stock"}])
    );
    assert_eq!(sync["schedule"]["frequency"], "hourly");
    done(&pair, &["sync", "trigger", "hourly"]);
    assert_eq!(pair.destination.count("berlin_stock"), 3);

    let paused = done(&pair, &["sync", "pause", "hourly"]);
    assert!(paused.stderr.contains("sync resume hourly"), "{paused:#?}");
    assert_eq!(shown(&pair, "hourly")["status"], "paused");
    done(&pair, &["sync", "resume", "hourly"]);
    done(&pair, &["sync", "edit", "hourly", "--schedule", "none"]);
    let sync = shown(&pair, "hourly");
    assert!(
        sync["status"] == "active" && sync["next_sync_at"].is_null(),
        "{sync:#}"
    );
    let deleted = done(&pair, &["--json", "sync", "delete", "hourly"]);
    assert_eq!(deleted.stdout.trim(), r#"{"status":"deleted"}"#);
}

fn user() -> String {
    let id = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8_lossy(&id.stdout).trim().to_owned()
}

#[test]
fn each_sync_command_ends_with_the_code_that_scripts_rely_on() {
    let pair = stock().start();
    let create = [
        "sync", "create", "stock", "--from", "berlin", "--table", "stock",
    ];
    let cases: [(&[&str], i32, &str); 17] = [
        (&create, 0, "by hand"),
        (&create, 4, "stock"),
        (
            &[
                "sync", "create", "x", "--from", "nobody", "--table", "stock",
            ],
            2,
            "nobody",
        ),
        (&["sync", "create", "x", "--from", "berlin"], 2, "--table"),
        (
            &[
                "sync",
                "create",
                "x",
                "--from",
                "berlin",
                "--table",
                "t",
                "--schedule",
                "never",
            ],
            2,
            "five fields",
        ),
        (
            &[
                "sync",
                "create",
                "x",
                "--from",
                "berlin",
                "--table",
                "t",
                "--schedule",
                "hourly",
                "--timezone",
                "Mars",
            ],
            2,
            "Mars",
        ),
        (
            &[
                "sync", "create", "x", "--from", "berlin", "--table", "t", "--filter", "n = 1",
            ],
            2,
            "--filter",
        ),
        (
            &[
                "sync", "create", "missing", "--from", "berlin", "--table", "missing",
            ],
            0,
            "no table of this name",
        ),
        (&["sync", "trigger", "missing"], 1, "missing"),
        (
            &["sync", "edit", "missing", "--table", "stock=new_stock"],
            0,
            "pull berlin stock=new_stock --create",
        ),
        (
            &["pull", "berlin", "stock=new_stock", "--create", "--yes"],
            0,
            "",
        ),
        (&["sync", "trigger", "missing"], 0, ""),
        (&["sync", "edit", "stock"], 2, "say what to change"),
        (&["sync", "show", "nobody"], 2, "sync list"),
        (&["sync", "delete", "nobody"], 2, "nobody"),
        (&["connections", "suspend", "berlin"], 0, ""),
        (&["sync", "trigger", "stock"], 4, "suspended"),
    ];
    for (arguments, code, words) in cases {
        let output = pair.taker.cli(arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:#?}");
        assert!(output.stderr.contains(words), "{arguments:?}: {output:#?}");
    }
}
