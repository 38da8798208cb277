//! Carrying out what was found of one table: the rows that are wanted are asked for and given to the database as changes.
//!
//! Invariant: no request is larger than a peer takes.

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::engine::EngineError;
use crate::engine::driver::{ApplyProgress, EnactJob, Enacted};
use crate::engine::plan::{Change, Ending, Planned, Waiting};
use crate::model::run::{QuarantinedRow, RunOrder};
use crate::sync::compare::Difference;
use crate::sync::plan::Effect;
use crate::sync::pull::arrival::{Arrival, CHANGES_AT_ONCE};
use crate::sync::pull::feed::{Received, unreadable};
use crate::sync::pull::found::{Entry, Found};
use crate::sync::pull::meeting::Meeting;
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::session::Session;
use crate::sync::pull::table::job;
use crate::sync::{Ctx, SyncError};
use crate::wire::InvalidValue;
use crate::wire::session::PickedLeaf;
use crate::wire::tally::{Bitmap, Prefix};

/// Rows that are asked for at once.
const PICKED_AT_ONCE: usize = 8_192;
/// The same, of keyless rows: for each such order the peer reads its whole table.
pub(super) const EQUAL_AT_ONCE: usize = 65_536;
/// The bytes of such an order: half of what a peer takes of a request unless it is told to take more.
const ORDER_BYTES: usize = 512 << 10;
/// Of a leaf in it, without its digits and its bitmap.
const LEAF_BYTES: usize = r#"{"bitmap":"","leaf":""},"#.len();
/// Such pieces ahead of the database.
const PIECES_AHEAD: usize = 4;

/// Which of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Inserts and updates alone.
    Writes,
    /// Deletes alone.
    Deletes,
    /// Those that waited, which the engine has.
    Waiting,
}

impl Which {
    /// Whether it is about rows with this effect.
    pub(super) fn is(self, effect: Effect) -> bool {
        let writes = matches!(effect, Effect::Insert | Effect::Update);
        match self {
            Self::All => true,
            Self::Writes => writes,
            Self::Deletes => !writes,
            Self::Waiting => false,
        }
    }
}

/// One table whose differences are carried out.
pub(super) struct Carry<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) session: &'a Session<'a>,
    pub(super) pull: &'a TablePull,
    pub(super) meeting: &'a Meeting,
    pub(super) received: &'a Received,
    /// Rows of the table that were refused before.
    pub(super) refused: usize,
}

/// What was carried out.
pub(super) struct Carried {
    pub(super) enacted: Enacted,
    /// Rows that have no place here.
    pub(super) misfits: Vec<QuarantinedRow>,
}

