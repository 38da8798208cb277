//! What differs, for people: the keys, how each row differs, and in which columns. No value leaves this module.

use std::collections::HashMap;

use bytes::Bytes;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, RowFilter};
use crate::model::difference::{DifferenceKind, DifferentRow, mark};
use crate::sync::SyncError;
use crate::sync::compare::Difference;
use crate::sync::pull::carry::{Carry, picks};
use crate::sync::pull::found::{Entry, Found};
use crate::wire::InvalidValue;
use crate::wire::normal::Normal;
use crate::wire::row::{RowWriter, split_tuple};

/// Rows that are looked at together.
const AT_ONCE: usize = 1_000;

/// Whether somebody is to see which columns differ: both sides' rows are then read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    Compared,
    Unknown,
}

/// The first rows that differ, so many at most.
pub(super) async fn described(
    carry: &Carry<'_>,
    found: &mut Found,
    (columns, most): (Columns, usize),
) -> Result<Vec<DifferentRow>, SyncError> {
    let mut rows = Vec::new();
    let mut at = 0;
    while rows.len() < most && at < found.len() {
        let mut entries = Vec::with_capacity(AT_ONCE);
        while entries.len() < AT_ONCE.min(most - rows.len())
            && let Some(entry) = found.get(at)?
        {
            at += 1;
            entries.push(entry);
        }
        let changed: Vec<Entry> = entries
            .iter()
            .filter(|entry| matches!(entry.difference, Difference::Differs { .. }))
            .cloned()
            .collect();
        let differing = match columns {
            Columns::Compared if !changed.is_empty() => differing(carry, &changed).await?,
            _ => HashMap::new(),
        };
        rows.extend(entries.iter().map(|entry| {
            let (kind, mark) = match entry.difference {
                Difference::OnlyThere(there) => (DifferenceKind::Added, mark(None, Some(there.0))),
                Difference::OnlyHere(here) => (DifferenceKind::Deleted, mark(Some(here.0), None)),
                Difference::Differs { here, there } => {
                    (DifferenceKind::Updated, mark(Some(here.0), Some(there.0)))
                }
            };
            DifferentRow {
                key: carry.meeting.key_text(carry.pull, &entry.key),
                kind,
                columns: differing.get(&entry.key).cloned(),
                mark,
            }
        }));
        if entries.is_empty() {
            break;
        }
    }
    Ok(rows)
}

/// What each field of a row is, so that two rows of any size can be held against each other.
type FieldHashes = Vec<Option<blake3::Hash>>;

/// The columns in which each of `entries`, which are on both sides, differs.
async fn differing(
    carry: &Carry<'_>,
    entries: &[Entry],
) -> Result<HashMap<Vec<u8>, Vec<String>>, SyncError> {
    let (there, here) = (there(carry, entries).await?, here(carry, entries).await?);
    let names = &carry.pull.contract.target;
    let mut columns = HashMap::with_capacity(entries.len());
    for (key, there) in there {
        // A row that is gone meanwhile differs in nothing that could be told.
        let Some(here) = here.get(&key) else { continue };
        let pairs = names.iter().zip(here.iter().zip(&there));
        let differing = pairs.filter(|(_, (here, there))| here != there);
        columns.insert(
            key,
            differing.map(|(column, _)| column.name.clone()).collect(),
        );
    }
    Ok(columns)
}

async fn there(
    carry: &Carry<'_>,
    entries: &[Entry],
) -> Result<HashMap<Vec<u8>, FieldHashes>, SyncError> {
    let (source, agreed) = (&carry.pull.source, &carry.meeting.agreed);
    let mut rows = carry
        .session
        .picked(source, agreed, &picks(entries))
        .await?;
    let mut found = HashMap::with_capacity(entries.len());
    while let Some(batch) = rows.next().await? {
        for tuple in batch.tuples() {
            let read = tuple.and_then(|tuple| fields(carry, &carry.meeting.theirs, tuple));
            let (key, hashes) = read.map_err(|err| carry.nonsense(&err))?;
            found.insert(key, hashes);
        }
    }
    Ok(found)
}

async fn here(
    carry: &Carry<'_>,
    entries: &[Entry],
) -> Result<HashMap<Vec<u8>, FieldHashes>, SyncError> {
    let name = &carry.pull.target.name;
    let unreadable = |err: InvalidValue| EngineError::of_table(name, err.to_string());
    let mut keys = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = carry.meeting.key_here(&entry.key).map_err(unreadable)?;
        keys.extend(key.map(Bytes::from));
    }
    let rows = RowFilter::Keys {
        columns: carry.pull.contract.key.clone(),
        keys,
    };
    let selection = carry.meeting.selection(carry.pull, rows);
    let mut rows = carry.ctx.driver.read(selection).await?;
    let mut found = HashMap::with_capacity(entries.len());
    while let Some(flow) = rows.recv().await {
        let Flow::Rows(batch) = flow? else {
            return Ok(found);
        };
        for tuple in batch.tuples() {
            let read = tuple.and_then(|tuple| fields(carry, &carry.meeting.ours, tuple));
            let (key, hashes) = read.map_err(unreadable)?;
            found.insert(key, hashes);
        }
    }
    Err(EngineError::Cut(name.clone()).into())
}

/// The key of a row, and what its fields are, both in normal form.
fn fields(
    carry: &Carry<'_>,
    normal: &Normal,
    tuple: &[u8],
) -> Result<(Vec<u8>, FieldHashes), InvalidValue> {
    let mut writer = RowWriter::default();
    normal
        .normalise(tuple, &mut writer)
        .map_err(|(_, err)| err)?;
    let row = writer.take().data;
    carry.meeting.key_fields().write(&row, &mut writer)?;
    let (fields, _) = split_tuple(&row)?;
    let hashes = fields.into_iter().map(|field| field.map(blake3::hash));
    Ok((writer.take().data.to_vec(), hashes.collect()))
}
