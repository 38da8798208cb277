//! Which faults are tried again, when, and what the run says of each.

use super::{NextStep, assess};
use crate::remote::RemoteError;

#[test]
fn a_fault_in_the_middle_of_a_peers_stream_or_scan_is_tried_again_when_it_may_pass() {
    let cases = [
        ("table_changed", NextStep::Retry),
        ("table_locked", NextStep::Retry),
        ("database_lost", NextStep::Retry),
        ("read_denied", NextStep::Retry),
        ("unreadable_value", NextStep::GiveUp),
        ("table_not_granted", NextStep::GiveUp),
        ("of_a_later_version", NextStep::GiveUp),
    ];
    let statuses = [200, 409];
    let cases = cases
        .iter()
        .flat_map(|case| statuses.map(|status| (status, *case)));
    for (status, (code, expected)) in cases {
        let refused = RemoteError::Refused {
            host: "hq.example.com".to_owned(),
            status,
            message: String::new(),
            code: Some(code.to_owned()),
            retry_after: None,
        };
        let (told, step) = assess(&refused.into());
        assert_eq!(step, expected, "{code}");
        // What needs a person says what to do.
        let is_known = code != "of_a_later_version";
        let needs_words = is_known && step == NextStep::GiveUp;
        assert!(told.hint.is_some() || !needs_words, "{code}");
    }
}

#[test]
fn trouble_of_the_peers_own_is_waited_for_and_named_where_it_is_known() {
    for (code, hint) in [
        (Some("read_denied"), "its database login"),
        (Some("of_a_later_version"), "its log"),
        (None, "its log"),
    ] {
        let refused = RemoteError::Refused {
            host: "hq.example.com".to_owned(),
            status: 500,
            message: String::new(),
            code: code.map(str::to_owned),
            retry_after: None,
        };
        let (told, step) = assess(&refused.into());
        assert_eq!(step, NextStep::Retry);
        assert!(told.hint.unwrap().contains(hint), "{code:?}");
    }
}

#[test]
fn a_peer_that_calls_the_connection_inactive_is_told_apart_from_other_refusals() {
    for (words, expected) in [
        ("Connection is not active", "connection_not_active"),
        ("Invalid connection", "peer_refused"),
    ] {
        let refused = RemoteError::Refused {
            host: "hq.example.com".to_owned(),
            status: 403,
            message: words.to_owned(),
            code: None,
            retry_after: None,
        };
        assert_eq!(assess(&refused.into()).0.code, expected, "{words}");
    }
}
