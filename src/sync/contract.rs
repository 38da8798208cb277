//! The contract for one table: which columns travel, as what they arrive, and by which key rows are matched.
//!
//! A pure function of both catalogues. What cannot fit is refused here, before any row.

use crate::model::fault::FaultCode;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Column, Engine, Table, TableName};
use crate::sync::SyncError;
use crate::wire::convert::{RowConversion, Sides, conversion};
use crate::wire::messages::{Catalogue, CatalogueColumn, Head};

/// What both sides agreed on for one table.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The source's columns that travel, in the order of the destination's table.
    pub source: Vec<Column>,
    /// Where each of them goes.
    pub target: Vec<Column>,
    /// How each value becomes one of its destination's type.
    pub conversion: RowConversion,
    /// The columns by which rows are matched. None: the rows are keyless, in the meaning of
    /// [`KeyFields`](crate::wire::tally::KeyFields).
    pub key: Vec<String>,
}

/// What a run asks of a contract.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) mode: SyncMode,
    pub(super) conflict: ConflictStrategy,
    /// By which key rows are to be matched; `None`: by the first that both sides have.
    pub(super) key: Option<&'a [String]>,
}

/// Agrees on a contract over every column of the source, by the first key both sides have.
///
/// # Errors
/// [`SyncError::Contract`] naming table and column and what to do.
pub fn agree(
    source: &Catalogue,
    target: &Table,
    target_engine: Engine,
    mode: SyncMode,
) -> Result<Contract, SyncError> {
    let asked = Asked {
        mode,
        conflict: ConflictStrategy::Overwrite,
        key: None,
    };
    agree_by(source, target, target_engine, asked)
}

/// As [`agree`], as it is `asked` for.
pub(super) fn agree_by(
    source: &Catalogue,
    target: &Table,
    target_engine: Engine,
    asked: Asked<'_>,
) -> Result<Contract, SyncError> {
    let table = &target.name;
    if let Some(reason) = &target.not_writable {
        return Err(refuse(
            table,
            FaultCode::NotWritable,
            reason.clone(),
            "choose another table",
        ));
    }
    refuse_missing_columns(source, target)?;
    refuse_computed_columns(source, target)?;
    let sides = Sides::between(source.engine, target_engine);
    let (mut sent, mut written, mut conversions) = (Vec::new(), Vec::new(), Vec::new());
    for column in target.columns.iter().filter(|column| !column.generated) {
        let Some(there) = sent_column(source, &column.name) else {
            refuse_unfilled(table, column, asked.mode)?;
            continue;
        };
        let step = conversion(&there, column, sides).map_err(|mismatch| {
            let message = format!("column {}: {mismatch}", column.name);
            refuse(
                table,
                FaultCode::KindMismatch,
                message,
                "change the column's type on one side",
            )
        })?;
        conversions.push(step);
        sent.push(there);
        written.push(column.clone());
    }
    let key = match common_key(source, target, &sent, asked.key) {
        Some(key) => key,
        None => {
            refuse_without_key(source, target, target_engine, asked)?;
            let columns = target.columns.iter();
            refuse_own_columns(table, columns.filter(|column| !written.contains(column)))?;
            Vec::new()
        }
    };
    Ok(Contract {
        source: sent,
        target: written,
        conversion: RowConversion::new(conversions),
        key,
    })
}

/// Makes sure that the rows of a table made here after `source` can be matched.
///
/// # Errors
/// [`SyncError::Contract`] when there will be no key, and the run needs one.
pub(super) fn refuse_unmatched(
    source: &Catalogue,
    made: &Table,
    engine: Engine,
    asked: Asked<'_>,
) -> Result<(), SyncError> {
    let sent: Vec<Column> = source.columns.iter().map(source_column).collect();
    match common_key(source, made, &sent, asked.key) {
        Some(_) => Ok(()),
        None => refuse_without_key(source, made, engine, asked),
    }
}

impl Contract {
    /// The names of the columns to ask the source for.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        self.source
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// Whether rows have no key.
    #[must_use]
    pub fn is_keyless(&self) -> bool {
        self.key.is_empty()
    }

    /// Whether what the source is about to send is what was agreed on.
    #[must_use]
    pub fn matches(&self, head: &Head) -> bool {
        head.columns.len() == self.source.len()
            && head
                .columns
                .iter()
                .zip(&self.source)
                .all(|(sent, agreed)| sent.name == agreed.name && sent.kind == agreed.kind)
    }
}

/// A column of a peer's catalogue in our words.
#[must_use]
pub fn source_column(column: &CatalogueColumn) -> Column {
    Column {
        name: column.name.clone(),
        kind: column.kind,
        native: column.native.clone(),
        precision: column.precision,
        scale: column.scale,
        length: column.length,
        nullable: column.nullable,
        generated: column.generated,
        identity: column.identity,
        has_default: false,
    }
}

fn sent_column(source: &Catalogue, name: &str) -> Option<Column> {
    source
        .columns
        .iter()
        .find(|column| column.name == name && !column.generated)
        .map(source_column)
}

fn refuse_missing_columns(source: &Catalogue, target: &Table) -> Result<(), SyncError> {
    let missing: Vec<&str> = source
        .columns
        .iter()
        .filter(|column| !column.generated && target.column(&column.name).is_none())
        .map(|column| column.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the source's {} missing here: {}",
        plural(missing.len(), "column is", "columns are"),
        listed(&missing)
    );
    Err(refuse(
        &target.name,
        FaultCode::MissingColumn,
        message,
        "add it here with the type the source has, or let the source withhold it",
    ))
}

