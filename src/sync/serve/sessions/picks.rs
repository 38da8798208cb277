//! Which rows a peer picked: found in the listings that it picked them from, and read by their keys where that is less
//! work than a scan.
//!
//! Invariant: exactly the picked rows are sent, or the stream ends with a fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::EngineError;
use crate::engine::driver::{CHANNEL_BATCHES, Flow, RowFilter, RowStream, Selection};
use crate::engine::tally::{ListingBounds, Tally, TallyError};
use crate::sync::Ctx;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::scan::tally_fault;
use crate::sync::serve::sessions::session::{HeldTable, Session};
use crate::sync::serve::sessions::tally::are_apart;
use crate::sync::serve::sieve::{Contract, Picked};
use crate::sync::serve::told::read_failed;
use crate::wire::messages::StreamFaultCode;
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::session::{MAX_LISTED, PickedLeaf};
use crate::wire::tally::{Bitmap, EqualRows, Listed, Prefix, read_equal_rows, read_listing};

/// Rows that one order may pick one by one.
const MOST_PICKED: u64 = 4 * MAX_LISTED;
/// Keys of one reading.
const CHUNK: usize = 1_000;
/// Rows that are read by their keys at most.
const BY_KEY_MOST: u64 = 32_768;
/// Above this share of the table a scan is less work.
const BY_KEY_SHARE: u64 = 8;

/// What was picked.
pub(super) struct Picks {
    pub(super) picked: Picked,
    /// By which the rows are read; `None`: by a scan.
    pub(super) keys: Option<Vec<Bytes>>,
}

/// Finds what was picked in a table that was tallied.
///
/// # Errors
/// When it was not, or the picks make no sense.
pub(super) async fn prepare(
    held: &HeldTable,
    contract: &Arc<Contract>,
    leaves: Vec<PickedLeaf>,
) -> Result<Picks, SessionFault> {
    let invalid = |words: &str| Err(SessionFault::invalid("invalid_picks", words));
    let nodes: Vec<Prefix> = leaves.iter().map(|picked| picked.leaf).collect();
    if !are_apart(&nodes) {
        return invalid("no leaf of `picks` stands twice, or below another");
    }
    let tally = match held.scan.get() {
        Some(scan) => scan.tally(Duration::ZERO).await?,
        None => None,
    };
    let Some(tally) = tally else {
        return invalid("`picks` are for tables whose rows were listed by `tally` before");
    };
    let is_open = |at: &usize| {
        let column = contract.columns.get(*at);
        column.is_some_and(|(name, _)| held.view.open_kind(name).is_some())
    };
    let may_read_by_key = !contract.key.is_empty() && contract.key.iter().all(is_open);
    let contract = Arc::clone(contract);
    let found = tokio::task::spawn_blocking(move || {
        let finding = Finding {
            tally: &tally,
            contract: &contract,
            leaves,
        };
        let found = finding.find(may_read_by_key);
        found.map_err(|fault| match fault {
            Fault::Tally(err) => tally_fault(&contract, &err),
            Fault::TooMany => too_many(),
        })
    });
    found.await.unwrap_or_else(|err| {
        tracing::error!(%err, "picked rows could not be found");
        Err(SessionFault::Table {
            code: StreamFaultCode::ReadFailed.as_str(),
            words: read_failed(),
        })
    })
}

fn too_many() -> SessionFault {
    let words = format!(
        "`picks` may name at most {MOST_PICKED} rows one by one; ask for them in several streams"
    );
    SessionFault::invalid("too_many_rows", words)
}

enum Fault {
    Tally(TallyError),
    TooMany,
}

impl From<TallyError> for Fault {
    fn from(err: TallyError) -> Self {
        Self::Tally(err)
    }
}

struct Finding<'a> {
    tally: &'a Tally,
    contract: &'a Contract,
    leaves: Vec<PickedLeaf>,
}

