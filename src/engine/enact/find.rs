//! Where the rows are that a plan deletes from a table without a key.
//!
//! A plan names them by what they are; a database finds them only by where it keeps them. So the table is read before they
//! are deleted, and each deletion told where its row is: a tuple that means something to its engine alone. Whether the row
//! still is there is asked again under the lock. Invariant: of equal rows as many are found as are to be deleted; what is
//! not found is told of as nowhere, and counts as moved.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::error::EngineError;
use crate::engine::plan::{Change, Fingerprint, PlanStream, Planned};
use crate::wire::tally::RowHash;

/// Rows that are looked for in one reading; equal ones always are.
const AT_ONCE: u64 = 65_536;
/// Changes that are passed on at once.
const PASSED_AT_ONCE: usize = 1_000;

/// Reads a table for the rows that are sought.
pub(in crate::engine) trait Finder {
    /// Where no row is.
    const NOWHERE: &'static [u8];

    /// Shows every row to `sought`, with where it is; no more than are there at one moment or one after the other.
    fn find(&mut self, sought: &mut Sought)
    -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// Rows that are looked for, and those found.
pub(in crate::engine) struct Sought {
    fingerprint: Fingerprint,
    /// By what they are, how many of each.
    rows: HashMap<u128, u64>,
    count: u64,
    found: Vec<Change>,
}

impl Sought {
    fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            rows: HashMap::new(),
            count: 0,
            found: Vec::new(),
        }
    }

    fn add(&mut self, hash: RowHash) {
        *self.rows.entry(hash.0).or_default() += 1;
        self.count += 1;
    }

    fn has(&self, hash: RowHash) -> bool {
        self.rows.contains_key(&hash.0)
    }

    /// Whether all were found.
    pub(in crate::engine) fn is_over(&self) -> bool {
        self.count == 0
    }

    /// Takes a row that is at `place`, if it is one of those.
    pub(in crate::engine) fn show(&mut self, row: &[u8], place: impl FnOnce() -> Bytes) {
        // What has no normal form was in no plan.
        let Ok(hash) = (self.fingerprint)(row) else {
            return;
        };
        let Some(rows) = self.rows.get_mut(&hash.0).filter(|rows| **rows > 0) else {
            return;
        };
        *rows -= 1;
        self.count -= 1;
        let (key, here) = (place(), hash);
        self.found.push(Change::Delete { key, here });
    }

    /// The deletions, those of rows that were not found among them.
    fn take(&mut self, nowhere: &'static [u8]) -> Vec<Change> {
        let mut found = std::mem::take(&mut self.found);
        for (hash, rows) in self.rows.drain() {
            let gone = || Change::Delete {
                key: Bytes::from_static(nowhere),
                here: RowHash(hash),
            };
            found.extend((0..rows).map(|_| gone()));
        }
        self.count = 0;
        found
    }
}

/// Passes a plan on to `sink`, each deletion with where its row is.
pub(in crate::engine) async fn find<F: Finder>(
    mut plan: PlanStream,
    sink: mpsc::Sender<Result<Planned, EngineError>>,
    fingerprint: Fingerprint,
    mut finder: F,
) {
    let mut sought = Sought::new(fingerprint);
    loop {
        let next = tokio::select! {
            next = plan.recv() => next,
            () = sink.closed() => None,
        };
        let passed = match next {
            None => return,
            Some(Ok(Planned::Changes(changes))) => {
                let (mut others, mut is_taken) = (Vec::new(), true);
                for change in changes {
                    let Change::Delete { here, .. } = change else {
                        others.push(change);
                        continue;
                    };
                    // Of equal rows another reading would find the same ones again.
                    if sought.count >= AT_ONCE && !sought.has(here) {
                        is_taken &= found(&mut sought, &mut finder, &sink).await;
                    }
                    sought.add(here);
                }
                is_taken && sink.send(Ok(Planned::Changes(others))).await.is_ok()
            }
            Some(Ok(unfit @ Planned::Unfit(_))) => sink.send(Ok(unfit)).await.is_ok(),
            Some(Ok(Planned::End)) => {
                if found(&mut sought, &mut finder, &sink).await {
                    drop(sink.send(Ok(Planned::End)).await);
                }
                return;
            }
            Some(Err(err)) => sink.send(Err(err)).await.is_ok(),
        };
        if !passed {
            return;
        }
    }
}

/// Looks for what is sought and passes it on; whether anybody still takes it.
async fn found<F: Finder>(
    sought: &mut Sought,
    finder: &mut F,
    sink: &mpsc::Sender<Result<Planned, EngineError>>,
) -> bool {
    if sought.is_over() {
        return true;
    }
    let found = tokio::select! {
        found = finder.find(sought) => found,
        () = sink.closed() => return false,
    };
    if let Err(err) = found {
        drop(sink.send(Err(err)).await);
        return false;
    }
    let mut rest = sought.take(F::NOWHERE);
    while !rest.is_empty() {
        let behind = rest.split_off(rest.len().min(PASSED_AT_ONCE));
        if sink.send(Ok(Planned::Changes(rest))).await.is_err() {
            return false;
        }
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests;
