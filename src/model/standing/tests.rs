//! What the rules of a standing lead to: each by itself, and all of them over every course of two sides.

use jiff::SignedDuration;
use proptest::prelude::{any, proptest};
use proptest::test_runner::TestCaseError;

use crate::model::connection::Status;
use crate::model::fixture;
use crate::model::standing::checker::{Budget, Rules, Step, World, try_everything};
use crate::model::standing::{Standing, Word};

const REAL: Rules = Rules {
    heard: Standing::heard,
    not_known: Standing::not_known,
};

/// An approved connection, and one that is about to be.
fn beginnings() -> [World; 2] {
    let approved = Budget {
        decisions: 2,
        sends: 2,
        repeats: 1,
        restores: 1,
        waits: 0,
    };
    let offered = Budget {
        repeats: 0,
        waits: 1,
        ..approved
    };
    [
        World::new(Status::Active, approved),
        World::new(Status::Pending, offered),
    ]
}

#[test]
fn whatever_is_lost_repeated_reordered_or_restored_both_sides_agree_after_one_loop() {
    for begin in beginnings() {
        let began = std::time::Instant::now();
        let (worlds, steps) = try_everything(begin, REAL).unwrap();
        println!(
            "two sides: {worlds} worlds over {steps} steps, each settled from either side, in {:.1} s",
            began.elapsed().as_secs_f64()
        );
        assert!(worlds > 10_000, "{worlds}");
    }
}

/// What is wrong with it, and the rules so broken.
fn broken() -> Vec<(&'static str, Rules)> {
    let heard = |heard| Rules { heard, ..REAL };
    vec![
        (
            "a word of any epoch is taken",
            heard(|side, said| {
                let any = Standing {
                    remote_epoch: said.epoch - 1,
                    ..side
                };
                any.heard(said)
            }),
        ),
        (
            "a later word brings back what was ended",
            heard(|mut side, said| {
                if said.epoch > side.remote_epoch && side.is_ended_by_peer() {
                    side.remote = Status::Suspended;
                }
                side.heard(said)
            }),
        ),
        (
            "who was restored does not go on above",
            heard(|side, said| {
                side.heard(Word {
                    seen_epoch: said.seen_epoch.min(side.epoch),
                    ..said
                })
            }),
        ),
        (
            "another word of the same epoch changes nothing",
            heard(|side, said| {
                let mut after = side.heard(said);
                if said.epoch == side.remote_epoch {
                    after.remote_epoch = side.remote_epoch;
                }
                after
            }),
        ),
        (
            "who knows of an end does not say so",
            heard(|side, said| {
                let after = side.heard(said);
                Standing {
                    contradicted: false,
                    epoch: if after.contradicted {
                        side.epoch
                    } else {
                        after.epoch
                    },
                    ..after
                }
            }),
        ),
        (
            "the peer decides for us",
            heard(|side, said| Standing {
                local: said.status,
                ..side.heard(said)
            }),
        ),
        (
            "who is not known goes on for ever",
            Rules {
                not_known: |side, _| side,
                ..REAL
            },
        ),
    ]
}

#[test]
fn every_broken_rule_is_found_out() {
    for (what, rules) in broken() {
        let found = beginnings()
            .into_iter()
            .try_for_each(|begin| try_everything(begin, rules).map(drop));
        assert!(found.is_err(), "nothing shows that {what}");
        println!("{what}: {}", found.unwrap_err());
    }
}

proptest! {
    #[test]
    fn long_courses_keep_to_it_too(choices in proptest::collection::vec(any::<u16>(), 1..300)) {
        let plenty = Budget { decisions: 40, sends: 60, repeats: 30, restores: 1, waits: 5 };
        let mut world = World::new(Status::Pending, plenty);
        for choice in choices {
            let steps = world.steps();
            let Some(step) = steps.get(usize::from(choice) % steps.len().max(1)) else { break };
            if matches!(step, Step::Delete(_)) && choice % 16 > 0 {
                continue;
            }
            world = world.after(*step, REAL).map_err(TestCaseError::fail)?;
        }
        for first in 0..2 {
            world.settles(first, REAL).map_err(TestCaseError::fail)?;
        }
    }
}

