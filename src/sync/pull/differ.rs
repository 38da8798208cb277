//! From two tallies to the rows that differ: level by level where both sides have rows, then the listings.
//!
//! Thin: what differs is decided in `sync::compare`, what that means in `sync::plan`. Invariant: what mode and strategy
//! leave as it is wherever it stands is counted by its sums and never listed.

use std::sync::Arc;

use crate::engine::spool::SpoolError;
use crate::engine::tally::{Tally, TallyError};
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::TableName;
use crate::sync::SyncError;
use crate::sync::compare::{
    BrokenListing, Descent, Difference, Differing, Node, Question, Step, Surplus, Surpluses,
    compare, compare_equal_rows, compare_rows,
};
use crate::sync::plan::{Effect, effect};
use crate::sync::pull::carry::EQUAL_AT_ONCE;
use crate::sync::pull::feed::nonsense;
use crate::sync::pull::found::{Entry, Found};
use crate::sync::pull::session::Session;
use crate::sync::scan::ScanError;
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::session::MAX_LISTED_BYTES;
use crate::wire::tally::{Children, LEVELS, NO_KEY, Prefix, read_listing};

/// A node with no more rows than this on one side alone is listed as a whole.
const LISTED_WHOLE: u64 = 1_024;

/// By which rules differences are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) mode: SyncMode,
    pub(super) conflict: ConflictStrategy,
    /// Rows that are only here may be equal by their key to others that come.
    pub(super) folds: bool,
    /// Rows have no key.
    pub(super) is_keyless: bool,
}

/// Both sides of a table, held against each other.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) source: RowSum,
    pub(super) here: RowSum,
    /// How many of the source's rows are not here as they are there.
    pub(super) unlike: u64,
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
    /// Bytes that may be kept of what differs.
    pub(super) room: u64,
}

/// The rows of one node that differ.
enum Rows {
    Keyed(Differing),
    Keyless(Surpluses),
}

