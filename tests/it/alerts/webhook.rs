//! A web address: it gets the same, is tried again, and stays a secret.

use crate::alerts::{events, quick, status_of};
use crate::support::wait;
use crate::support::webhook::Webhook;

#[test]
fn a_web_address_gets_each_event_once_although_it_was_down_meanwhile() {
    let hook = Webhook::start();
    hook.answer(500);
    let pair = quick().taker("alerts.url", hook.url()).start();
    pair.destination.execute("drop table notes");
    assert_eq!(pair.pull(&["notes"]).output.code, 1);
    let failed = wait::until("the address refuses", wait::LONG, || {
        status_of(&pair, "alerts_undelivered")
    });
    assert!(
        failed["message"].as_str().unwrap().contains("500"),
        "{failed:#}"
    );

    hook.answer(200);
    wait::until("it is told", wait::LONG, || {
        (!hook.posted().is_empty()).then_some(())
    });
    let told = hook.posted().remove(0);
    assert_eq!(told["event"], "run_failed", "{told:#}");
    assert_eq!(told["what"], "notes from berlin", "{told:#}");
    assert!(
        told["hint"]
            .as_str()
            .unwrap()
            .contains("evenkeel pull berlin notes"),
        "{told:#}"
    );

    pair.pull(&["notes", "--create", "--yes"]).completed();
    wait::until("it is told that it is over", wait::LONG, || {
        (events(&hook.posted()) == ["run_failed", "run_failed_over"]).then_some(())
    });
    assert!(status_of(&pair, "alerts_undelivered").is_none());
    let log = pair.taker.log();
    assert!(log.contains("an alert was not delivered"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_command_and_a_web_address_together_are_a_fault_of_the_settings() {
    let site = crate::support::daemon::Site::builder("berlin")
        .sqlite(|_| {})
        .with("alerts.command", vec!["/bin/true"])
        .with("alerts.url", "https://chat.example/hunter2")
        .build();
    let checked = site.cli(&["config", "check"]);
    assert_eq!(checked.code, 2, "{checked:#?}");
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(
        said.contains("alerts.url: is set beside alerts.command"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn doctor_says_that_a_command_cannot_be_run_before_it_is_needed() {
    let site = crate::support::daemon::Site::builder("berlin")
        .sqlite(|_| {})
        .with("alerts.command", vec!["/no/such/program"])
        .start();
    let checked = site.cli(&["doctor"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    assert!(checked.stdout.contains("/no/such/program"), "{checked:#?}");
}
