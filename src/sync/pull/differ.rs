//! From two tallies to the rows that differ: level by level where both sides have rows, then the listings.
//!
//! Thin: what differs is decided in `sync::compare`, what that means in `sync::plan`. Invariant: what mode and strategy
//! leave as it is wherever it stands is counted by its sums and never listed.

use std::sync::Arc;

use crate::engine::tally::{Tally, TallyError};
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::TableName;
use crate::sync::SyncError;
use crate::sync::compare::{Difference, compare, compare_rows};
use crate::sync::plan::{Effect, effect};
use crate::sync::pull::found::{Entry, Found};
use crate::sync::pull::session::Session;
use crate::sync::scan::ScanError;
use crate::wire::frame::RowSum;
use crate::wire::session::{MAX_LISTED, MAX_NODES};
use crate::wire::tally::{Children, Prefix};

/// A node with no more rows than this on one side alone is listed as a whole.
const LISTED_WHOLE: u64 = 1_024;
/// Rows of one listing, of both sides: half of what may be asked for.
const LISTED_AT_ONCE: u64 = MAX_LISTED / 2;
/// Above this level no listing is kept.
const FIRST_LISTED: u8 = 2;

/// By which rules differences are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) mode: SyncMode,
    pub(super) conflict: ConflictStrategy,
    /// Rows that are only here may be equal by their key to others that come.
    pub(super) folds: bool,
}

/// Both sides of a table, held against each other.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) source: RowSum,
    pub(super) here: RowSum,
    pub(super) found: Found,
}

impl Compared {
    /// Whether both sides have the same rows.
    pub(super) fn is_equal(&self) -> bool {
        self.source == self.here
    }
}

/// One table under comparison.
pub(super) struct Differ<'a> {
    pub(super) session: &'a Session<'a>,
    /// As the source names it.
    pub(super) source: &'a TableName,
    /// As it is named here.
    pub(super) table: &'a TableName,
    pub(super) here: Arc<Tally>,
    pub(super) rules: Rules,
}

/// A node whose rows are to be listed, and how many there are at most.
type Leaf = (Prefix, u64);

impl Differ<'_> {
    /// Everything that differs, given what the source says of the root.
    pub(super) async fn run(self, root: Children) -> Result<Compared, SyncError> {
        let (source, here) = (root.iter().copied().sum(), self.here.total());
        let mut found = Found::default();
        if source != here {
            let leaves = self.descend(root, &mut found).await?;
            self.list(leaves, &mut found).await?;
        }
        Ok(Compared {
            source,
            here,
            found,
        })
    }

    /// The nodes whose rows differ, in order.
    async fn descend(&self, root: Children, found: &mut Found) -> Result<Vec<Leaf>, SyncError> {
        let mut leaves = Vec::new();
        let mut nodes = vec![Prefix::ROOT];
        let mut known = Some(vec![root]);
        while !nodes.is_empty() {
            let mut deeper = Vec::new();
            for asked in nodes.chunks(MAX_NODES) {
                let here = self.here_of(asked, Tally::children);
                let (here, there) = match known.take() {
                    Some(there) => (here.await?, there),
                    None => tokio::try_join!(here, self.session.sums(self.source, asked))?,
                };
                let step = compare(asked, &here, &there);
                deeper.extend(step.divide);
                leaves.extend(step.list);
                for (node, rows) in step.only_there {
                    let is_wanted = self.effect(Difference::ONLY_THERE) != Effect::Leave;
                    match is_wanted {
                        false => found.leave_there(rows),
                        true => put(node, rows.rows, &mut leaves, &mut deeper),
                    }
                }
                for (node, rows) in step.only_here {
                    let is_gone = self.effect(Difference::ONLY_HERE) != Effect::Leave;
                    match is_gone || self.rules.folds {
                        false => found.leave_here(rows),
                        true => put(node, rows.rows, &mut leaves, &mut deeper),
                    }
                }
            }
            nodes = deeper;
        }
        let mut leaves: Vec<Leaf> = leaves.into_iter().flat_map(listable).collect();
        leaves.sort_unstable();
        Ok(leaves)
    }

    /// The rows of `leaves` that differ.
    async fn list(&self, leaves: Vec<Leaf>, found: &mut Found) -> Result<(), SyncError> {
        let mut rest = leaves.as_slice();
        while !rest.is_empty() {
            let (asked, behind) = rest.split_at(at_once(rest));
            rest = behind;
            let nodes: Vec<Prefix> = asked.iter().map(|(node, _)| *node).collect();
            let here = self.here_of(&nodes, Tally::listing);
            let there = self.session.listing(self.source, &nodes);
            let (here, there) = tokio::try_join!(here, there)?;
            for ((leaf, here), there) in nodes.iter().zip(&here).zip(&there) {
                self.compare_leaf(*leaf, here, there, found)?;
            }
        }
        Ok(())
    }

    fn compare_leaf(
        &self,
        leaf: Prefix,
        here: &[u8],
        there: &[u8],
        found: &mut Found,
    ) -> Result<(), SyncError> {
        let differing = compare_rows(here, there).map_err(|err| self.fault(err.into()))?;
        let mut places = differing.there.places();
        for (key, difference) in differing.rows {
            let at = match difference {
                Difference::OnlyHere(_) => 0,
                _ => places.next().unwrap_or_default(),
            };
            let entry = Entry {
                effect: self.effect(difference),
                leaf,
                at,
                key,
                difference,
            };
            match difference {
                Difference::OnlyHere(hash)
                    if entry.effect == Effect::Leave && !self.rules.folds =>
                {
                    let mut left = RowSum::default();
                    left.count(hash.0);
                    found.leave_here(left);
                }
                _ => found.add(&entry)?,
            }
        }
        Ok(())
    }

    fn effect(&self, difference: Difference) -> Effect {
        effect(self.rules.mode, self.rules.conflict, difference)
    }

    /// Asks our own tally, which may have to read its file.
    async fn here_of<T: Send + 'static>(
        &self,
        nodes: &[Prefix],
        ask: fn(&Tally, &[Prefix]) -> Result<T, TallyError>,
    ) -> Result<T, SyncError> {
        let (tally, nodes) = (Arc::clone(&self.here), nodes.to_vec());
        let asked = tokio::task::spawn_blocking(move || ask(&tally, &nodes)).await;
        match asked {
            Ok(told) => told.map_err(|err| self.fault(err)),
            Err(_) => Err(ScanError::Broken(self.table.clone()).into()),
        }
    }

    fn fault(&self, source: TallyError) -> SyncError {
        let table = self.table.clone();
        ScanError::Tally { table, source }.into()
    }
}

/// A node of one side alone: listed when small, divided when not.
fn put(node: Prefix, rows: u64, leaves: &mut Vec<Leaf>, deeper: &mut Vec<Prefix>) {
    let is_last = node.children().next().is_none();
    match rows <= LISTED_WHOLE || is_last {
        true => leaves.push((node, rows)),
        false => deeper.push(node),
    }
}

/// Nodes near the root are listed by their children.
fn listable((node, rows): Leaf) -> Vec<Leaf> {
    match node.level() < FIRST_LISTED {
        true => node.children().map(|child| (child, rows)).collect(),
        false => vec![(node, rows)],
    }
}

/// How many of `leaves`, at least one, are listed at once.
fn at_once(leaves: &[Leaf]) -> usize {
    let mut rows = 0_u64;
    let fitting = leaves.iter().take(MAX_NODES).take_while(|(_, more)| {
        rows = rows.saturating_add(*more);
        rows <= LISTED_AT_ONCE
    });
    fitting.count().max(1)
}
