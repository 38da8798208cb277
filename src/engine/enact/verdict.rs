//! What becomes of a change, given the row that is here now. Pure.
//!
//! Invariant: a row that is not what the plan says it is stays as it is, whatever mode and strategy.

use std::collections::HashMap;

use bytes::Bytes;

use crate::engine::driver::EnactJob;
use crate::engine::enact::target::Local;
use crate::engine::error::EngineError;
use crate::engine::fault::{Refusal, RefusalKind};
use crate::engine::plan::{Change, Fingerprint, LeftInPlace};
use crate::model::run::{Changes, ConflictStrategy, SyncMode};
use crate::model::table::NeutralType;
use crate::wire::InvalidValue;
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{Fields, RowWriter, split_tuple};
use crate::wire::scope::Scalar;
use crate::wire::tally::RowHash;

/// A row that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) row: Bytes,
    /// What it has to read back as.
    pub(super) hash: RowHash,
    /// The key of the row whose place it takes, where that has other bytes.
    pub(super) replaces: Option<Vec<u8>>,
}

/// What is done about a change, and how it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Insert(Meant),
    Update(Meant, LeftInPlace),
    Delete,
    /// The site's own application changed the row meanwhile.
    Moved,
    /// Mode or strategy leave what is here; with the key of the row that stays, where that has other bytes.
    Left(Changes, LeftInPlace, Option<Vec<u8>>),
    Refused(Refusal),
}

/// The deletes of a plan by their keys, for tables where equal keys may differ in bytes.
#[derive(Debug, Default)]
pub(super) struct Doomed {
    pub(super) keys: HashMap<Vec<u8>, RowHash>,
    /// No more will come.
    pub(super) complete: bool,
}

impl Doomed {
    /// Why a row cannot take the place of one that is not among these.
    pub(super) fn collision(&self) -> Refusal {
        Refusal {
            column: None,
            reason: "key_collision: this database calls the key equal to that of another row, which the source has too \
                     or which was added here meanwhile"
                .to_owned(),
            // The delete of the other row may still come.
            kind: RefusalKind::of(!self.complete),
        }
    }
}

/// What mode and strategy say.
pub(super) struct Rules {
    mode: SyncMode,
    conflict: ConflictStrategy,
    version: Option<(usize, NeutralType)>,
    /// Where the key's columns stand in a row.
    key: Vec<usize>,
    columns: usize,
    is_keyless: bool,
    fingerprint: Fingerprint,
}

impl Rules {
    /// Those of `job`.
    ///
    /// # Errors
    /// When its key or its version column is not among its columns.
    pub(super) fn new(job: &EnactJob) -> Result<Self, EngineError> {
        let target = &job.target;
        let place = |name: &String| {
            let mut columns = target.columns.iter();
            columns.position(|column| column.name == *name)
        };
        let unknown = |name: &str| {
            let message = format!(
                "column {name}, which rows go by, is not among those that are synchronized"
            );
            EngineError::of_table(&target.table.name, message)
        };
        let key: Option<Vec<usize>> = target.key.iter().map(place).collect();
        let version = match (&job.version_column, target.conflict) {
            (Some(name), ConflictStrategy::Newest) => {
                let at = place(name).ok_or_else(|| unknown(name))?;
                target.columns.get(at).map(|column| (at, column.kind))
            }
            (None, ConflictStrategy::Newest) => return Err(unknown("(none)")),
            _ => None,
        };
        Ok(Self {
            mode: target.mode,
            conflict: target.conflict,
            version,
            key: key.ok_or_else(|| unknown("of the key"))?,
            columns: target.columns.len(),
            is_keyless: target.is_keyless(),
            fingerprint: Fingerprint::clone(&job.fingerprint),
        })
    }

    /// Whether rows that are only here may be deleted.
    pub(super) fn deletes(&self) -> bool {
        self.mode == SyncMode::Mirror
    }

    /// Whether rows that are not here may be added.
    pub(super) fn inserts(&self) -> bool {
        self.mode != SyncMode::Update
    }

    /// What a row is.
    pub(super) fn hash(&self, row: &[u8]) -> Result<RowHash, InvalidValue> {
        (self.fingerprint)(row)
    }

