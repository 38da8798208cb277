//! The compare step: from the sums of both sides down to the rows in which they differ.
//!
//! Pure. Invariant: whatever differs is found, unless two different sets of rows have the same sum of 128-bit hashes.

use std::collections::HashMap;

use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::tally::{Bitmap, Children, LEVELS, Prefix, RowHash, read_listing};

/// Nodes with no more rows than this on either side are listed rather than divided further: below it the listing is
/// shorter than the sums of sixteen children.
const LISTED_UP_TO: u64 = 16;

/// What to do about the nodes that were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Differ; compare their children.
    pub divide: Vec<Prefix>,
    /// Have rows on both sides, no more of them than this, and differ; compare their rows.
    pub list: Vec<(Prefix, u64)>,
    /// Have rows only there: these.
    pub only_there: Vec<(Prefix, RowSum)>,
    /// Have rows only here: these.
    pub only_here: Vec<(Prefix, RowSum)>,
}

/// Compares the children of `nodes`, in their order.
#[must_use]
pub fn compare(nodes: &[Prefix], here: &[Children], there: &[Children]) -> Step {
    let mut step = Step::default();
    for ((node, here), there) in nodes.iter().zip(here).zip(there) {
        for ((child, here), there) in node.children().zip(here).zip(there) {
            if here == there {
                continue;
            }
            match (here.rows, there.rows) {
                (0, _) => step.only_there.push((child, *there)),
                (_, 0) => step.only_here.push((child, *here)),
                (here, there) if here.max(there) <= LISTED_UP_TO || child.level() == LEVELS => {
                    step.list.push((child, here.max(there)));
                }
                _ => step.divide.push(child),
            }
        }
    }
    step
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
}

/// Compares the rows of one node, given both sides' listings of it.
///
/// # Errors
/// When a listing is broken, or names a key twice.
pub fn compare_rows(here: &[u8], there: &[u8]) -> Result<Differing, InvalidValue> {
    let mut rest: HashMap<&[u8], RowHash> = HashMap::new();
    for listed in read_listing(here) {
        let listed = listed?;
        if rest.insert(listed.key, listed.hash).is_some() {
            return Err(twice());
        }
    }
    let mut seen: HashMap<&[u8], ()> = HashMap::new();
    let mut differing = Differing::default();
    for (at, listed) in read_listing(there).enumerate() {
        let listed = listed?;
        if seen.insert(listed.key, ()).is_some() {
            return Err(twice());
        }
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
