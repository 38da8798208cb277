//! The compare step: from the sums of both sides down to the rows in which they differ.
//!
//! Pure. Invariant: whatever differs is found, unless two different sets of rows have the same sum of 128-bit hashes.

mod descent;
mod equal;

use std::collections::HashMap;

use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::tally::{Bitmap, Children, LEVELS, RowHash, read_listing};

pub use descent::{Descent, Node, Question};
pub use equal::{Surplus, Surpluses, compare_equal_rows};

/// Nodes with no more rows than this on either side are listed rather than divided further: below it the listing is
/// shorter than the sums of sixteen children.
const LISTED_UP_TO: u64 = 16;

/// What to do about the nodes that were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Differ; compare their children.
    pub divide: Vec<Node>,
    /// Have rows on both sides, few of them, and differ; compare their rows.
    pub list: Vec<Node>,
    /// Have rows only there.
    pub only_there: Vec<Node>,
    /// Have rows only here: these.
    pub only_here: Vec<(Node, RowSum)>,
}

/// Compares the children of `nodes`, in their order.
///
/// # Errors
/// When what is said of the children there does not add up to what was said of their node.
pub fn compare(
    nodes: &[Node],
    here: &[Children],
    there: &[Children],
) -> Result<Step, InvalidValue> {
    let mut step = Step::default();
    for ((node, here), there) in nodes.iter().zip(here).zip(there) {
        add_up(node, there)?;
        for ((prefix, here), there) in node.prefix.children().zip(here).zip(there) {
            if here == there {
                continue;
            }
            let child = Node {
                prefix,
                there: *there,
                rows: here.rows.max(there.rows),
            };
            match (here.rows, there.rows) {
                (0, _) => step.only_there.push(child),
                (_, 0) => step.only_here.push((child, *here)),
                _ if child.rows <= LISTED_UP_TO || prefix.level() == LEVELS => {
                    step.list.push(child);
                }
                _ => step.divide.push(child),
            }
        }
    }
    Ok(step)
}

/// Holds what is said of the children of `node` against what was said of it.
fn add_up(node: &Node, children: &Children) -> Result<(), InvalidValue> {
    if children
        .iter()
        .any(|child| child.rows == 0 && child.sum != 0)
    {
        return Err(InvalidValue::new("tally", "a node has no rows, but a sum"));
    }
    let rows = |rows: u64, child: &RowSum| rows.checked_add(child.rows);
    let rows = children.iter().try_fold(0, rows);
    match rows == Some(node.there.rows) && children.iter().copied().sum::<RowSum>() == node.there {
        true => Ok(()),
        false => Err(InvalidValue::new(
            "tally",
            "the children of a node do not add up to it",
        )),
    }
}

/// Why two listings cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenListing {
    /// Ours.
    Here(InvalidValue),
    /// The other side's.
    There(InvalidValue),
}

/// How one row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is only there.
    OnlyThere(RowHash),
    /// Its key is on both sides, with other values.
    Differs {
        /// What it is here.
        here: RowHash,
        /// What it is there.
        there: RowHash,
    },
    /// It is only here.
    OnlyHere(RowHash),
}

impl Difference {
    /// Some row that is only there.
    pub const ONLY_THERE: Self = Self::OnlyThere(RowHash(0));
    /// Some row that is only here.
    pub const ONLY_HERE: Self = Self::OnlyHere(RowHash(0));

    /// Counts the row in as it is on each side.
    pub fn count_in(self, here: &mut RowSum, there: &mut RowSum) {
        if let Self::OnlyThere(hash) | Self::Differs { there: hash, .. } = self {
            there.count(hash.0);
        }
        if let Self::OnlyHere(hash) | Self::Differs { here: hash, .. } = self {
            here.count(hash.0);
        }
    }
}

/// The rows of one node that differ, by their keys: those of the other side first, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// Key and difference.
    pub rows: Vec<(Vec<u8>, Difference)>,
    /// Where in the other side's listing those stand that are there.
    pub there: Bitmap,
    /// All rows of the other side's listing.
    pub listed: RowSum,
}

/// Compares the rows of one node, given both sides' listings of it.
///
/// # Errors
/// When a listing is broken, or names a key twice.
pub fn compare_rows(here: &[u8], there: &[u8]) -> Result<Differing, BrokenListing> {
    let mut rest: HashMap<&[u8], RowHash> = HashMap::new();
    for listed in read_listing(here) {
        let listed = listed.map_err(BrokenListing::Here)?;
        if rest.insert(listed.key, listed.hash).is_some() {
            return Err(BrokenListing::Here(twice()));
        }
    }
    let mut seen: HashMap<&[u8], ()> = HashMap::new();
    let mut differing = Differing::default();
    for (at, listed) in read_listing(there).enumerate() {
        let listed = listed.map_err(BrokenListing::There)?;
        if seen.insert(listed.key, ()).is_some() {
            return Err(BrokenListing::There(twice()));
        }
        differing.listed.count(listed.hash.0);
        let difference = match rest.remove(listed.key) {
            None => Difference::OnlyThere(listed.hash),
            Some(here) if here == listed.hash => continue,
            Some(here) => Difference::Differs {
                here,
                there: listed.hash,
            },
        };
        differing.there.set(at);
        differing.rows.push((listed.key.to_vec(), difference));
    }
    let mut only_here: Vec<_> = rest
        .into_iter()
        .map(|(key, hash)| (key.to_vec(), Difference::OnlyHere(hash)))
        .collect();
    only_here.sort_by(|one, other| one.0.cmp(&other.0));
    differing.rows.append(&mut only_here);
    Ok(differing)
}

fn twice() -> InvalidValue {
    InvalidValue::new("listing", "it names a key twice")
}

#[cfg(test)]
mod tests;
