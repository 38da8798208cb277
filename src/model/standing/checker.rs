//! Two sides and the wire between them, as a world whose every course can be tried.
//!
//! The sides' steps are the functions the daemon runs, or broken ones that show what the checks see. The wire loses,
//! repeats and reorders; a side restarts, or is restored from a backup taken at any moment before.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::Status;
use crate::model::fixture;
use crate::model::standing::{Standing, Word};

/// The steps that can be broken.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) heard: fn(Standing, Word) -> Standing,
    pub(super) not_known: fn(Standing, Timestamp) -> Standing,
}

/// How often what may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) decisions: u8,
    pub(super) sends: u8,
    pub(super) repeats: u8,
    pub(super) restores: u8,
    pub(super) waits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Exchange,
    ExchangeAnswer,
    Deletion,
    DeletionAnswer,
    UnknownAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    to: usize,
    kind: Kind,
    status: Status,
    epoch: i64,
    seen_epoch: i64,
}

impl Message {
    fn of(to: usize, kind: Kind, word: Word) -> Self {
        let Word {
            status,
            epoch,
            seen_epoch,
        } = word;
        Self {
            to,
            kind,
            status,
            epoch,
            seen_epoch,
        }
    }

    fn word(&self) -> Word {
        Word {
            status: self.status,
            epoch: self.epoch,
            seen_epoch: self.seen_epoch,
        }
    }
}

/// What can happen next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Decide(usize, Status),
    Delete(usize),
    Send(usize),
    /// The message at this place arrives, and stays on its way when repeated.
    Arrive(usize, bool),
    Lose(usize),
    Restart(usize),
    BackUp(usize),
    Restore,
    /// Longer than a peer may not know us.
    Wait,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) sides: [Standing; 2],
    wire: Vec<Message>,
    backup: Option<(usize, Standing)>,
    left: Budget,
    /// Since when no backup, which sides know of an end: because they decided it, or took it.
    knows_end: [bool; 2],
    hour: u8,
}

fn is_over(status: Status) -> bool {
    matches!(status, Status::Severed | Status::Revoked)
}

/// A registered connection's side of which neither has heard anything since.
fn new_side(local: Status, remote: Status) -> Standing {
    let mut connection = fixture::connection(local, remote);
    (connection.epoch, connection.acked_epoch) = (0, 0);
    Standing::from(&connection)
}

impl World {
    /// One side offered the connection and the other has it as `there`: approved or not yet.
    pub(super) fn new(there: Status, left: Budget) -> Self {
        Self {
            sides: [
                new_side(Status::Active, there),
                new_side(there, Status::Active),
            ],
            wire: vec![],
            backup: None,
            left,
            knows_end: [false; 2],
            hour: 0,
        }
    }

    fn now(&self) -> Timestamp {
        fixture::now() + SignedDuration::from_hours(i64::from(self.hour))
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![];
        for (at, side) in self.sides.iter().enumerate() {
            if self.left.decisions > 0 && !side.deleted {
                let decided: &[Status] = match side.local {
                    Status::Pending => &[Status::Active, Status::Revoked],
                    Status::Active => &[Status::Suspended, Status::Revoked],
                    Status::Suspended => &[Status::Active, Status::Revoked],
                    _ => &[],
                };
                steps.extend(decided.iter().map(|status| Step::Decide(at, *status)));
                steps.push(Step::Delete(at));
            }
            if self.left.sends > 0 && (side.is_undelivered() || side.is_kept_up()) {
                steps.push(Step::Send(at));
            }
            if !self.wire.is_empty() {
                steps.push(Step::Restart(at));
            }
            if self.left.restores > 0 && self.backup.is_none() {
                steps.push(Step::BackUp(at));
            }
        }
        for at in 0..self.wire.len() {
            steps.push(Step::Arrive(at, false));
            steps.push(Step::Lose(at));
            if self.left.repeats > 0 {
                steps.push(Step::Arrive(at, true));
            }
        }
        if self.left.restores > 0 && self.backup.is_some() {
            steps.push(Step::Restore);
        }
        if self.left.waits > 0 && self.sides.iter().any(|side| side.unknown.is_some()) {
            steps.push(Step::Wait);
        }
        steps
    }