/// What is computed here would stand in for the source's own values.
fn refuse_computed_columns(source: &Catalogue, target: &Table) -> Result<(), SyncError> {
    let stored_there = |name: &str| {
        let mut columns = source.columns.iter();
        columns.any(|column| column.name == name && !column.generated)
    };
    let mut computed = target.columns.iter().filter(|column| column.generated);
    let Some(column) = computed.find(|column| stored_there(&column.name)) else {
        return Ok(());
    };
    Err(refuse(
        &target.name,
        FaultCode::ComputedHere,
        format!(
            "column {} is computed here, but has values of its own at the source",
            column.name
        ),
        "make it an ordinary column here, or let the source withhold it",
    ))
}

fn refuse_unfilled(table: &TableName, column: &Column, mode: SyncMode) -> Result<(), SyncError> {
    let inserts = mode != SyncMode::Update;
    if inserts && !column.nullable && !column.has_default && !column.identity {
        let message = format!(
            "nothing travels to column {}, which takes neither NULL nor a default",
            column.name
        );
        return Err(refuse(
            table,
            FaultCode::UnfilledColumn,
            message,
            "give it a default or let it be NULL, or use --mode update",
        ));
    }
    Ok(())
}

/// A key of the destination that is one of the source too, the destination's primary key first; only `wanted` where
/// one is.
fn common_key(
    source: &Catalogue,
    target: &Table,
    sent: &[Column],
    wanted: Option<&[String]>,
) -> Option<Vec<String>> {
    let travels = |name: &String| sent.iter().any(|column| &column.name == name);
    let not_null = |name: &String| {
        source
            .columns
            .iter()
            .any(|column| &column.name == name && !column.nullable)
    };
    let is_source_key = |columns: &[String]| {
        same_columns(columns, &source.primary_key)
            || (columns.iter().all(not_null)
                && source.unique.iter().any(|key| same_columns(columns, key)))
    };
    target
        .usable_keys()
        .map(|key| &key.columns)
        .filter(|columns| wanted.is_none_or(|wanted| same_columns(columns, wanted)))
        .find(|columns| columns.iter().all(travels) && is_source_key(columns))
        .cloned()
}

fn same_columns(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}

/// Where no key will do, a mirror does without: it keeps the rows as a multiset, in which no row ever changes.
fn refuse_without_key(
    source: &Catalogue,
    target: &Table,
    engine: Engine,
    asked: Asked<'_>,
) -> Result<(), SyncError> {
    let table = &target.name;
    let refused = |message: String, hint| Err(refuse(table, FaultCode::NoKey, message, hint));
    if let Some(wanted) = asked.key {
        let fault = format!("`primary_key` ({}) cannot be used", listed(wanted));
        let hint = "name one of the keys that both sides have, or none";
        return refused(no_key(&fault, source, target), hint);
    }
    if engine == Engine::Mysql {
        let hint = "add the same primary key on both sides: in MariaDB and MySQL nothing else tells one of several equal rows from the others";
        return refused(no_key("no usable key", source, target), hint);
    }
    if asked.mode != SyncMode::Mirror {
        let hint = "add the same primary key on both sides; without one the table can be mirrored as a whole: --mode mirror";
        return refused(no_key("no usable key", source, target), hint);
    }
    if asked.conflict != ConflictStrategy::Overwrite {
        let fault = format!(
            "no usable key: without one no row is on both sides with other values, and `{}` means nothing",
            asked.conflict.as_str()
        );
        let hint =
            "leave the conflict strategy at overwrite, or add the same primary key on both sides";
        return refused(fault, hint);
    }
    Ok(())
}

/// Of equal rows any one is deleted: what each has besides what travels would be lost at random.
fn refuse_own_columns<'c>(
    table: &TableName,
    besides: impl Iterator<Item = &'c Column>,
) -> Result<(), SyncError> {
    let mut own = besides.filter(|column| !column.generated);
    let Some(column) = own.next() else {
        return Ok(());
    };
    let message = format!(
        "no usable key, and nothing travels to column {}: rows without a key are told apart by all of their columns",
        column.name
    );
    let hint = "add the same primary key on both sides, or let the column travel";
    Err(refuse(table, FaultCode::NoKey, message, hint))
}

fn no_key(fault: &str, source: &Catalogue, target: &Table) -> String {
    let describe = |keys: Vec<String>| {
        if keys.is_empty() {
            "none".to_owned()
        } else {
            listed(&keys)
        }
    };
    let there = std::iter::once(&source.primary_key)
        .chain(&source.unique)
        .filter(|key| !key.is_empty());
    format!(
        "{fault}: rows are matched by a primary key or a unique key without NULL that both sides have; there: {}; here: {}",
        describe(there.map(|key| format!("({})", key.join(", "))).collect()),
        describe(
            target
                .usable_keys()
                .map(|key| format!("({})", key.columns.join(", ")))
                .collect()
        ),
    )
}

/// The refusal of a contract over `table`.
pub(super) fn refuse(table: &TableName, code: FaultCode, message: String, hint: &str) -> SyncError {
    SyncError::Contract {
        table: table.clone(),
        code,
        message,
        hint: hint.to_owned(),
    }
}

/// The first few, and how many more: a peer may name thousands.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(10).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests;