impl Finding<'_> {
    fn find(self, may_read_by_key: bool) -> Result<Picks, Fault> {
        let (whole, partial): (Vec<_>, Vec<_>) = self
            .leaves
            .iter()
            .partition(|picked| picked.bitmap.is_none());
        let mut nodes: Vec<Prefix> = whole.iter().map(|picked| picked.leaf).collect();
        nodes.sort_unstable();
        let of_nodes = self.tally.sum_below(&nodes)?;
        let picked_rows = partial
            .iter()
            .filter_map(|picked| Some(picked.bitmap.as_ref()?.count()));
        let rows = picked_rows.sum::<u64>().saturating_add(of_nodes.rows);
        let is_few =
            rows <= BY_KEY_MOST && rows.saturating_mul(BY_KEY_SHARE) <= self.tally.total().rows;
        let mut picked = Picked {
            expected: of_nodes,
            ..Picked::default()
        };
        let mut keys = (may_read_by_key && is_few).then(Vec::new);
        for group in by_partition(&partial).values() {
            self.take(group, &mut picked, &mut keys)?;
        }
        if keys.is_some() {
            let all: Vec<PickedLeaf> = whole.into_iter().cloned().collect();
            picked.expected.rows -= of_nodes.rows;
            picked.expected.sum = picked.expected.sum.wrapping_sub(of_nodes.sum);
            for group in by_partition(&all.iter().collect::<Vec<_>>()).values() {
                self.take(group, &mut picked, &mut keys)?;
            }
        }
        // Read by their keys, all rows are known one by one.
        if keys.is_none() {
            picked.nodes = nodes;
        }
        Ok(Picks { picked, keys })
    }

    fn take(
        &self,
        leaves: &[&PickedLeaf],
        picked: &mut Picked,
        keys: &mut Option<Vec<Bytes>>,
    ) -> Result<(), Fault> {
        let nodes: Vec<Prefix> = leaves.iter().map(|picked| picked.leaf).collect();
        let bounds = ListingBounds {
            rows: MOST_PICKED,
            bytes: usize::MAX,
        };
        let listings = self.tally.listing_within(&nodes, bounds)?;
        for (leaf, listing) in leaves.iter().zip(listings.ok_or(Fault::TooMany)?) {
            if self.contract.key.is_empty() {
                take_equal(leaf.bitmap.as_ref(), &listing, picked)?;
                continue;
            }
            for (at, listed) in read_listing(&listing).enumerate() {
                let listed = listed.map_err(TallyError::from)?;
                if leaf
                    .bitmap
                    .as_ref()
                    .is_none_or(|bitmap| Bitmap::has(bitmap, at))
                {
                    self.add(listed, picked, keys);
                }
            }
            if u64::try_from(picked.hashes.len()).unwrap_or(u64::MAX) > MOST_PICKED {
                return Err(Fault::TooMany);
            }
        }
        Ok(())
    }

    fn add(&self, listed: Listed<'_>, picked: &mut Picked, keys: &mut Option<Vec<Bytes>>) {
        picked.add(listed.hash, 1);
        if let Some(known) = keys {
            match self.restored(listed.key) {
                Some(key) => known.push(key),
                None => *keys = None,
            }
        }
    }

    /// The key as the database has it; `None` where its normal form does not tell.
    fn restored(&self, key: &[u8]) -> Option<Bytes> {
        let (fields, _) = split_tuple(key).ok()?;
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).ok()?);
        for (at, field) in self.contract.key.iter().zip(fields) {
            let value = self.contract.normal.restore(*at, field?).ok()??;
            writer.field(Some(&value));
        }
        Some(writer.take().data)
    }
}

/// Of keyless rows a listing tells equal ones once, and a bitmap has a bit for each.
fn take_equal(
    bitmap: Option<&Bitmap>,
    listing: &[u8],
    picked: &mut Picked,
) -> Result<(), TallyError> {
    let mut first = 0_u64;
    for EqualRows { hash, rows } in read_equal_rows(listing)? {
        let meant = bitmap.map_or(rows, |bitmap| bitmap.count_of(first, rows));
        if meant > 0 {
            picked.add(hash, meant);
        }
        first = first.saturating_add(rows);
    }
    Ok(())
}

/// The leaves by where the tally keeps their rows, so that not all of them have to be in memory at once.
fn by_partition<'a>(leaves: &[&'a PickedLeaf]) -> BTreeMap<u16, Vec<&'a PickedLeaf>> {
    let mut groups: BTreeMap<u16, Vec<&PickedLeaf>> = BTreeMap::new();
    for picked in leaves {
        groups
            .entry(picked.leaf.first_digits())
            .or_default()
            .push(picked);
    }
    groups
}

/// Reads rows by their keys, chunk by chunk; then all, where fewer were found than there are keys: a key may be shown in
/// other digits than its normal form.
pub(super) fn by_key(
    ctx: &Arc<Ctx>,
    session: Arc<Session>,
    selection: Selection,
    keys: Vec<Bytes>,
) -> RowStream {
    let (out, rows) = mpsc::channel(CHANNEL_BATCHES);
    ctx.tasks.spawn("picked rows", async move {
        let read = read_by_key(&session, selection, keys, &out).await;
        let last = read.map(|()| Flow::End);
        // Whoever no longer takes rows needs no last word.
        drop(out.send(last).await);
    });
    rows
}

type Out = mpsc::Sender<Result<Flow, EngineError>>;

async fn read_by_key(
    session: &Session,
    selection: Selection,
    keys: Vec<Bytes>,
    out: &Out,
) -> Result<(), EngineError> {
    let columns: Vec<String> = {
        let held = session.table(&selection.table).ok();
        let agreed = held.and_then(|held| held.agreed.get());
        agreed
            .map(|(agreed, _)| agreed.key.clone())
            .unwrap_or_default()
    };
    let wanted = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    let mut found = 0;
    for chunk in keys.chunks(CHUNK) {
        let rows = RowFilter::Keys {
            columns: columns.clone(),
            keys: chunk.to_vec(),
        };
        let selection = Selection {
            rows,
            ..selection.clone()
        };
        found += pass_on(session, selection, out).await?;
    }
    if found < wanted {
        pass_on(session, selection, out).await?;
    }
    Ok(())
}

/// Passes the rows of one reading on; how many there were.
async fn pass_on(session: &Session, selection: Selection, out: &Out) -> Result<u64, EngineError> {
    let table = selection.table.clone();
    let given_up = || EngineError::Lost("reading was given up".to_owned());
    let snapshot = session.snapshot().map_err(|_| given_up())?;
    let mut rows = snapshot.read(selection).await?;
    drop(snapshot);
    let mut count = 0;
    loop {
        match rows.recv().await {
            Some(Ok(Flow::Rows(batch))) => {
                count += u64::from(batch.rows);
                out.send(Ok(Flow::Rows(batch)))
                    .await
                    .map_err(|_| given_up())?;
            }
            Some(Ok(Flow::End)) => return Ok(count),
            Some(Err(err)) => return Err(err),
            None => return Err(EngineError::Cut(table)),
        }
    }
}
