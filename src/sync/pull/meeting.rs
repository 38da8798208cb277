//! How the rows of both sides of one table meet: the same columns, key and normal forms, each side from its own.
//!
//! Pure. Invariant: what both sides hash is decided here alone, from the contract.

use std::sync::Arc;

use crate::engine::driver::{RowFilter, RowOrder, Selection};
use crate::engine::plan::Fingerprint;
use crate::model::fault::FaultCode;
use crate::model::run::{Run, SyncMode};
use crate::model::table::{Column, Engine};
use crate::sync::SyncError;
use crate::sync::contract::refuse;
use crate::sync::pull::plan::TablePull;
use crate::wire::InvalidValue;
use crate::wire::convert::Sides;
use crate::wire::json::field_to_text;
use crate::wire::normal::{Normal, NormalForm, normal_form};
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::scope::{Scope, means_the_same};
use crate::wire::session::Agreed;
use crate::wire::tally::{KeyFields, TallyKey};

/// One table as both sides see it.
#[derive(Clone, Debug)]
pub(super) struct Meeting {
    /// Said to the source.
    pub(super) agreed: Agreed,
    /// From rows as they come.
    pub(super) theirs: Normal,
    /// From rows as they are here.
    pub(super) ours: Normal,
    /// Where the key's columns stand in a row, in the key's order.
    pub(super) key: Vec<usize>,
    /// Keys that differ in bytes may be equal here.
    pub(super) folds: bool,
    /// Which rows here stand beside the source's.
    scope: Scope,
    /// Rows that are only here are known to be gone there, as a mirror has to know.
    pub(super) tells_deleted: bool,
}

impl Meeting {
    /// That of a table.
    ///
    /// # Errors
    /// When a mirror's scope would be of other rows here; or the contract has no normal form, which it was refused for before.
    pub(super) fn of(pull: &TablePull, engine: Engine, mode: SyncMode) -> Result<Self, SyncError> {
        let (contract, name) = (&pull.contract, &pull.target.name);
        let sides = Sides::between(pull.engine, engine);
        let unfit = |message: String| {
            let hint = "change the column's type on one side";
            refuse(name, FaultCode::KindMismatch, message, hint)
        };
        let forms: Vec<NormalForm> = contract
            .source
            .iter()
            .zip(&contract.target)
            .map(|(there, here)| {
                normal_form(there, here, sides)
                    .map_err(|err| unfit(format!("column {}: {err}", here.name)))
            })
            .collect::<Result<_, _>>()?;
        let normal = |columns| Normal::new(columns, &forms).map_err(|err| unfit(err.to_string()));
        let (theirs, ours) = (normal(&contract.source)?, normal(&contract.target)?);
        let places = contract.key.iter().map(|name| {
            let mut columns = contract.target.iter();
            columns.position(|column| column.name == *name)
        });
        let key: Vec<usize> = places
            .collect::<Option<_>>()
            .ok_or_else(|| unfit("a column of the key does not travel".to_owned()))?;
        let named = |at: &usize| contract.source.get(*at).map(|column| column.name.clone());
        let agreed = Agreed {
            columns: contract.column_names(),
            key: key.iter().filter_map(named).collect(),
            forms,
        };
        let scope = match mode {
            SyncMode::Mirror => scope_here(pull)?,
            // What no mode would delete may as well be compared: a row may have come into the scope since it was copied.
            SyncMode::Upsert | SyncMode::Insert | SyncMode::Update => Some(Scope::default()),
        };
        let folds = pull
            .target
            .usable_keys()
            .any(|key| key.columns == contract.key && key.folded);
        Ok(Self {
            agreed,
            theirs,
            ours,
            key,
            folds,
            tells_deleted: scope.is_some() && !pull.given.hides_rows,
            scope: scope.unwrap_or_default(),
        })
    }

    /// The rows here that stand beside the source's.
    pub(super) fn selection(&self, pull: &TablePull, rows: RowFilter) -> Selection {
        let columns = pull.contract.target.iter();
        Selection {
            table: pull.target.name.clone(),
            columns: columns
                .map(|column| (column.name.clone(), column.kind))
                .collect(),
            rows,
            scope: self.scope.clone(),
            order: RowOrder::Found,
            page: None,
        }
    }

