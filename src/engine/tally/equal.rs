//! Listings of keyless rows: equal ones once, with their number.
//!
//! Invariant: what is held in memory, and what counts against the bounds, is rows that differ from each other, however
//! often each is there.

use std::collections::BTreeMap;

use crate::engine::tally::{ListingBounds, Tally, TallyError};
use crate::wire::tally::{EqualRows, HASH_BYTES, Place, Prefix, RowHash, write_equal_rows};

/// Bytes of equal rows in a listing: a tuple with their number, and their hash.
const ENTRY_BYTES: usize = 2 + 4 + 8 + HASH_BYTES;

impl Tally {
    /// The rows below each node; `None` where their listing is larger than `bounds`.
    pub(super) fn equal_rows_within(
        &self,
        nodes: &[Prefix],
        bounds: ListingBounds,
    ) -> Result<Option<Vec<Vec<u8>>>, TallyError> {
        let mut found: Vec<BTreeMap<(Place, u128), u64>> = vec![BTreeMap::new(); nodes.len()];
        let (mut rows, mut bytes) = (0_u64, 0_usize);
        let is_within = |rows: u64, bytes: usize| rows <= bounds.rows && bytes <= bounds.bytes;
        let asked = nodes.iter().copied().enumerate().collect();
        self.visit(asked, |at, place, listed| {
            let Some(found) = found.get_mut(at).filter(|_| is_within(rows, bytes)) else {
                return;
            };
            let equal = found.entry((place, listed.hash.0)).or_default();
            if *equal == 0 {
                rows += 1;
                bytes = bytes.saturating_add(ENTRY_BYTES);
            }
            *equal += 1;
        })?;
        if !is_within(rows, bytes) {
            return Ok(None);
        }
        let listing = |found: BTreeMap<(Place, u128), u64>| {
            let mut listing = Vec::with_capacity(found.len() * ENTRY_BYTES);
            for ((_, hash), rows) in found {
                let hash = RowHash(hash);
                write_equal_rows(EqualRows { hash, rows }, &mut listing);
            }
            listing
        };
        Ok(Some(found.into_iter().map(listing).collect()))
    }
}
