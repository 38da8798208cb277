//! A command: what it gets, that it gets it once, and what becomes of one that fails or hangs.

use std::path::Path;

use serde_json::Value;

use crate::alerts::{events, quick, status_of};
use crate::support::pair::{Pair, PairBuilder};
use crate::support::wait;

/// A pair whose taker runs this script by `/bin/sh`.
fn with_script(script: &str) -> PairBuilder {
    quick().taker("alerts.command", vec!["/bin/sh", "-c", script])
}

/// A pair whose taker's command appends what it gets to `file`.
fn keeping(file: &Path) -> Pair {
    with_script(&format!("cat >> {}", file.display())).start()
}

fn told(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until the command was told of `event`.
fn until_told(file: &Path, event: &str) -> Value {
    wait::until(&format!("{event} is told"), wait::LONG, || {
        told(file).into_iter().find(|told| told["event"] == event)
    })
}

#[test]
fn a_peer_that_goes_is_told_once_and_once_more_when_it_is_back_whatever_restarts_between() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let mut pair = keeping(&file);
    pair.giver.stop();
    let run = pair.order(&["notes"]);
    let gone = until_told(&file, "peer_unreachable");
    let mut fields: Vec<&String> = gone.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["event", "hint", "message", "since", "what"]);
    assert_eq!(gone["what"], "connection berlin", "{gone:#}");
    assert!(
        gone["message"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{gone:#}"
    );
    let seen = status_of(&pair, "peer_unreachable").unwrap();
    assert_eq!(
        (&seen["since"], &seen["hint"]),
        (&gone["since"], &gone["hint"]),
        "{seen:#}"
    );
    assert!(status_of(&pair, "run_waiting").is_some());

    pair.taker.restart();
    pair.taker.kill9();
    pair.taker.start();
    // Something else that is told shows that the old was looked at again.
    let suspended = pair.taker.cli(&[
        "connections",
        "suspend",
        "berlin",
        "--reason",
        "stocktaking",
    ]);
    assert_eq!(suspended.code, 0, "{suspended:#?}");
    until_told(&file, "connection_suspended");
    assert_eq!(
        events(&told(&file)),
        ["peer_unreachable", "connection_suspended"]
    );
    let seen = status_of(&pair, "connection_suspended").unwrap();
    assert!(
        seen["since"].is_string(),
        "since it was first seen: {seen:#}"
    );

    let reactivated = pair.taker.cli(&["connections", "reactivate", "berlin"]);
    assert_eq!(reactivated.code, 0, "{reactivated:#?}");
    until_told(&file, "connection_suspended_over");
    pair.giver.start();
    let over = until_told(&file, "peer_unreachable_over");
    assert!(
        over["message"].as_str().unwrap().starts_with("over: "),
        "{over:#}"
    );
    assert!(over["since"].as_str() > gone["since"].as_str(), "{over:#}");
    pair.run_until(&run, "the run is over", |run| {
        !run["completed_at"].is_null()
    });
    let told = told(&file);
    let mut told = events(&told);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "connection_suspended",
            "connection_suspended_over",
            "peer_unreachable",
            "peer_unreachable_over"
        ]
    );
}

#[test]
fn a_command_that_fails_is_tried_again_and_what_it_said_stands_in_the_log_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, works) = (folder.path().join("told"), folder.path().join("works"));
    let script =
        "test -e $WORKS || { echo mail server hunter2 is down >&2; exit 7; }; cat >> $FILE"
            .replace("$WORKS", &works.display().to_string())
            .replace("$FILE", &file.display().to_string());
    let pair = with_script(&script).start();
    drop(pair.taker.cli(&["connections", "suspend", "berlin"]));
    let failed = wait::until("the command failed", wait::LONG, || {
        status_of(&pair, "alerts_undelivered")
    });
    assert!(
        failed["message"]
            .as_str()
            .unwrap()
            .contains("/bin/sh ended with exit code 7"),
        "{failed:#}"
    );
    assert!(failed["next_attempt_at"].is_string(), "{failed:#}");
    assert!(!failed.to_string().contains("hunter2"), "{failed:#}");
    assert!(pair.taker.log().contains("mail server hunter2 is down"));

    std::fs::write(&works, "").unwrap();
    until_told(&file, "connection_suspended");
    wait::until("status tells no more of it", wait::LONG, || {
        status_of(&pair, "alerts_undelivered")
            .is_none()
            .then_some(())
    });
    assert_eq!(events(&told(&file)), ["connection_suspended"]);
}

#[test]
fn a_command_that_hangs_is_killed_in_time_and_when_the_daemon_stops() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let script = format!("echo $$ >> {}; sleep 1000; true", file.display());
    let started = |times: usize| {
        wait::until("the command runs", wait::LONG, || {
            let ids = std::fs::read_to_string(&file).unwrap_or_default();
            (ids.lines().count() == times).then(|| ids.lines().last().unwrap().to_owned())
        })
    };
    let runs = |id: &str| {
        let words = std::fs::read(format!("/proc/{id}/cmdline"));
        words.is_ok_and(|words| !words.is_empty())
    };
    let mut late = with_script(&script).taker("alerts.timeout", "1s").start();
    drop(late.taker.cli(&["connections", "suspend", "berlin"]));
    let first = started(1);
    let failed = wait::until("the command is late", wait::LONG, || {
        status_of(&late, "alerts_undelivered")
    });
    assert!(
        failed["message"]
            .as_str()
            .unwrap()
            .contains("did not end within 1 s"),
        "{failed:#}"
    );
    assert!(!runs(&first));
    assert!(late.taker.stop().success());

    std::fs::remove_file(&file).unwrap();
    let mut patient = with_script(&script).taker("alerts.timeout", "1h").start();
    drop(patient.taker.cli(&["connections", "suspend", "berlin"]));
    let hanging = started(1);
    assert!(patient.taker.stop().success());
    wait::until("it is killed with the daemon's end", wait::LONG, || {
        (!runs(&hanging)).then_some(())
    });
    patient.taker.start();
    started(2);
    // A daemon that is killed could not end what it started.
    assert!(patient.taker.stop().success());
}
