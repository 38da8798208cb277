//! One side's state is restored from a backup: both agree again after one loop, and nothing that was ended comes back.

use std::path::PathBuf;

use super::{becomes, decide, healed, pair, status};
use crate::support::daemon::Site;
use crate::support::pair::{Pair, connection};
use crate::support::wait;

fn files(site: &Site) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    ["state.db", "state.db-wal", "state.db-shm"]
        .map(|name| {
            let kept = site.folder().join(format!("kept-{name}"));
            (site.folder().join(name), kept)
        })
        .into_iter()
}

/// A backup of the state, taken while the daemon was down for a moment.
pub(super) fn back_up(site: &mut Site) {
    site.stop();
    for (file, kept) in files(site) {
        if file.exists() {
            std::fs::copy(&file, &kept).unwrap();
        }
    }
    site.start();
}

/// The state is as it was when it was backed up.
pub(super) fn restore(site: &mut Site) {
    site.kill9();
    for (file, kept) in files(site) {
        drop(std::fs::remove_file(&file));
        if kept.exists() {
            std::fs::copy(&kept, &file).unwrap();
        }
    }
    site.start();
}

#[test]
fn a_decision_that_was_lost_is_lost_on_both_sides() {
    let mut pair = pair().start();
    back_up(&mut pair.giver);
    decide(&pair.giver, &pair.taker, "suspend");
    becomes(&pair.taker, &pair.giver, "suspended");
    restore(&mut pair.giver);
    becomes(&pair.taker, &pair.giver, "active");
    assert_eq!(status(&pair.giver, &pair.taker), "active");
    wait::until("the audit says so", wait::LONG, || {
        let audit = pair.giver.get("/audit?limit=200").to_string();
        audit.contains("connection.told_anew").then_some(())
    });
}

#[test]
fn a_restored_side_hears_again_what_the_peer_said() {
    let mut pair = pair().start();
    back_up(&mut pair.giver);
    decide(&pair.taker, &pair.giver, "suspend");
    becomes(&pair.giver, &pair.taker, "suspended");
    restore(&mut pair.giver);
    becomes(&pair.giver, &pair.taker, "suspended");
    assert_eq!(status(&pair.taker, &pair.giver), "suspended");
}

#[test]
fn a_lost_decision_and_a_new_one_are_told_apart() {
    let mut pair = pair().start();
    back_up(&mut pair.giver);
    decide(&pair.giver, &pair.taker, "suspend");
    becomes(&pair.taker, &pair.giver, "suspended");
    pair.taker.kill9();
    restore(&mut pair.giver);
    decide(&pair.giver, &pair.taker, "revoke");
    pair.taker.start();
    becomes(&pair.taker, &pair.giver, "severed");
}

/// Revokes on one side, which is then restored to before that.
fn revoked_and_restored(revokes: fn(&mut Pair) -> (&mut Site, &mut Site)) {
    let mut pair = pair().start();
    let (one, other) = revokes(&mut pair);
    back_up(one);
    decide(one, other, "revoke");
    becomes(other, one, "severed");
    restore(one);
    let ended = wait::until("severed", wait::LONG, || {
        assert_eq!(status(other, one), "severed", "it came back to life");
        let row = connection(one, other.name());
        (row["status"] == "severed").then_some(row)
    });
    assert_eq!(ended["local_status"], "active");
    let reason = ended["status_reason"].as_str().unwrap();
    assert!(reason.contains("restored from a backup"), "{reason}");
    assert!(healed(one, "connection.peer_status"));
}

#[test]
fn what_the_giver_revoked_does_not_come_back_with_its_backup() {
    revoked_and_restored(|pair| (&mut pair.giver, &mut pair.taker));
}

#[test]
fn what_the_taker_revoked_does_not_come_back_with_its_backup() {
    revoked_and_restored(|pair| (&mut pair.taker, &mut pair.giver));
}