    /// The world after `step`.
    ///
    /// # Errors
    /// What must not have happened.
    pub(super) fn after(&self, step: Step, rules: Rules) -> Result<Self, String> {
        let mut next = self.clone();
        match step {
            Step::Decide(at, status) => {
                next.left.decisions -= 1;
                next.sides[at] = self.sides[at].decided(status);
                next.knows_end[at] |= status == Status::Revoked;
            }
            Step::Delete(at) => {
                next.left.decisions -= 1;
                next.sides[at] = self.sides[at].discarded();
            }
            Step::Send(at) => {
                next.left.sends -= 1;
                next.put(request(at, &self.sides[at]));
            }
            Step::Arrive(at, repeated) => {
                let message = next.wire[at];
                if repeated {
                    next.left.repeats -= 1;
                } else {
                    next.wire.remove(at);
                }
                if let Some(answer) = next.arrive(message, rules)? {
                    next.put(answer);
                }
            }
            Step::Lose(at) => drop(next.wire.remove(at)),
            Step::Restart(at) => {
                // What it asked finds nobody, and what it was about to be asked as well.
                next.wire
                    .retain(|message| message.to != at && is_request(message.kind));
            }
            Step::BackUp(at) => next.backup = Some((at, self.sides[at])),
            Step::Restore => {
                next.left.restores -= 1;
                if let Some((at, side)) = next.backup.take() {
                    next.sides[at] = side;
                    next.knows_end[at] = side.local == Status::Revoked || side.is_ended_by_peer();
                }
            }
            Step::Wait => {
                next.left.waits -= 1;
                next.hour += 1;
            }
        }
        next.check()?;
        Ok(next)
    }

    fn put(&mut self, message: Message) {
        self.wire.push(message);
        self.wire.sort_unstable();
    }

    /// What becomes of one message, and the answer to it.
    fn arrive(&mut self, message: Message, rules: Rules) -> Result<Option<Message>, String> {
        let (at, other) = (message.to, 1 - message.to);
        let before = self.sides[at];
        let is_found = !before.deleted && !before.peer_deleted;
        let unknown = Message::of(other, Kind::UnknownAnswer, NOTHING);
        let (after, answer) = match message.kind {
            Kind::Exchange | Kind::Deletion if !is_found => (before, Some(unknown)),
            Kind::Exchange => {
                let after = (rules.heard)(before, message.word());
                let answer = Message::of(other, Kind::ExchangeAnswer, after.word());
                (after, Some(answer))
            }
            Kind::Deletion => {
                // The answer says which deletion it is for, as the connection it comes on does.
                let answer = Message::of(other, Kind::DeletionAnswer, message.word());
                (before.heard_deletion(), Some(answer))
            }
            Kind::ExchangeAnswer => ((rules.heard)(before, message.word()), None),
            Kind::DeletionAnswer if before.deleted => (before.acknowledged(before.epoch), None),
            Kind::DeletionAnswer => (before, None),
            Kind::UnknownAnswer => ((rules.not_known)(before, self.now()), None),
        };
        if (after.local, after.deleted) != (before.local, before.deleted) {
            return Err(format!("{message:?} changed what was decided: {before:?}"));
        }
        let is_late = message.epoch <= before.remote_epoch && before.unknown.is_none();
        if is_late && after.remote < before.remote {
            return Err(format!(
                "{message:?} came late and lifted something: {before:?}"
            ));
        }
        self.sides[at] = after;
        self.knows_end[at] |= after.is_ended_by_peer();
        Ok(answer)
    }