    /// What a row that was read is; `None` when that cannot be told.
    pub(super) fn hash_of(&self, local: &Local) -> Option<RowHash> {
        local
            .readable
            .then(|| self.hash(&local.tuple).ok())
            .flatten()
    }

    /// The bytes of a row's key, equal where the fields are.
    pub(super) fn key_of(&self, row: &[u8]) -> Result<Vec<u8>, InvalidValue> {
        let (fields, _) = split_tuple(row)?;
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(self.key.len()).unwrap_or(u16::MAX));
        for &at in &self.key {
            writer.field(fields.get(at).copied().flatten());
        }
        Ok(writer.take().data.to_vec())
    }

    /// Whether the row of a change is looked for before it is decided about: any other row may be equal to one without a
    /// key that is inserted.
    pub(super) fn looks_for(&self, change: &Change) -> bool {
        !self.is_keyless || matches!(change, Change::Delete { .. })
    }

    /// The row of a change; a delete's has its key alone, or is where the row is.
    pub(super) fn row_of(&self, change: &Change) -> Result<Bytes, InvalidValue> {
        let Change::Delete { key, .. } = change else {
            return Ok(change.tuple().clone());
        };
        if self.is_keyless {
            return Ok(key.clone());
        }
        let (fields, _) = split_tuple(key)?;
        let mut row: Fields<'_> = vec![None; self.columns];
        for (&at, field) in self.key.iter().zip(fields) {
            if let Some(place) = row.get_mut(at) {
                *place = field;
            }
        }
        Ok(written(&row))
    }

    /// What becomes of `change`, whose key finds `local`.
    ///
    /// # Errors
    /// When a row is none.
    pub(super) fn judge(
        &self,
        change: &Change,
        local: Option<&Local>,
        doomed: &Doomed,
    ) -> Result<Verdict, InvalidValue> {
        match change {
            Change::Insert { row } => {
                let there = match self.hash(row) {
                    Ok(there) => there,
                    Err(err) => return Ok(Verdict::Refused(incomparable(&err))),
                };
                match local {
                    None if self.mode == SyncMode::Update => Ok(left(None, Some(there))),
                    None => Ok(Verdict::Insert(Meant {
                        row: row.clone(),
                        hash: there,
                        replaces: None,
                    })),
                    Some(local) => self.judge_folded(row, local, doomed),
                }
            }
            Change::Update { row, here } => match local {
                Some(local) if self.hash_of(local) == Some(*here) => {
                    self.judge_both(row, local, *here)
                }
                _ => Ok(Verdict::Moved),
            },
            Change::Delete { here, .. } => Ok(match local {
                _ if !self.deletes() => left(Some(*here), None),
                Some(local) if self.hash_of(local) == Some(*here) => Verdict::Delete,
                _ => Verdict::Moved,
            }),
        }
    }

    /// An insert whose key is here: with the same bytes somebody else inserted it; with others it is the key of a row that
    /// this database calls equal.
    fn judge_folded(
        &self,
        row: &Bytes,
        local: &Local,
        doomed: &Doomed,
    ) -> Result<Verdict, InvalidValue> {
        let key = self.key_of(&local.tuple)?;
        if key == self.key_of(row)? {
            return Ok(Verdict::Moved);
        }
        let Some(here) = doomed.keys.get(&key) else {
            return Ok(Verdict::Refused(doomed.collision()));
        };
        if self.hash_of(local) != Some(*here) {
            return Ok(Verdict::Moved);
        }
        Ok(match self.judge_both(row, local, *here)? {
            Verdict::Update(meant, left) => Verdict::Update(
                Meant {
                    replaces: Some(key),
                    ..meant
                },
                left,
            ),
            Verdict::Left(changes, left, _) => Verdict::Left(changes, left, Some(key)),
            verdict => verdict,
        })
    }

    /// A row that is on both sides and differs.
    fn judge_both(
        &self,
        row: &Bytes,
        local: &Local,
        here: RowHash,
    ) -> Result<Verdict, InvalidValue> {
        let there = match self.hash(row) {
            Ok(there) => there,
            Err(err) => return Ok(Verdict::Refused(incomparable(&err))),
        };
        let stays = left(Some(here), Some(there));
        if self.mode == SyncMode::Insert {
            return Ok(stays);
        }
        let result = match self.conflict {
            ConflictStrategy::Skip => return Ok(stays),
            ConflictStrategy::Newest if !self.is_later(row, &local.tuple)? => return Ok(stays),
            ConflictStrategy::Overwrite | ConflictStrategy::Newest => row.clone(),
            ConflictStrategy::Merge => merged(row, &local.tuple)?,
        };
        if result.len() > MAX_ROW_BYTES {
            return Ok(Verdict::Refused(Refusal {
                column: None,
                reason: format!(
                    "merged, the row would have {} bytes, more than the {MAX_ROW_BYTES} that any may have",
                    result.len()
                ),
                kind: RefusalKind::Final,
            }));
        }
        let hash = self.hash(&result)?;
        if hash == here {
            return Ok(stays);
        }
        let mut left = LeftInPlace::default();
        if hash != there {
            left.here.count(hash.0);
            left.there.count(there.0);
        }
        let meant = Meant {
            row: result,
            hash,
            replaces: None,
        };
        Ok(Verdict::Update(meant, left))
    }

    /// Whether the incoming row's version is later; a missing one never is.
    fn is_later(&self, incoming: &[u8], local: &[u8]) -> Result<bool, InvalidValue> {
        let Some((at, kind)) = self.version else {
            return Ok(false);
        };
        let version = |row| -> Result<Option<Scalar<'_>>, InvalidValue> {
            let (fields, _) = split_tuple(row)?;
            let field = fields.get(at).copied().flatten();
            field.map(|field| Scalar::read(kind, field)).transpose()
        };
        let incoming = version(incoming)?;
        Ok(incoming.is_some() && incoming > version(local)?)
    }

    /// Where in a row that was written a value is another one than was meant.
    pub(super) fn differing(&self, meant: &Meant, found: &Local) -> Vec<usize> {
        let (Ok((sent, _)), Ok((read, _))) = (split_tuple(&meant.row), split_tuple(&found.tuple))
        else {
            return Vec::new();
        };
        // The form in which values are equal is the fingerprint's own: a value differs when putting it in place of what
        // was sent makes another row.
        let is_other = |at: &usize| {
            let mut row = sent.clone();
            if let (Some(place), Some(field)) = (row.get_mut(*at), read.get(*at)) {
                *place = *field;
            }
            row != sent && self.hash(&written(&row)).ok() != Some(meant.hash)
        };
        (0..sent.len()).filter(is_other).collect()
    }
}