impl Differ<'_> {
    /// Everything that differs, given what the source says of the root.
    pub(super) async fn run(self, root: Children) -> Result<Compared, SyncError> {
        let (source, here) = (root.iter().copied().sum(), self.here.total());
        let mut found = Found::default();
        if source != here {
            self.descend((root, source), &mut found).await?;
        }
        Ok(Compared {
            source,
            here,
            unlike: found.there.rows + found.left.there.rows,
            found,
        })
    }

    /// Finds the rows that differ, in order.
    async fn descend(
        &self,
        (root, source): (Children, RowSum),
        found: &mut Found,
    ) -> Result<(), SyncError> {
        let mut descent = Descent::from_root(source);
        let mut known = Some(vec![root]);
        while let Some(question) = descent.ask() {
            match question {
                Question::Rows(leaves) => match self.list(&leaves, found).await? {
                    true => descent.listed(),
                    false => descent
                        .too_many(leaves)
                        .map_err(|node| self.too_large(node))?,
                },
                Question::Children(nodes) => {
                    let asked: Vec<Prefix> = nodes.iter().map(|node| node.prefix).collect();
                    let here = self.here_of(&asked, Tally::children);
                    let (here, there) = match known.take() {
                        Some(there) => (here.await?, there),
                        None => tokio::try_join!(here, self.session.sums(self.source, &asked))?,
                    };
                    let step = compare(&nodes, &here, &there);
                    let step = step.map_err(|err| self.nonsense(&err))?;
                    let (divide, list) = self.to_look_into(step, found);
                    descent.add(divide, list);
                }
            }
        }
        Ok(())
    }

    /// The nodes to divide and those to list; the others are counted.
    fn to_look_into(&self, step: Step, found: &mut Found) -> (Vec<Node>, Vec<Node>) {
        let (mut divide, mut list) = (step.divide, step.list);
        for node in step.only_there {
            let is_wanted = self.effect(Difference::ONLY_THERE) != Effect::Leave;
            match is_wanted {
                false => found.leave_there(node.there),
                true => put(node, &mut list, &mut divide),
            }
        }
        for (node, rows) in step.only_here {
            let is_gone = self.effect(Difference::ONLY_HERE) != Effect::Leave;
            match is_gone || self.rules.folds {
                false => found.leave_here(rows),
                true => put(node, &mut list, &mut divide),
            }
        }
        (divide, list)
    }

    /// Finds the rows of `leaves` that differ, unless they are more than the peer lists at once.
    async fn list(&self, leaves: &[Node], found: &mut Found) -> Result<bool, SyncError> {
        let nodes: Vec<Prefix> = leaves.iter().flat_map(|leaf| leaf.listed()).collect();
        let here = self.here_of(&nodes, Tally::listing);
        let there = self.session.listing(self.source, &nodes);
        let (here, Some(there)) = tokio::try_join!(here, there)? else {
            return Ok(false);
        };
        let mut listings = here.iter().zip(&there);
        for leaf in leaves {
            let (mut listed, mut differing) = (RowSum::default(), Vec::new());
            let mut left = leaf.there.rows;
            for (node, (here, there)) in leaf.listed().zip(listings.by_ref()) {
                let rows = u64::try_from(read_listing(there).count()).ok();
                let after = rows.and_then(|rows| left.checked_sub(rows));
                left = after.ok_or_else(|| self.nonsense(&too_many_listed()))?;
                let rows = self.compare_rows(here, there);
                let (rows, all) = rows.map_err(|err| self.broken(err))?;
                listed.merge(all);
                differing.push((node, rows));
            }
            if listed != leaf.there {
                let reason = "the rows of a node do not add up to it";
                return Err(self.nonsense(&InvalidValue::new("listing", reason)));
            }
            for (node, rows) in differing {
                match rows {
                    Rows::Keyed(rows) => self.add(node, rows, found)?,
                    Rows::Keyless(rows) => self.add_keyless(node, rows, found)?,
                }
            }
        }
        Ok(true)
    }

    /// The rows of one node that differ, and all that are there.
    fn compare_rows(&self, here: &[u8], there: &[u8]) -> Result<(Rows, RowSum), BrokenListing> {
        Ok(match self.rules.is_keyless {
            false => {
                let rows = compare_rows(here, there)?;
                let listed = rows.listed;
                (Rows::Keyed(rows), listed)
            }
            true => {
                let rows = compare_equal_rows(here, there)?;
                let listed = rows.listed;
                (Rows::Keyless(rows), listed)
            }
        })
    }

    fn add(&self, leaf: Prefix, differing: Differing, found: &mut Found) -> Result<(), SyncError> {
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
        self.fits(found, 0)
    }

    fn add_keyless(
        &self,
        leaf: Prefix,
        surplus: Surpluses,
        found: &mut Found,
    ) -> Result<(), SyncError> {
        for surplus in surplus.rows {
            let (difference, rows, first) = match surplus {
                Surplus::There { hash, rows, first } => (Difference::OnlyThere(hash), rows, first),
                Surplus::Here { hash, rows } => (Difference::OnlyHere(hash), rows, 0),
            };
            let effect = self.effect(difference);
            if let (Effect::Leave, Difference::OnlyThere(hash)) = (effect, difference) {
                found.leave_there(RowSum::of_equal(rows, hash.0));
                continue;
            }
            // One line of a listing may tell of any number of rows.
            self.fits(found, rows)?;
            let equal = (0..EQUAL_AT_ONCE).cycle();
            for (_, nth) in (0..rows).zip(equal) {
                found.add(&Entry {
                    effect,
                    leaf,
                    // One of equal rows is as good as another: none of those picked at once is picked twice.
                    at: first.saturating_add(nth),
                    key: NO_KEY.to_vec(),
                    difference,
                })?;
            }
        }
        Ok(())
    }

    /// Whether there is room for so many `more` rows that differ.
    fn fits(&self, found: &Found, more: u64) -> Result<(), SyncError> {
        match found.bytes_with(more) <= self.room {
            true => Ok(()),
            false => Err(self.fault(SpoolError::Full(self.room).into())),
        }
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

    fn broken(&self, err: BrokenListing) -> SyncError {
        match err {
            BrokenListing::Here(err) => self.fault(err.into()),
            BrokenListing::There(err) => self.nonsense(&err),
        }
    }

    fn nonsense(&self, err: &InvalidValue) -> SyncError {
        let message = format!("what the peer tells of its rows contradicts itself: {err}");
        nonsense(self.table, message)
    }

    fn too_large(&self, node: Node) -> SyncError {
        let message = format!(
            "the peer lists no rows below {}, the smallest there is, because they are too many or have keys of more than {MAX_LISTED_BYTES} bytes; it has {} there. Look at the table's keys",
            node.prefix, node.there.rows
        );
        nonsense(self.table, message)
    }

    fn fault(&self, source: TallyError) -> SyncError {
        let table = self.table.clone();
        ScanError::Tally { table, source }.into()
    }
}

fn too_many_listed() -> InvalidValue {
    InvalidValue::new("listing", "more rows are listed below a node than it has")
}

/// A node of one side alone: listed when small, divided when not.
fn put(node: Node, list: &mut Vec<Node>, divide: &mut Vec<Node>) {
    match node.rows <= LISTED_WHOLE || node.prefix.level() == LEVELS {
        true => list.push(node),
        false => divide.push(node),
    }
}