    fn check(&self) -> Result<(), String> {
        for (at, side) in self.sides.iter().enumerate() {
            if side.status() < side.local {
                return Err(format!("side {at} is less strict than decided: {side:?}"));
            }
            if self.knows_end[at] && !side.deleted && !is_over(side.status()) {
                return Err(format!("side {at} came back to life: {side:?}"));
            }
        }
        Ok(())
    }

    /// The link is whole again: each side does once what the healing loop does, `first` before the other; where one of
    /// them says that it does not know the other, often enough.
    ///
    /// # Errors
    /// When they do not agree then.
    pub(super) fn settles(&self, first: usize, rules: Rules) -> Result<(), String> {
        let mut world = self.clone();
        world.wire.clear();
        let mut loops = 0;
        loop {
            for at in [first, 1 - first] {
                world.act(at, rules)?;
            }
            world.check()?;
            loops += 1;
            if world.sides.iter().all(|side| side.unknown.is_none()) || loops == 3 {
                break;
            }
            world.hour += 1;
        }
        world.agrees().map_err(|why| {
            format!(
                "{why} {:?} and {:?}, from {:?} and {:?}",
                world.sides[0], world.sides[1], self.sides[0], self.sides[1]
            )
        })
    }

    /// As the healing loop does for one connection.
    fn act(&mut self, at: usize, rules: Rules) -> Result<(), String> {
        let mut is_first = true;
        for _ in 0..3 {
            let side = self.sides[at];
            if !(side.is_undelivered() || is_first && side.is_kept_up()) {
                return Ok(());
            }
            let Some(answer) = self.arrive(request(at, &side), rules)? else {
                return Ok(());
            };
            self.arrive(answer, rules)?;
            if answer.kind != Kind::ExchangeAnswer || self.sides[at].is_settled_by(answer.word()) {
                return Ok(());
            }
            is_first = true;
        }
        Ok(())
    }

    fn agrees(&self) -> Result<(), &'static str> {
        let [one, two] = self.sides;
        // Who waits for its administrator calls nobody, and hears of the end when he decides.
        let waits = |side: &Standing| side.local == Status::Pending;
        if waits(&one) || waits(&two) {
            let flows = one.status() == Status::Active && two.status() == Status::Active;
            return if flows {
                Err("rows flow unapproved:")
            } else {
                Ok(())
            };
        }
        let over = |side: &Standing| side.deleted || is_over(side.status());
        if over(&one) || over(&two) {
            return if over(&one) && over(&two) {
                Ok(())
            } else {
                Err("over on one side only:")
            };
        }
        let is_mutual = one.remote == two.local && two.remote == one.local;
        if !is_mutual || one.is_undelivered() || two.is_undelivered() {
            return Err("no agreement:");
        }
        Ok(())
    }
}

const NOTHING: Word = Word {
    status: Status::Pending,
    epoch: 0,
    seen_epoch: 0,
};

fn is_request(kind: Kind) -> bool {
    matches!(kind, Kind::Exchange | Kind::Deletion)
}

fn request(from: usize, side: &Standing) -> Message {
    let kind = if side.deleted {
        Kind::Deletion
    } else {
        Kind::Exchange
    };
    Message::of(1 - from, kind, side.word())
}

/// Tries every course that begins so, and from every world of it that both sides agree once the link is whole. How many
/// worlds there are, and how many steps lead to them.
///
/// # Errors
/// The first course, in words, that ends where it must not.
pub(super) fn try_everything(begin: World, rules: Rules) -> Result<(usize, usize), String> {
    let mut seen = HashSet::new();
    let mut next = vec![begin];
    let mut steps = 0;
    while let Some(world) = next.pop() {
        for first in 0..2 {
            world.settles(first, rules)?;
        }
        for step in world.steps() {
            steps += 1;
            let after = world
                .after(step, rules)
                .map_err(|why| format!("{why} after {step:?}"))?;
            if seen.insert(after.clone()) {
                next.push(after);
            }
        }
    }
    Ok((seen.len(), steps))
}
