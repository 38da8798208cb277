//! Alerts: what was told outlives a restart.

use evenkeel::model::alert::Alert;
use evenkeel::model::trouble::Event;

use super::{State, at, on_both_stores};

on_both_stores!(
    every_field_of_an_alert_comes_back_after_a_restart,
    an_alert_takes_the_place_of_the_one_of_its_cause,
);

fn alert(cause: &str, second: i64) -> Alert {
    Alert {
        cause: cause.to_owned(),
        event: Event::PeerUnreachable,
        what: "connection hq".to_owned(),
        since: at(second),
        message: "https://hq.example cannot be reached".to_owned(),
        hint: "check that it is up".to_owned(),
        seen_at: at(second + 1),
        over_at: None,
        told: false,
        attempts: 0,
        next_attempt_at: None,
        fault: None,
    }
}

async fn every_field_of_an_alert_comes_back_after_a_restart(state: State) {
    let plain = alert("b", 2);
    let full = Alert {
        over_at: Some(at(4)),
        told: true,
        attempts: 3,
        next_attempt_at: Some(at(5)),
        fault: Some("the command ended with exit code 1".to_owned()),
        ..alert("a", 1)
    };
    let store = state.open().await;
    for alert in [&plain, &full] {
        store.put_alert(alert).await.unwrap();
    }
    store.close().await;
    drop(store);
    let store = state.open().await;
    assert_eq!(store.alerts().await.unwrap(), [full, plain]);
}

async fn an_alert_takes_the_place_of_the_one_of_its_cause(state: State) {
    let store = state.open().await;
    store.put_alert(&alert("a", 1)).await.unwrap();
    let newer = Alert {
        told: true,
        message: "a peer may send\0 anything".to_owned(),
        ..alert("a", 2)
    };
    store.put_alert(&newer).await.unwrap();
    let kept = store.alerts().await.unwrap();
    let message = newer.message.replace('\0', "");
    assert_eq!(kept, [Alert { message, ..newer }]);
    store.remove_alert("a").await.unwrap();
    assert_eq!(store.alerts().await.unwrap(), []);
}
