//! The rows of one answer: held against what was picked, and converted into changes.
//!
//! Invariant: a row that was not picked, is not what was listed, or lies outside the row filter, ends the run; none is missing
//! at the end.

use std::collections::HashMap;

use bytes::Bytes;

use crate::engine::plan::Change;
use crate::model::run::QuarantinedRow;
use crate::sync::SyncError;
use crate::sync::compare::Difference;
use crate::sync::pull::feed::{misfit_row, nonsense, refuse_stray, unreadable};
use crate::sync::pull::found::Entry;
use crate::sync::pull::meeting::Meeting;
use crate::sync::pull::plan::TablePull;
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::tally::{RowHash, TallyKey};

/// Changes that are passed on at once, and the bytes of them beyond which fewer are.
pub(super) const CHANGES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 256 << 10;

/// The rows of one answer, held against what was picked.
pub(super) struct Arrival<'a> {
    pull: &'a TablePull,
    meeting: &'a Meeting,
    tally: &'a TallyKey,
    /// By what the row is there; of equal rows how many.
    expected: HashMap<u128, (&'a Entry, usize)>,
    normal: RowWriter,
    key: RowWriter,
    row: RowWriter,
    pub(super) changes: Vec<Change>,
    /// The keys of rows that cannot be stored, where they may be meant for the place of others.
    pub(super) unfit: Vec<Bytes>,
    pub(super) bytes: usize,
}

impl<'a> Arrival<'a> {
    pub(super) fn of(
        (pull, meeting): (&'a TablePull, &'a Meeting),
        tally: &'a TallyKey,
        entries: &'a [Entry],
    ) -> Self {
        let mut expected = HashMap::with_capacity(entries.len());
        for entry in entries {
            let listed = match entry.difference {
                Difference::OnlyThere(there) | Difference::Differs { there, .. } => there,
                Difference::OnlyHere(_) => continue,
            };
            expected.entry(listed.0).or_insert((entry, 0)).1 += 1;
        }
        Self {
            pull,
            meeting,
            tally,
            expected,
            normal: RowWriter::default(),
            key: RowWriter::default(),
            row: RowWriter::default(),
            changes: Vec::new(),
            unfit: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.changes.len() >= CHANGES_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }

    pub(super) fn take(
        &mut self,
        tuple: &[u8],
        misfits: &mut Vec<QuarantinedRow>,
    ) -> Result<(), SyncError> {
        let Self { meeting, pull, .. } = *self;
        let broken = |err| unreadable(&pull.target.name, &err);
        refuse_stray((&pull.target.name, &pull.checks), tuple)?;
        let normal = meeting.theirs.normalise(tuple, &mut self.normal);
        normal.map_err(|(_, err)| broken(err))?;
        let normal = self.normal.take().data;
        let fields = meeting.key_fields();
        let key = fields.write(&normal, &mut self.key);
        key.map_err(broken)?;
        let key = self.key.take().data;
        let hash = self.tally.hash(&normal);
        let entry = self.meet(&key, hash).ok_or_else(|| {
            let message = "the peer sent a row that is none of those picked from its listing";
            nonsense(&pull.target.name, message.to_owned())
        })?;
        let conversion = &pull.contract.conversion;
        if let Err((at, misfit)) = conversion.convert(tuple, &mut self.row) {
            let table = (&pull.target.name, &pull.contract);
            let row = misfit_row(table, tuple, at, &misfit);
            misfits.push(row.map_err(broken)?);
            if meeting.folds && matches!(entry.difference, Difference::OnlyThere(_)) {
                self.keep_place(tuple);
            }
            return Ok(());
        }
        let row = self.row.take().data;
        self.bytes += row.len();
        self.changes.push(match entry.difference {
            Difference::Differs { here, .. } => Change::Update { row, here },
            _ => Change::Insert { row },
        });
        Ok(())
    }

    /// Of a row that cannot be stored the key is passed on, unless it is what has no place here.
    fn keep_place(&mut self, tuple: &[u8]) {
        let contract = &self.pull.contract;
        let Ok((fields, _)) = split_tuple(tuple) else {
            return;
        };
        let mut alone = RowWriter::default();
        alone.begin(u16::try_from(fields.len()).unwrap_or(u16::MAX));
        for (field, here) in fields.into_iter().zip(&contract.target) {
            alone.field(field.filter(|_| contract.key.contains(&here.name)));
        }
        let alone = alone.take().data;
        if contract.conversion.convert(&alone, &mut self.row).is_ok() {
            self.unfit.push(self.row.take().data);
        }
    }

    /// Takes one of those expected out.
    fn meet(&mut self, key: &[u8], hash: RowHash) -> Option<&'a Entry> {
        let (entry, rows) = self.expected.get_mut(&hash.0)?;
        let entry = *entry;
        *rows -= 1;
        if *rows == 0 {
            self.expected.remove(&hash.0);
        }
        Some(entry).filter(|entry| entry.key == key)
    }

    pub(super) fn refuse_missing(&self) -> Result<(), SyncError> {
        if self.expected.is_empty() {
            return Ok(());
        }
        let missing: usize = self.expected.values().map(|(_, rows)| rows).sum();
        let message = format!("the peer left out {missing} of the rows that were picked");
        Err(nonsense(&self.pull.target.name, message))
    }
}