fn active() -> Standing {
    Standing::from(&fixture::active())
}

fn word(status: Status, epoch: i64, seen_epoch: i64) -> Word {
    Word {
        status,
        epoch,
        seen_epoch,
    }
}

#[test]
fn only_a_later_word_is_taken() {
    let side = Standing {
        remote_epoch: 4,
        ..active()
    };
    for (said, remote, seen) in [
        (word(Status::Suspended, 5, 1), Status::Suspended, 5),
        (word(Status::Revoked, 9, 1), Status::Severed, 9),
        (word(Status::Suspended, 3, 1), Status::Active, 4),
        (word(Status::Active, 4, 1), Status::Active, 4),
        (word(Status::Suspended, 4, 1), Status::Active, 5),
    ] {
        let after = side.heard(said);
        assert_eq!(
            (after.remote, after.remote_epoch),
            (remote, seen),
            "{said:?}"
        );
        assert_eq!(after.local, side.local);
    }
}

#[test]
fn whoever_hears_that_more_was_seen_than_it_knows_goes_on_above() {
    let after = active().heard(word(Status::Active, 1, 7));
    assert_eq!((after.epoch, after.acked_epoch), (8, 7));
    assert!(after.is_undelivered());
    let restored_there = Standing {
        epoch: 5,
        acked_epoch: 5,
        ..active()
    };
    let after = restored_there.heard(word(Status::Active, 1, 2));
    assert_eq!((after.epoch, after.acked_epoch), (5, 2));
    assert!(after.is_undelivered());
}

#[test]
fn what_was_ended_is_answered_with_severed_for_good() {
    let ended = active().heard(word(Status::Revoked, 2, 1));
    assert!(ended.is_ended_by_peer() && !ended.is_kept_up());
    let after = ended.heard(word(Status::Active, 9, 1));
    assert_eq!(after.status(), Status::Severed);
    assert_eq!(after.word(), word(Status::Severed, 2, 9));
    assert!(after.is_undelivered());
    assert_eq!(after.heard(word(Status::Active, 10, 2)).epoch, 2);
    let plainly = ended.heard_plainly(Status::Active, true);
    assert_eq!(
        (plainly.status(), plainly.contradicted),
        (Status::Severed, true)
    );
    let unsigned = ended.heard_plainly(Status::Active, false);
    assert_eq!(unsigned.status(), Status::Active);
}

#[test]
fn three_times_over_ten_minutes_sever_until_the_peer_knows_us_again() {
    let at = |minutes| fixture::now() + SignedDuration::from_mins(minutes);
    let after = |minutes: &[i64]| {
        let times = minutes.iter().map(|minutes| at(*minutes));
        times.fold(active(), Standing::not_known)
    };
    for (minutes, status) in [
        (&[0][..], Status::Active),
        (&[0, 10], Status::Active),
        (&[0, 1, 2, 3, 4, 9], Status::Active),
        (&[0, 5, 10], Status::Severed),
        (&[0, -20, 5], Status::Active),
        (&[0, 5, 10, 11], Status::Severed),
    ] {
        assert_eq!(after(minutes).status(), status, "{minutes:?}");
    }
    let severed = after(&[0, 5, 10]);
    assert!(severed.is_kept_up(), "it is asked further");
    assert_eq!(severed.known(), active());
    assert_eq!(
        severed.heard(word(Status::Suspended, 3, 1)).status(),
        Status::Suspended
    );
    let interrupted = after(&[0, 5]).known().not_known(at(10));
    assert_eq!(interrupted.unknown.map(|unknown| unknown.times), Some(1));
    let ended = active().heard(word(Status::Revoked, 2, 1));
    assert_eq!(ended.not_known(at(0)).known().status(), Status::Severed);
}

#[test]
fn where_it_is_over_nobody_has_to_know_us() {
    for side in [active().decided(Status::Revoked), active().discarded()] {
        assert!(side.is_undelivered());
        assert!(!side.not_known(fixture::now()).is_undelivered());
    }
}