impl Carry<'_> {
    /// Carries out `which` of what was found.
    pub(super) async fn run(
        &self,
        order: &RunOrder,
        found: &mut Found,
        (which, ending): (Which, Ending),
        waiting: Waiting,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Carried, SyncError> {
        let (sink, plan) = mpsc::channel(PIECES_AHEAD);
        let mut target = job(self.ctx, order, self.pull);
        let most = &mut target.budget.quarantine_rows;
        *most = most.saturating_sub(self.refused);
        let job = EnactJob {
            target,
            version_column: order.version_column(&self.pull.target.name),
            fingerprint: self.meeting.fingerprint(self.session.key()),
            waiting,
            ending,
        };
        let producing = async {
            let produced = self.produce(found, which, &sink).await;
            if produced.is_ok() {
                // Where the database has ended, its own error tells why.
                drop(sink.send(Ok(Planned::End)).await);
            }
            drop(sink);
            produced
        };
        let enacting = self.ctx.driver.enact(job, plan, progress);
        let (produced, enacted) = tokio::join!(producing, enacting);
        match (produced, enacted) {
            (Ok(misfits), Ok(enacted)) => Ok(Carried { enacted, misfits }),
            // The cause rather than its consequence.
            (Err(err), Ok(_) | Err(EngineError::Cut(_))) => Err(err),
            (_, Err(err)) => Err(err.into()),
        }
    }

    async fn produce(
        &self,
        found: &mut Found,
        which: Which,
        sink: &mpsc::Sender<Result<Planned, EngineError>>,
    ) -> Result<Vec<QuarantinedRow>, SyncError> {
        let (mut misfits, mut picked, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let at_once = match self.pull.contract.is_keyless() {
            false => PICKED_AT_ONCE,
            true => EQUAL_AT_ONCE,
        };
        let mut ordered = OrderBytes::default();
        for at in 0..found.len() {
            let Some(entry) = found.get(at)? else { break };
            if !which.is(entry.effect) {
                continue;
            }
            match (entry.effect, entry.difference) {
                (Effect::Insert | Effect::Update, _) => {
                    ordered.add(&entry);
                    picked.push(entry);
                }
                (_, Difference::OnlyHere(here)) => {
                    let key = self.meeting.key_here(&entry.key);
                    let key = key.map_err(|err| self.nonsense(&err))?;
                    // A key that was listed here is one that this database has.
                    if let Some(key) = key.map(Bytes::from) {
                        plain.push(Change::Delete { key, here });
                    }
                }
                _ => {}
            }
            if plain.len() >= CHANGES_AT_ONCE && !pass_on(sink, &mut plain).await {
                return Ok(misfits);
            }
            if picked.len() >= at_once || ordered.bytes() >= ORDER_BYTES {
                ordered = OrderBytes::default();
                let ended = self.fetch(&picked, sink, &mut misfits).await?;
                picked.clear();
                if ended {
                    return Ok(misfits);
                }
            }
        }
        if pass_on(sink, &mut plain).await && !picked.is_empty() {
            self.fetch(&picked, sink, &mut misfits).await?;
        }
        Ok(misfits)
    }

    /// Asks for the rows of `entries` and passes them on; whether the database takes no more.
    async fn fetch(
        &self,
        entries: &[Entry],
        sink: &mpsc::Sender<Result<Planned, EngineError>>,
        misfits: &mut Vec<QuarantinedRow>,
    ) -> Result<bool, SyncError> {
        let (source, agreed) = (&self.pull.source, &self.meeting.agreed);
        let mut rows = self.session.picked(source, agreed, &picks(entries)).await?;
        if !self.pull.contract.matches(rows.head()) {
            return Err(EngineError::SchemaChanged(self.pull.target.name.clone()).into());
        }
        let mut arrival = Arrival::of((self.pull, self.meeting), self.session.key(), entries);
        let before = self.received.bytes();
        while let Some(batch) = rows.next().await? {
            self.received
                .came(u64::from(batch.rows), before + rows.bytes());
            for tuple in batch.tuples() {
                let tuple = tuple.map_err(|err| self.nonsense(&err))?;
                arrival.take(tuple, misfits)?;
                if arrival.is_full() {
                    arrival.bytes = 0;
                    if !pass_on(sink, &mut arrival.changes).await {
                        return Ok(true);
                    }
                }
            }
            if misfits.len() > self.ctx.config.quarantine.max_rows {
                let (name, limit) = (&self.pull.target.name, self.ctx.config.quarantine.max_rows);
                return Err(EngineError::too_many_rejected(name, limit, misfits).into());
            }
        }
        self.received.came(0, before + rows.bytes());
        arrival.refuse_missing()?;
        let unfit = Planned::Unfit(arrival.unfit);
        let takes_more = sink.send(Ok(unfit)).await.is_ok();
        Ok(!(takes_more && pass_on(sink, &mut arrival.changes).await))
    }

    pub(super) fn nonsense(&self, err: &InvalidValue) -> SyncError {
        unreadable(&self.pull.target.name, err)
    }
}

/// Where `entries`, which are in order, stand in the source's listings.
pub(super) fn picks(entries: &[Entry]) -> Vec<PickedLeaf> {
    let leaves = entries.chunk_by(|one, other| one.leaf == other.leaf);
    leaves
        .filter_map(|rows| {
            let bitmap: Bitmap = rows.iter().map(|entry| entry.at).collect();
            let leaf = rows.first()?.leaf;
            Some(PickedLeaf {
                leaf,
                bitmap: Some(bitmap),
            })
        })
        .collect()
}

/// How many bytes [`picks`] of some entries, which are in order, take of a request.
#[derive(Default)]
struct OrderBytes {
    leaf: Option<Prefix>,
    of_leaf: usize,
    of_others: usize,
}

impl OrderBytes {
    fn add(&mut self, entry: &Entry) {
        if self.leaf != Some(entry.leaf) {
            self.of_others = self.bytes();
            (self.leaf, self.of_leaf) = (Some(entry.leaf), 0);
        }
        let base64 = (entry.at / 8 + 1).div_ceil(3) * 4;
        let bytes = LEAF_BYTES + usize::from(entry.leaf.level()) + base64;
        self.of_leaf = self.of_leaf.max(bytes);
    }

    fn bytes(&self) -> usize {
        self.of_others.saturating_add(self.of_leaf)
    }
}

/// Whether the database still takes changes.
async fn pass_on(
    sink: &mpsc::Sender<Result<Planned, EngineError>>,
    changes: &mut Vec<Change>,
) -> bool {
    if changes.is_empty() {
        return true;
    }
    let changes = std::mem::take(changes);
    sink.send(Ok(Planned::Changes(changes))).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::{OrderBytes, picks};
    use crate::sync::compare::Difference;
    use crate::sync::plan::Effect;
    use crate::sync::pull::found::Entry;
    use crate::wire::tally::{Place, Prefix, RowHash};

    #[test]
    fn an_order_has_as_many_bytes_as_are_counted() {
        for (name, level, rows) in [
            ("a row of each leaf", 16, vec![0; 3_000]),
            ("the last rows of long listings", 5, vec![65_535; 200]),
            ("places of any length", 5, (0..3_000).collect()),
        ] {
            let (mut counted, mut entries) = (OrderBytes::default(), Vec::new());
            for (leaf, last) in (1_u64..).zip(rows) {
                for at in [0, last] {
                    let entry = Entry {
                        effect: Effect::Insert,
                        leaf: Prefix::above(Place(leaf << 44 | leaf), level),
                        at,
                        key: Vec::new(),
                        difference: Difference::OnlyThere(RowHash(0)),
                    };
                    counted.add(&entry);
                    entries.push(entry);
                }
            }
            let json = serde_json::to_string(&picks(&entries)).unwrap();
            // The list has two brackets and a comma less.
            assert_eq!(json.len(), counted.bytes() + 1, "{name}");
        }
    }
}