/// Per column the incoming value, unless it is NULL.
fn merged(incoming: &[u8], local: &[u8]) -> Result<Bytes, InvalidValue> {
    let ((incoming, _), (local, _)) = (split_tuple(incoming)?, split_tuple(local)?);
    let fields = incoming.iter().zip(&local);
    let row: Fields<'_> = fields
        .map(|(incoming, local)| incoming.or(*local))
        .collect();
    Ok(written(&row))
}

fn written(fields: &Fields<'_>) -> Bytes {
    let mut writer = RowWriter::default();
    writer.begin(u16::try_from(fields.len()).unwrap_or(u16::MAX));
    for field in fields {
        writer.field(*field);
    }
    writer.take().data
}

/// What mode or strategy leave: a row here, one there, or both.
fn left(here: Option<RowHash>, there: Option<RowHash>) -> Verdict {
    let mut left = LeftInPlace::default();
    if let Some(here) = here {
        left.here.count(here.0);
    }
    if let Some(there) = there {
        left.there.count(there.0);
    }
    let changes = Changes {
        skipped: u64::from(there.is_some()),
        conflicts: u64::from(here.is_some() && there.is_some()),
        ..Changes::default()
    };
    Verdict::Left(changes, left, None)
}

fn incomparable(err: &InvalidValue) -> Refusal {
    Refusal {
        column: None,
        reason: format!("the row cannot be compared: {err}"),
        kind: RefusalKind::Final,
    }
}

#[cfg(test)]
mod tests;
