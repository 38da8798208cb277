//! What an administrator may decide, and what follows.

use crate::model::connection::{Decision, NotAllowed, Status, decide};

#[test]
fn the_stricter_word_rules() {
    let order = [
        Status::Active,
        Status::Pending,
        Status::Suspended,
        Status::Expired,
        Status::Severed,
        Status::Revoked,
    ];
    assert!(order.is_sorted());
}

#[test]
fn revoked_is_final() {
    for decision in [
        Decision::Approve,
        Decision::Reject,
        Decision::Suspend,
        Decision::Reactivate,
    ] {
        assert!(decide(Status::Revoked, Status::Active, decision).is_err());
    }
    assert_eq!(
        decide(Status::Revoked, Status::Active, Decision::Revoke),
        Ok(Status::Revoked)
    );
}

#[test]
fn only_a_pending_connection_can_be_rejected() {
    assert_eq!(
        decide(Status::Pending, Status::Active, Decision::Reject),
        Ok(Status::Revoked)
    );
    let refused = decide(Status::Active, Status::Active, Decision::Reject).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a connection that is active on this side cannot be rejected; suspend or revoke it"
    );
}
#[test]
fn what_the_peer_has_ended_cannot_be_approved_but_everything_else() {
    let outcome = |local, decision| decide(local, Status::Severed, decision);
    for local in [Status::Pending, Status::Active] {
        assert_eq!(outcome(local, Decision::Approve), Err(NotAllowed::Ended));
    }
    assert_eq!(
        outcome(Status::Suspended, Decision::Reactivate),
        Ok(Status::Active)
    );
    assert_eq!(
        outcome(Status::Pending, Decision::Reject),
        Ok(Status::Revoked)
    );
}
