//! Scanning a table of a session into its tally, in the background.
//!
//! Invariant: a scan ends as done or failed, whatever happens to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::config::Compare;
use crate::engine::EngineError;
use crate::engine::driver::{Selection, Snapshot};
use crate::engine::spool::{SpoolBudget, SpoolError};
use crate::engine::tally::{Tally, TallyError};
use crate::sync::Ctx;
use crate::sync::scan::{Scan as TableScan, ScanError};
use crate::sync::serve::life::Life;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::SCANS;
use crate::sync::serve::sieve::Contract;
use crate::sync::serve::told::{read_failed, told};
use crate::wire::mask::Mask;
use crate::wire::messages::StreamFaultCode;
use crate::wire::tally::TallyKey;

/// What stays in memory of a table that was scanned.
const KEPT: usize = 256 << 10;

/// The scan of one table.
#[derive(Debug)]
pub(super) struct Scan {
    rows: Arc<AtomicU64>,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
enum State {
    UnderWay,
    Done(Arc<Kept>),
    Failed(SessionFault),
}

/// A tally, and what it takes of the disk.
#[derive(Debug)]
struct Kept {
    tally: Arc<Tally>,
    _share: DiskShare,
}

/// What tallies have taken of the disk, all together.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<AtomicU64>);

/// What one tally may take of it, or has taken; given back when dropped.
#[derive(Debug)]
struct DiskShare {
    of: Disk,
    bytes: u64,
}

impl Disk {
    /// Half of what is left of `all`: so one scan leaves room for another.
    fn share(&self, all: u64) -> DiskShare {
        let share = |used: u64| all.saturating_sub(used) / 2;
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_add(share(used)))
            });
        DiskShare {
            of: self.clone(),
            // It is always taken.
            bytes: taken.map_or(0, share),
        }
    }
}

impl DiskShare {
    /// Gives back what was not needed.
    fn keep(&mut self, bytes: u64) {
        let back = self.bytes.saturating_sub(bytes);
        self.of.0.fetch_sub(back, Ordering::Relaxed);
        self.bytes -= back;
    }
}

impl Drop for DiskShare {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// What scans share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// So many are made at once.
    pub(super) turns: Arc<Semaphore>,
    pub(super) disk: Disk,
}

/// What a scan needs.
pub(super) struct Work {
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) selection: Selection,
    pub(super) mask: Option<Mask>,
    pub(super) contract: Arc<Contract>,
    pub(super) key: TallyKey,
    pub(super) life: Life,
}

impl Scan {
    /// Begins one; it waits for its turn, and ends when the session does.
    pub(super) fn begin(ctx: &Arc<Ctx>, shared: &Shared, work: Work) -> Arc<Self> {
        let scan = Arc::new(Self {
            rows: Arc::default(),
            state: watch::Sender::new(State::UnderWay),
        });
        let (owned, shared) = (Arc::clone(&scan), shared.clone());
        let (compare, folder) = (ctx.config.compare, ctx.config.folder().to_owned());
        ctx.tasks.spawn("tally", async move {
            let life = work.life.clone();
            let tallied = tokio::select! {
                ending = life.over() => Err(SessionFault::of(ending)),
                tallied = owned.work(&shared, work, (compare, folder)) => tallied,
            };
            owned.state.send_replace(match tallied {
                Ok(kept) => State::Done(Arc::new(kept)),
                Err(fault) => State::Failed(fault),
            });
        });
        scan
    }

