//! Both sides over every order of offers, answers, losses, delays and repetitions: they always understand each other, and in the
//! end they agree on one key.

use std::collections::{HashSet, VecDeque};

use super::{CHECKS, Check, Heard, Held, Offer, Reply, Stage, reply};
use crate::model::connection::Direction;

/// A key: who made it, and its generation. Nobody made the first.
type Key = (Option<Direction>, u32);

/// One side with its keys, and what is known of those that were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Side {
    current: Key,
    second: Option<(Stage, Key)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Message {
    /// A key, signed with another.
    Offer(Key, Key),
    /// That it was taken, or what else became of it.
    Taken(Key),
    Crossed(Key),
    /// Any other request, signed with this key.
    Word(Key),
}

/// Both sides, and what is under way to each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    sides: [Side; 2],
    under_way: [Vec<Message>; 2],
    orders: u8,
}

const DIRECTIONS: [Direction; 2] = [Direction::Sender, Direction::Receiver];
/// Messages that may be under way to one side.
const MOST: usize = 2;

impl Side {
    fn held(&self) -> Held {
        Held {
            current: self.current.1,
            second: self.second.map(|(stage, key)| (stage, key.1)),
        }
    }

    /// The key it would check a signature of this generation with.
    fn key(&self, generation: u32) -> Option<Key> {
        let second = self.second.map(|(_, key)| key);
        [Some(self.current), second]
            .into_iter()
            .flatten()
            .find(|key| key.1 == generation)
    }

    fn adopt(&mut self) {
        if let Some((Stage::Offered, key)) = self.second {
            self.second = Some((Stage::Previous, self.current));
            self.current = key;
        }
    }

    /// A request signed with `key` arrived.
    fn hears(&mut self, key: Key) {
        if self.key(key.1) != Some(key) {
            return;
        }
        match self.held().heard(key.1) {
            Heard::HasOffered => {
                self.adopt();
                self.second = None;
            }
            Heard::UsesCurrent => self.second = None,
            Heard::Nothing => {}
        }
    }
}

impl World {
    fn new() -> Self {
        let side = Side {
            current: (None, 1),
            second: None,
        };
        Self {
            sides: [side; 2],
            under_way: [Vec::new(), Vec::new()],
            orders: 0,
        }
    }

    fn send(&self, to: usize, message: Message) -> Option<Self> {
        let mut next = self.clone();
        if next.under_way[to].len() >= MOST || next.under_way[to].contains(&message) {
            return None;
        }
        next.under_way[to].push(message);
        Some(next)
    }

    /// What `at` can do by itself: begin, offer again, or say something else.
    fn moves_of(&self, at: usize, orders: u8) -> Vec<Self> {
        let (side, other) = (self.sides[at], 1 - at);
        let mut next = vec![self.send(other, Message::Word(side.current))];
        match side.second {
            None if self.orders < orders => {
                let mut begun = self.clone();
                let key = (Some(DIRECTIONS[at]), side.current.1 + 1);
                begun.sides[at].second = Some((Stage::Offered, key));
                begun.orders += 1;
                next.push(Some(begun));
            }
            Some((Stage::Offered, key)) => {
                next.push(self.send(other, Message::Offer(key, side.current)));
                // Where the peer has forgotten the old key, the new one is what it understands.
                next.push(self.send(other, Message::Offer(key, key)));
            }
            _ => {}
        }
        next.into_iter().flatten().collect()
    }

    /// The message number `which` to `at` arrives; with `checks` as what offers are held against.
    fn arrival(&self, at: usize, which: usize, checks: &[Check]) -> Option<Self> {
        let mut next = self.clone();
        let is_there = next.under_way[at].len() > which;
        let message = is_there.then(|| next.under_way[at].remove(which))?;
        let other = 1 - at;
        match message {
            Message::Word(key) => next.sides[at].hears(key),
            Message::Offer(key, signed) => {
                let side = &mut next.sides[at];
                // It may be signed with the key it offers while everything else still is with the one before: it
                // says nothing of what the peer uses.
                if side.key(signed.1) == Some(signed) {
                    let offer = Offer {
                        generation: key.1,
                        signed_with: signed.1,
                        is_current: side.current == key,
                    };
                    let reply = reply(checks, DIRECTIONS[at], side.held(), offer);
                    if reply == Reply::Take {
                        side.second = Some((Stage::Previous, side.current));
                        side.current = key;
                    }
                    let answer = match reply {
                        Reply::Take | Reply::Known => Message::Taken(key),
                        Reply::Crossed => Message::Crossed(key),
                        Reply::Stale => return Some(next),
                    };
                    return next.send(other, answer);
                }
            }
            Message::Taken(key) => {
                if next.sides[at].second == Some((Stage::Offered, key)) {
                    next.sides[at].adopt();
                }
            }
            Message::Crossed(key) => {
                let side = &mut next.sides[at];
                let is_mine = side.second == Some((Stage::Offered, key));
                if is_mine && DIRECTIONS[at] == Direction::Receiver {
                    side.second = None;
                }
            }
        }
        Some(next)
    }