    /// What a proof depends on: the first for all of it, the second for which rows and columns the source shows, in words
    /// of scope and grant.
    pub(super) fn basis(&self, pull: &TablePull, run: &Run, key: &TallyKey) -> (String, String) {
        let scope = serde_json::json!([pull.given.scope, pull.given.hides_rows]).to_string();
        let order = &run.order;
        let all = serde_json::json!([
            self.agreed,
            scope,
            order.sync_mode.as_str(),
            order.conflict_strategy.as_str(),
            order.version_column(&pull.target.name),
        ]);
        let hash = |text: &str| format!("{:032x}", key.hash(text.as_bytes()).0);
        let plain = blake3::hash(scope.as_bytes()).to_hex().to_string();
        let shown = match &pull.given.grant {
            Some(grant) => format!("{plain} {grant}"),
            None => plain,
        };
        (hash(&all.to_string()), shown)
    }

    /// The fields of a place's key.
    pub(super) fn key_fields(&self) -> KeyFields {
        KeyFields::new(self.key.clone())
    }

    /// What a row is that is here, or is to be.
    pub(super) fn fingerprint(&self, key: &TallyKey) -> Fingerprint {
        let (ours, key) = (self.ours.clone(), key.clone());
        if ours.is_pass() {
            return Arc::new(move |row| Ok(key.hash(row)));
        }
        Arc::new(move |row| {
            let mut writer = RowWriter::default();
            ours.normalise(row, &mut writer).map_err(|(_, err)| err)?;
            Ok(key.hash(&writer.take().data))
        })
    }

    /// The key with this normal form as this database has it; `None` where it has no such key.
    ///
    /// # Errors
    /// When the bytes are none.
    pub(super) fn key_here(&self, normal: &[u8]) -> Result<Option<Vec<u8>>, InvalidValue> {
        let (fields, _) = split_tuple(normal)?;
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap_or(u16::MAX));
        for (at, field) in self.key.iter().zip(fields) {
            let field = field.ok_or_else(|| InvalidValue::new("key", "a field of it is NULL"))?;
            let Some(value) = self.ours.restore(*at, field)? else {
                return Ok(None);
            };
            writer.field(Some(&value));
        }
        Ok(Some(writer.take().data.to_vec()))
    }

    /// A key for people: one JSON object of column and text.
    pub(super) fn key_text(&self, pull: &TablePull, normal: &[u8]) -> serde_json::Value {
        let key = self.key_here(normal).ok().flatten();
        let fields = key.as_deref().and_then(|key| split_tuple(key).ok());
        let fields = fields.map(|(fields, _)| fields).unwrap_or_default();
        let columns = self.key.iter().map(|at| pull.contract.target.get(*at));
        let texts = columns.flatten().zip(fields).map(|(column, field)| {
            let text = field_to_text(column.kind, field);
            (column.name.clone(), text.into())
        });
        serde_json::Value::Object(texts.collect())
    }
}

/// The source's scope in the words of this table; `None` where it goes by what does not travel.
///
/// # Errors
/// When it does not mean the same rows here: some would count as gone that the source has.
fn scope_here(pull: &TablePull) -> Result<Option<Scope>, SyncError> {
    let Some(filter) = &pull.given.scope else {
        return Ok(Some(Scope::default()));
    };
    let pair = |name: &str| {
        let mut pairs = pull.contract.source.iter().zip(&pull.contract.target);
        pairs.find(|(there, _)| there.name == name)
    };
    for term in filter.terms() {
        if let Some((there, here)) = pair(&term.column)
            && !means_the_same(&term.test, there.kind, here.kind)
        {
            return Err(refuse_other_rows(pull, there, here));
        }
    }
    let Some(renamed) = filter.renamed(|name| pair(name).map(|(_, here)| here.name.clone())) else {
        return Ok(None);
    };
    let kind = |name: &str| {
        let mut columns = pull.contract.target.iter();
        columns
            .find(|column| column.name == name)
            .map(|column| column.kind)
    };
    Ok(Scope::new(&renamed, kind).ok())
}

fn refuse_other_rows(pull: &TablePull, there: &Column, here: &Column) -> SyncError {
    let message = format!(
        "its rows are chosen by column {}, which is {} at the source and {} here: what it is compared with does not mean the same of both, and rows that the source has would be taken for deleted",
        here.name,
        there.kind.as_str(),
        here.kind.as_str()
    );
    refuse(
        &pull.target.name,
        FaultCode::KindMismatch,
        message,
        "give the column the same type on both sides, choose the rows by another one, or use --mode upsert; a moment can be written without its zone, in UTC",
    )
}
