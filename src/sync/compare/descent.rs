//! The way down: which nodes to ask about next, in the order of their places.
//!
//! Pure. Nodes are listed as soon as nothing that stands before them is still to be divided, and the deepest are divided
//! first. Invariant: of each level no more waits than the children of one question, so that however many rows the other
//! side says it has, what is held of its words is bounded; and it is held to them by listings before it says more.

use std::collections::{BTreeMap, VecDeque};

use crate::wire::frame::RowSum;
use crate::wire::session::{MAX_LISTED, MAX_NODES};
use crate::wire::tally::{LEVELS, Prefix};

/// Rows of one listing, of both sides: half of what may be asked for.
const LISTED_AT_ONCE: u64 = MAX_LISTED / 2;
/// Above this level no listing is kept.
const FIRST_LISTED: u8 = 2;

/// A node in which both sides differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub prefix: Prefix,
    /// What the other side said of it.
    pub there: RowSum,
    /// As many rows as the side with more of them has.
    pub rows: u64,
}

impl Node {
    /// The nodes whose listings are its own: itself, or near the root its children.
    pub fn listed(self) -> impl Iterator<Item = Prefix> {
        let is_itself = self.prefix.level() >= FIRST_LISTED;
        let itself = is_itself.then_some(self.prefix);
        let children = (!is_itself).then(|| self.prefix.children());
        itself.into_iter().chain(children.into_iter().flatten())
    }
}

/// What to ask both sides next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The children of these, which are of one level.
    Children(Vec<Node>),
    /// The rows of these.
    Rows(Vec<Node>),
}

/// Nodes that are still to be looked into.
#[derive(Debug)]
pub struct Descent {
    /// To be divided, by level, each in order: the deepest are last, and stand before all others.
    divide: Vec<VecDeque<Node>>,
    /// To be listed.
    list: BTreeMap<Prefix, Node>,
    /// So many rows are listed at once: fewer where their keys are long.
    rows_at_once: u64,
}

impl Descent {
    /// From the root, of which the other side says `there`.
    #[must_use]
    pub fn from_root(there: RowSum) -> Self {
        let root = Node {
            prefix: Prefix::ROOT,
            there,
            rows: there.rows,
        };
        Self {
            divide: vec![VecDeque::from([root])],
            list: BTreeMap::new(),
            rows_at_once: LISTED_AT_ONCE,
        }
    }

    /// What to ask next; none: everything was looked into.
    pub fn ask(&mut self) -> Option<Question> {
        let deepest = self.divide.last().and_then(VecDeque::front);
        let first = deepest.map(|node| node.prefix);
        let is_before = |node: &&Node| first.is_none_or(|first| node.prefix < first);
        let (leaves, is_full) =
            at_once(self.list.values().take_while(is_before), self.rows_at_once);
        match self.divide.last_mut().filter(|_| !is_full) {
            Some(level) => {
                let nodes = level.drain(..level.len().min(MAX_NODES)).collect();
                if level.is_empty() {
                    self.divide.pop();
                }
                Some(Question::Children(nodes))
            }
            None if leaves == 0 => None,
            None => {
                let listed = std::iter::from_fn(|| self.list.pop_first());
                Some(Question::Rows(
                    listed.take(leaves).map(|(_, node)| node).collect(),
                ))
            }
        }
    }

    /// What was found below the nodes whose children were asked for last.
    pub fn add(&mut self, mut divide: Vec<Node>, list: Vec<Node>) {
        self.list
            .extend(list.into_iter().map(|node| (node.prefix, node)));
        if !divide.is_empty() {
            divide.sort_unstable_by_key(|node| node.prefix);
            self.divide.push(divide.into());
        }
    }

    /// The rows that were asked for last were listed: keys may be shorter again behind them.
    pub fn listed(&mut self) {
        let more = self.rows_at_once / 16 + 1;
        self.rows_at_once = self.rows_at_once.saturating_add(more).min(LISTED_AT_ONCE);
    }

    /// The rows of `leaves`, which were asked for last, are too many for one listing: they are asked for again in smaller
    /// parts, and one leaf alone is divided.
    ///
    /// # Errors
    /// The leaf, where it is alone and cannot be divided.
    pub fn too_many(&mut self, leaves: Vec<Node>) -> Result<(), Node> {
        let rows = leaves.iter().map(|leaf| leaf.rows);
        self.rows_at_once = rows.fold(0, u64::saturating_add).min(self.rows_at_once) / 2;
        let alone = leaves.first().copied().filter(|_| leaves.len() == 1);
        match alone {
            None => self.add(Vec::new(), leaves),
            Some(leaf) if leaf.prefix.level() >= LEVELS => return Err(leaf),
            // It stands before all others.
            Some(leaf) => self.add(vec![leaf], Vec::new()),
        }
        Ok(())
    }
}

/// How many of `leaves`, at least one, are listed at once, and whether no more would be.
fn at_once<'a>(leaves: impl Iterator<Item = &'a Node>, most: u64) -> (usize, bool) {
    let (mut count, mut nodes, mut rows) = (0, 0, 0_u64);
    for leaf in leaves {
        nodes += leaf.listed().count();
        rows = rows.saturating_add(leaf.rows);
        if count > 0 && (nodes > MAX_NODES || rows > most) {
            return (count, true);
        }
        count += 1;
    }
    (count, false)
}

#[cfg(test)]
mod tests;
