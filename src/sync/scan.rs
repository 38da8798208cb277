//! Reading a table into its tally: as fast as the database gives rows, in bounded memory.
//!
//! The same on both sides of a session. Invariant: what is counted is the normal form of exactly the rows of the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::EngineError;
use crate::engine::driver::{BATCH_BYTES, Flow, RowStream};
use crate::engine::tally::{Tally, TallyError};
use crate::model::table::TableName;
use crate::wire::InvalidValue;
use crate::wire::mask::Mask;
use crate::wire::normal::Normal;
use crate::wire::row::{RowBatch, RowWriter};

/// Why a table cannot be tallied.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The database's.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row, or the room for it.
    #[error("table {table}: {source}")]
    Tally {
        /// Which.
        table: TableName,
        /// Why.
        source: TallyError,
    },
    /// A value that has no normal form.
    #[error("table {table}: field {field} of a row: {source}")]
    Value {
        /// Which.
        table: TableName,
        /// From 1.
        field: usize,
        /// The row as it is given to the other side: its key is told where that is known to be its to see.
        row: Box<[u8]>,
        /// Why.
        source: Box<InvalidValue>,
    },
    /// The daemon stops, or hashing panicked, which was logged.
    #[error("table {0}: the scan was broken off")]
    Broken(TableName),
}

/// From rows as they are read to what is hashed.
pub(super) struct Scan {
    pub(super) table: TableName,
    /// What of each row is given; `None`: all.
    pub(super) mask: Option<Mask>,
    pub(super) normal: Normal,
    pub(super) tally: Tally,
}

impl Scan {
    /// Counts all rows of `rows`, and tells in `scanned` how many there were so far. Dropped, it takes no more of them.
    ///
    /// # Errors
    /// [`ScanError`]; a stream that is cut is one.
    pub(super) async fn run(
        self,
        rows: RowStream,
        scanned: Arc<AtomicU64>,
    ) -> Result<Tally, ScanError> {
        let table = self.table.clone();
        let dropped = CancellationToken::new();
        let _guard = dropped.clone().drop_guard();
        // Hashing takes milliseconds a batch: it has a thread of its own, so that other tasks go on meanwhile, and so
        // that a batch wakes one thread and no more.
        let runtime = Handle::current();
        let counting = tokio::task::spawn_blocking(move || {
            let counting = self.count_all(rows, &scanned);
            runtime.block_on(dropped.run_until_cancelled(counting))
        });
        match counting.await {
            Ok(Some(counted)) => counted,
            Ok(None) | Err(_) => Err(ScanError::Broken(table)),
        }
    }

    async fn count_all(
        mut self,
        mut rows: RowStream,
        scanned: &AtomicU64,
    ) -> Result<Tally, ScanError> {
        let mut writer = RowWriter::for_batches_of(BATCH_BYTES);
        loop {
            match rows.recv().await {
                Some(Ok(Flow::Rows(batch))) => {
                    self.count(&batch, &mut writer)?;
                    scanned.fetch_add(u64::from(batch.rows), Ordering::Relaxed);
                }
                Some(Ok(Flow::End)) => return Ok(self.tally),
                Some(Err(err)) => return Err(err.into()),
                None => return Err(EngineError::Cut(self.table).into()),
            }
        }
    }

    fn count(&mut self, batch: &RowBatch, writer: &mut RowWriter) -> Result<(), ScanError> {
        let of_row = |source| ScanError::Tally {
            table: self.table.clone(),
            source: TallyError::Row(source),
        };
        let masked = match &self.mask {
            Some(mask) => &mask.apply(batch).map_err(of_row)?,
            None => batch,
        };
        let normal = self
            .normal
            .normalise_batch(masked, writer)
            .map_err(|(row, at, source)| ScanError::Value {
                table: self.table.clone(),
                field: at + 1,
                row: nth(masked, row),
                source: Box::new(source),
            })?;
        self.tally.add(&normal).map_err(|source| ScanError::Tally {
            table: self.table.clone(),
            source,
        })
    }
}

fn nth(batch: &RowBatch, row: usize) -> Box<[u8]> {
    let tuple = batch.tuples().nth(row).and_then(Result::ok);
    tuple.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::{Scan, ScanError};
    use crate::engine::driver::{Flow, RowStream};
    use crate::engine::spool::SpoolBudget;
    use crate::engine::tally::Tally;
    use crate::model::table::TableName;
    use crate::wire::normal::Normal;
    use crate::wire::row::RowWriter;
    use crate::wire::tally::{KeyFields, TallyKey};

    fn scan() -> Scan {
        let budget = SpoolBudget {
            memory: 1 << 20,
            disk: 0,
            folder: std::env::temp_dir(),
        };
        Scan {
            table: TableName::bare("t"),
            mask: None,
            normal: Normal::new(&[], &[]).unwrap(),
            tally: Tally::new(
                TallyKey::of_token("a token"),
                KeyFields::new(vec![0]),
                budget,
            ),
        }
    }

    /// The key of a row; `None`: a row without one.
    fn row(key: Option<&[u8]>) -> Flow {
        let mut writer = RowWriter::default();
        writer.begin(1);
        writer.field(key);
        Flow::Rows(writer.take())
    }

    async fn outcome(flows: Vec<Flow>) -> Result<Tally, ScanError> {
        let (sender, rows): (_, RowStream) = mpsc::channel(8);
        for flow in flows {
            sender.send(Ok(flow)).await.unwrap();
        }
        drop(sender);
        scan().run(rows, Arc::default()).await
    }

    #[tokio::test]
    async fn all_rows_of_a_whole_stream_are_counted_and_none_of_another() {
        let rows = || [&b"one"[..], b"two"].map(|key| row(Some(key)));
        let whole = rows().into_iter().chain([Flow::End]).collect();
        assert_eq!(outcome(whole).await.unwrap().total().rows, 2);
        let cut = outcome(rows().into()).await.unwrap_err();
        assert!(matches!(cut, ScanError::Engine(_)), "{cut}");
        let keyless = outcome(vec![row(None), Flow::End]).await.unwrap_err();
        assert!(matches!(keyless, ScanError::Tally { .. }), "{keyless}");
    }

    #[tokio::test]
    async fn a_scan_that_is_dropped_takes_no_more_rows() {
        let (sender, rows): (_, RowStream) = mpsc::channel(8);
        sender.send(Ok(row(Some(b"one")))).await.unwrap();
        let scanned = Arc::new(AtomicU64::new(0));
        let running = scan().run(rows, Arc::clone(&scanned));
        let counts = async {
            while scanned.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = running => panic!("the stream has not ended"),
            () = counts => {}
        }
        let closed = timeout(Duration::from_secs(30), sender.closed()).await;
        assert!(closed.is_ok(), "the reading goes on");
    }
}