    fn successors(&self, orders: u8, checks: &[Check]) -> Vec<Self> {
        let mut next = Vec::new();
        for at in [0, 1] {
            next.extend(self.moves_of(at, orders));
            next.extend((0..MOST).filter_map(|which| self.arrival(at, which, checks)));
            if !self.under_way[at].is_empty() {
                let mut lost = self.clone();
                lost.under_way[at].remove(0);
                next.push(lost);
                let first = self.under_way[at][0];
                if self.under_way[at].len() < MOST {
                    let mut repeated = self.clone();
                    repeated.under_way[at].push(first);
                    next.push(repeated);
                }
            }
        }
        next
    }

    /// What each side signs with, the other accepts.
    fn is_understood(&self) -> bool {
        [0, 1].into_iter().all(|at| {
            let key = self.sides[at].current;
            self.sides[1 - at].key(key.1) == Some(key)
        })
    }

    /// With nothing lost any more: whether both sides end with one key, the one before forgotten.
    fn agrees_in_the_end(&self, checks: &[Check]) -> bool {
        let mut world = self.clone();
        world.under_way = [Vec::new(), Vec::new()];
        for turn in 0..24 {
            let moves = world.moves_of(turn % 2, 0);
            let Some(mut next) = moves.into_iter().nth(turn / 2 % 3) else {
                continue;
            };
            while let Some(arrived) = (0..2).find_map(|to| next.arrival(to, 0, checks)) {
                next = arrived;
            }
            world = next;
        }
        let [one, other] = world.sides;
        one.current == other.current && one.second.is_none() && other.second.is_none()
    }
}

/// Every world that can come about; the first that is wrong.
fn search(orders: u8, checks: &[Check]) -> (usize, Option<World>) {
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([World::new()]));
    while let Some(world) = queue.pop_front() {
        if !world.is_understood() || !world.agrees_in_the_end(checks) {
            return (seen.len(), Some(world));
        }
        for next in world.successors(orders, checks) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), None)
}

#[test]
fn both_sides_understand_each_other_at_every_moment_and_agree_in_the_end() {
    let (worlds, wrong) = search(2, &CHECKS);
    assert_eq!(wrong, None);
    assert!(worlds > 1_000, "{worlds}");
    println!("rotation: {worlds} worlds, in each both sides understand each other");
}

#[test]
fn without_any_one_of_the_checks_some_order_of_messages_parts_the_two_sides() {
    for left_out in 0..CHECKS.len() {
        let kept: Vec<Check> = CHECKS
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != left_out)
            .map(|(_, check)| *check)
            .collect();
        let (_, wrong) = search(2, &kept);
        println!("without check {left_out}: {}", wrong.is_some());
        assert!(wrong.is_some(), "check {left_out} keeps nothing out");
    }
}

#[test]
fn a_key_of_any_other_generation_than_the_next_is_not_taken() {
    let held = Held {
        current: 5,
        second: Some((Stage::Previous, 4)),
    };
    for (generation, signed_with, is_current, expected) in [
        (6, 5, false, Reply::Take),
        (6, 4, false, Reply::Stale),
        (6, 6, false, Reply::Stale),
        (5, 5, true, Reply::Known),
        (5, 4, true, Reply::Known),
        (5, 5, false, Reply::Crossed),
        (7, 5, false, Reply::Stale),
        (4, 5, false, Reply::Stale),
        (0, 5, false, Reply::Stale),
        (u32::MAX, 5, false, Reply::Stale),
    ] {
        let offer = Offer {
            generation,
            signed_with,
            is_current,
        };
        let found = reply(&CHECKS, Direction::Receiver, held, offer);
        assert_eq!(found, expected, "{offer:?}");
    }
    let last = Held {
        current: u32::MAX,
        second: None,
    };
    let beyond = Offer {
        generation: 0,
        signed_with: u32::MAX,
        is_current: false,
    };
    assert_eq!(
        reply(&CHECKS, Direction::Receiver, last, beyond),
        Reply::Stale
    );
}