    async fn work(
        self: &Arc<Self>,
        shared: &Shared,
        work: Work,
        (compare, folder): (Compare, PathBuf),
    ) -> Result<Kept, SessionFault> {
        let failed = || SessionFault::Table {
            code: StreamFaultCode::ReadFailed.as_str(),
            words: read_failed(),
        };
        let turn = shared.turns.acquire().await.map_err(|_| failed())?;
        let mut share = shared.disk.share(compare.spool);
        let budget = SpoolBudget {
            memory: compare.memory / SCANS,
            disk: share.bytes,
            folder,
        };
        let Work {
            snapshot,
            selection,
            mask,
            contract,
            key,
            ..
        } = work;
        let rows = snapshot.read(selection).await;
        drop(snapshot);
        let rows = rows.map_err(|err| database_fault(&contract, &err))?;
        let scan = TableScan {
            table: contract.table.clone(),
            mask,
            normal: contract.normal.clone(),
            tally: Tally::new(key, contract.key_fields(), budget),
        };
        let tallied = scan.run(rows, Arc::clone(&self.rows)).await;
        let mut tally = tallied.map_err(|err| scan_fault(&contract, err))?;
        let settled = tokio::task::spawn_blocking(move || tally.settle(KEPT).map(|()| tally));
        let tally = settled.await.map_err(|_| failed())?;
        drop(turn);
        let tally = tally.map_err(|err| tally_fault(&contract, &err))?;
        share.keep(tally.on_disk());
        Ok(Kept {
            tally: Arc::new(tally),
            _share: share,
        })
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Waits for the tally, but no longer than `patience`; `None` where it is still being made then.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn tally(
        &self,
        patience: Duration,
    ) -> Result<Option<Arc<Tally>>, SessionFault> {
        let mut state = self.state.subscribe();
        let is_over = |state: &State| !matches!(state, State::UnderWay);
        let over = tokio::time::timeout(patience, state.wait_for(is_over)).await;
        match over.map(|over| over.map(|state| state.clone())) {
            Ok(Ok(State::Done(kept))) => Ok(Some(Arc::clone(&kept.tally))),
            Ok(Ok(State::Failed(fault))) => Err(fault),
            // The sender cannot be gone: this holds it.
            Ok(Ok(State::UnderWay) | Err(_)) | Err(_) => Ok(None),
        }
    }
}

fn table_fault(code: StreamFaultCode, words: String) -> SessionFault {
    SessionFault::Table {
        code: code.as_str(),
        words,
    }
}

fn scan_fault(contract: &Contract, err: ScanError) -> SessionFault {
    match err {
        ScanError::Engine(err) => database_fault(contract, &err),
        ScanError::Tally { source, .. } => tally_fault(contract, &source),
        ScanError::Value {
            field, row, source, ..
        } => {
            let words = contract.misfit(&row, field.saturating_sub(1), &source);
            tracing::error!(words, "a table cannot be compared for a peer");
            table_fault(StreamFaultCode::Unfit, words)
        }
        ScanError::Broken(_) => table_fault(StreamFaultCode::ReadFailed, read_failed()),
    }
}

fn database_fault(contract: &Contract, err: &EngineError) -> SessionFault {
    tracing::warn!(%err, table = %contract.table, "scanning a table for a peer failed");
    let (code, words) = told(err, contract.is_whole);
    table_fault(code, words)
}

/// What a peer is told of a tally that cannot be made or read.
pub(super) fn tally_fault(contract: &Contract, err: &TallyError) -> SessionFault {
    let table = &contract.table;
    let (code, words) = match err {
        TallyError::KeyTwice(key) => (StreamFaultCode::Unfit.as_str(), contract.twice(key)),
        TallyError::Row(_) => {
            let words = format!("table {table}: a row has no key; the sender's log says more");
            (StreamFaultCode::Unfit.as_str(), words)
        }
        TallyError::Spool(SpoolError::Full(_)) => {
            let words = format!(
                "table {table}: comparing it takes more of the sender's disk than it may; its administrator can raise compare.spool"
            );
            ("compare_full", words)
        }
        TallyError::Spool(SpoolError::Io { .. }) => {
            (StreamFaultCode::ReadFailed.as_str(), read_failed())
        }
    };
    tracing::error!(%err, %table, "a table cannot be compared for a peer");
    SessionFault::Table { code, words }
}

#[cfg(test)]
mod tests {
    use super::Disk;

    #[test]
    fn tallies_never_take_more_of_the_disk_than_there_is_for_all() {
        let disk = Disk::default();
        let mut one = disk.share(1_000);
        let other = disk.share(1_000);
        assert_eq!((one.bytes, other.bytes), (500, 250));
        one.keep(100);
        assert_eq!(disk.share(1_000).bytes, 325);
        drop((one, other));
        assert_eq!(disk.share(1_000).bytes, 500);
        assert_eq!(disk.share(0).bytes, 0);
    }
}
