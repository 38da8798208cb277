//! The compare step for rows without a key: which of them one side has more often than the other.
//!
//! Pure. Invariant: what is told, taken from the side that has more, leaves both sides the same multiset.

use std::collections::HashMap;

use crate::sync::compare::BrokenListing;
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::tally::{EqualRows, RowHash, read_equal_rows};

/// Equal rows that one side has more of: how many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// The other side.
    There {
        /// What each of them is.
        hash: RowHash,
        /// More than here.
        rows: u64,
        /// Where the first of all that are there stands in the other side's listing, which counts every row.
        first: usize,
    },
    /// This side.
    Here {
        /// What each of them is.
        hash: RowHash,
        /// More than there.
        rows: u64,
    },
}

/// The rows of one node that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surpluses {
    /// Those the other side has more of first, in its order.
    pub rows: Vec<Surplus>,
    /// All rows of the other side's listing, each as often as it is there.
    pub listed: RowSum,
}

/// Compares the rows of one node, given both sides' listings of it.
///
/// # Errors
/// When a listing is broken, tells of a row twice, or of more rows than can be counted.
pub fn compare_equal_rows(here: &[u8], there: &[u8]) -> Result<Surpluses, BrokenListing> {
    let here = read_equal_rows(here).map_err(BrokenListing::Here)?;
    let mut rest: HashMap<u128, u64> = HashMap::with_capacity(here.len());
    for EqualRows { hash, rows } in &here {
        if rest.insert(hash.0, *rows).is_some() {
            return Err(BrokenListing::Here(twice()));
        }
    }
    let mut surplus = surplus_there(&mut rest, there).map_err(BrokenListing::There)?;
    surplus
        .rows
        .extend(here.iter().filter_map(|EqualRows { hash, .. }| {
            let rows = rest.get(&hash.0).copied().filter(|rows| *rows > 0)?;
            Some(Surplus::Here { hash: *hash, rows })
        }));
    Ok(surplus)
}

/// What the other side has more of; leaves of `rest`, what is here, what is not there.
fn surplus_there(rest: &mut HashMap<u128, u64>, there: &[u8]) -> Result<Surpluses, InvalidValue> {
    let mut surplus = Surpluses::default();
    let mut seen = HashMap::new();
    for EqualRows { hash, rows } in read_equal_rows(there)? {
        if seen.insert(hash.0, ()).is_some() {
            return Err(twice());
        }
        let known = rest.get_mut(&hash.0);
        let equal = known.as_ref().map_or(0, |known| rows.min(**known));
        if let Some(known) = known {
            *known -= equal;
        }
        let too_many = || InvalidValue::new("listing", "it tells of too many rows");
        let first = usize::try_from(surplus.listed.rows).map_err(|_| too_many())?;
        if surplus.listed.rows.checked_add(rows).is_none() {
            return Err(too_many());
        }
        surplus.listed.merge(RowSum::of_equal(rows, hash.0));
        if rows > equal {
            let rows = rows - equal;
            surplus.rows.push(Surplus::There { hash, rows, first });
        }
    }
    Ok(surplus)
}

fn twice() -> InvalidValue {
    InvalidValue::new("listing", "it tells of a row twice")
}
