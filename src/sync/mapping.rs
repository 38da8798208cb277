//! A source's table in the destination's words: columns under the names they have here, those left out gone.
//!
//! A mapping lists the columns that travel, all of them. Pure. Invariant: what the source is asked for goes by its own
//! names; everything else, keys, refusals and tables made here, by the destination's.

use crate::model::fault::FaultCode;
use crate::model::filter::Filter;
use crate::model::order::{FieldMapping, TableOrder};
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Column, Engine, ForeignKey, NeutralType, Table, TableName, UniqueKey};
use crate::sync::SyncError;
use crate::sync::contract::{
    Asked, Contract, agree_by, listed, refuse, refuse_unmatched, source_column,
};
use crate::wire::convert::{Sides, conversion};
use crate::wire::messages::{Catalogue, CatalogueColumn, CatalogueForeignKey};
use crate::wire::scope::{Condition, Scope};

/// A source's table as an order wants it.
#[derive(Clone, Debug)]
pub(super) struct MappedSource {
    catalogue: Catalogue,
    table: TableName,
    fields: Vec<FieldMapping>,
    key: Option<Vec<String>>,
    scope: Option<Scope>,
}

impl MappedSource {
    /// The table `there` as `order` wants it; foreign keys follow what `run` pulls elsewhere.
    ///
    /// # Errors
    /// When the mapping or the row filter names a column that the source does not send, or the filter does not fit it.
    pub(super) fn new(
        mut there: Catalogue,
        order: &TableOrder,
        run: &[TableOrder],
    ) -> Result<Self, SyncError> {
        let fields = order.field_mapping.as_deref().unwrap_or_default();
        for field in fields {
            refuse_unsent(&there, order.destination(), field)?;
        }
        let scope = order.row_filter.as_ref();
        let scope = scope.map(|filter| scope_of(&there, order.destination(), filter));
        let scope = scope.transpose()?;
        there.foreign_keys = there
            .foreign_keys
            .iter()
            .filter_map(|key| followed(key, fields, run))
            .collect();
        if !fields.is_empty() {
            there.columns = mapped_columns(&there, fields);
            there.primary_key = renamed(&there.primary_key, fields).unwrap_or_default();
            there.unique = there
                .unique
                .iter()
                .filter_map(|key| renamed(key, fields))
                .collect();
        }
        Ok(Self {
            catalogue: there,
            table: order.destination().clone(),
            fields: fields.to_vec(),
            key: order.primary_key.clone(),
            scope,
        })
    }

    /// The source's engine.
    pub(super) fn engine(&self) -> Engine {
        self.catalogue.engine
    }

    /// The rows the source's database estimates; it cannot say how many of them pass a filter.
    pub(super) fn row_estimate(&self) -> Option<u64> {
        let all = self.catalogue.row_estimate;
        all.filter(|_| self.scope.is_none())
    }

    /// What must hold of the rows that travel, by the place of each field: the row filter, as far as its columns travel.
    pub(super) fn checks(&self, contract: &Contract) -> Vec<(usize, Condition)> {
        let columns = contract.column_names();
        let checks = self.scope.as_ref().map(|scope| scope.checks(&columns));
        checks.unwrap_or_default()
    }

    /// The contract with the table that is here.
    ///
    /// # Errors
    /// [`SyncError::Contract`] naming table and column and what to do.
    pub(super) fn agree(
        &self,
        target: &Table,
        engine: Engine,
        (mode, conflict): (SyncMode, ConflictStrategy),
    ) -> Result<Contract, SyncError> {
        for field in &self.fields {
            self.refuse_unheld(target, field)?;
        }
        let asked = self.asked(mode, conflict);
        let mut contract = agree_by(&self.catalogue, target, engine, asked)?;
        for column in &mut contract.source {
            column.name = self.source_name(&column.name).to_owned();
        }
        Ok(contract)
    }

    /// Makes sure that a table made here after this one can be pulled into.
    ///
    /// # Errors
    /// [`SyncError::Contract`] when its rows need a key and will have none, or a value cannot become the type it is cast to.
    pub(super) fn refuse_making(
        &self,
        engine: Engine,
        (mode, conflict): (SyncMode, ConflictStrategy),
    ) -> Result<(), SyncError> {
        let made = self.described();
        let sides = Sides::between(self.catalogue.engine, engine);
        for field in self.fields.iter().filter(|field| field.type_cast.is_some()) {
            let there = self.column(&field.destination_field).map(source_column);
            if let (Some(there), Some(here)) = (there, made.column(&field.destination_field)) {
                conversion(&there, here, sides).map_err(|_| self.no_cast(field, there.kind))?;
            }
        }
        refuse_unmatched(&self.catalogue, &made, engine, self.asked(mode, conflict))
    }

    fn asked(&self, mode: SyncMode, conflict: ConflictStrategy) -> Asked<'_> {
        Asked {
            mode,
            conflict,
            key: self.key.as_deref(),
        }
    }

    /// The table to make here. Nothing of it is trusted: `create` takes only names, neutral types and keys.
    pub(super) fn described(&self) -> Table {
        let key = |columns: &Vec<String>| UniqueKey {
            columns: columns.clone(),
            folded: false,
        };
        let there = &self.catalogue;
        Table {
            name: self.table.clone(),
            columns: there
                .columns
                .iter()
                .map(|column| self.made_column(column))
                .collect(),
            primary_key: Some(&there.primary_key)
                .filter(|columns| !columns.is_empty())
                .map(key),
            unique: there
                .unique
                .iter()
                .filter(|columns| **columns != there.primary_key)
                .map(key)
                .collect(),
            foreign_keys: there
                .foreign_keys
                .iter()
                .map(|foreign| ForeignKey {
                    columns: foreign.columns.clone(),
                    table: foreign.table.clone(),
                    foreign_columns: foreign.foreign_columns.clone(),
                    on_delete: foreign.on_delete.clone(),
                })
                .collect(),
            triggers: Vec::new(),
            row_estimate: None,
            size_bytes: None,
            not_writable: None,
        }
    }

    /// A column with the type it is cast to, whose width is then any.
    fn made_column(&self, column: &CatalogueColumn) -> Column {
        let column = source_column(column);
        let field = self
            .fields
            .iter()
            .find(|field| field.destination_field == column.name);
        match field.and_then(|field| field.type_cast) {
            Some(kind) if kind != column.kind => Column {
                kind,
                native: kind.as_str().to_owned(),
                precision: None,
                scale: None,
                length: None,
                identity: column.identity && kind.is_integer(),
                ..column
            },
            _ => column,
        }
    }

    /// What a mapping asks of the table that is here: the column, and the type it is cast to.
    fn refuse_unheld(&self, target: &Table, field: &FieldMapping) -> Result<(), SyncError> {
        let (source, here) = (&field.source_column, &field.destination_field);
        let Some(column) = target.column(here) else {
            return Err(refuse(
                &target.name,
                FaultCode::MissingColumn,
                format!("source column {source} is mapped to {here}, which is missing here"),
                "add it here, or map the column to one that exists",
            ));
        };
        match field.type_cast {
            Some(cast) if !holds(column.kind, cast) => Err(refuse(
                &target.name,
                FaultCode::KindMismatch,
                format!(
                    "column {here} is {} here, and `type_cast` says {}",
                    column.native,
                    cast.as_str()
                ),
                "let `type_cast` name the type the column has here, or leave it out",
            )),
            _ => Ok(()),
        }
    }

    fn no_cast(&self, field: &FieldMapping, from: NeutralType) -> SyncError {
        let cast = field.type_cast.unwrap_or(from);
        refuse(
            &self.table,
            FaultCode::KindMismatch,
            format!(
                "source column {} is {}, which cannot become {} without losing values",
                field.source_column,
                from.as_str(),
                cast.as_str()
            ),
            "leave `type_cast` out, or name a type that holds every value",
        )
    }

    fn column(&self, name: &str) -> Option<&CatalogueColumn> {
        let mut columns = self.catalogue.columns.iter();
        columns.find(|column| column.name == name)
    }

    fn source_name<'a>(&'a self, name: &'a str) -> &'a str {
        let mut fields = self.fields.iter();
        fields
            .find(|field| field.destination_field == name)
            .map_or(name, |field| &field.source_column)
    }
}

fn scope_of(there: &Catalogue, table: &TableName, filter: &Filter) -> Result<Scope, SyncError> {
    let kind = |name: &str| {
        let mut columns = there.columns.iter();
        columns
            .find(|column| column.name == name && !column.generated)
            .map(|column| column.kind)
    };
    Scope::new(filter, kind).map_err(|unfit| {
        let hint = "correct the filter; it goes by the columns of the source";
        refuse(
            table,
            FaultCode::InvalidFilter,
            format!("row filter: {unfit}"),
            hint,
        )
    })
}

fn refuse_unsent(
    there: &Catalogue,
    table: &TableName,
    field: &FieldMapping,
) -> Result<(), SyncError> {
    let named = &field.source_column;
    let found = there.columns.iter().find(|column| column.name == *named);
    let message = match found {
        Some(column) if !column.generated => return Ok(()),
        Some(_) => format!("column {named} is computed at the source and does not travel"),
        None => {
            let names: Vec<&str> = there
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect();
            format!(
                "the source shows no column {named}; it shows {}",
                listed(&names)
            )
        }
    };
    let hint = "correct the mapping";
    Err(refuse(table, FaultCode::UnknownColumn, message, hint))
}

/// Whether a column of type `held` takes every value of type `cast`, and is what a person means by it: engines have
/// fewer integers and one json.
fn holds(held: NeutralType, cast: NeutralType) -> bool {
    let width = |kind| match kind {
        NeutralType::Int2 => Some(2),
        NeutralType::Int4 => Some(4),
        NeutralType::Int8 => Some(8),
        _ => None,
    };
    let is_json = |kind| matches!(kind, NeutralType::Json | NeutralType::Jsonb);
    held == cast
        || (is_json(held) && is_json(cast))
        || matches!((width(held), width(cast)), (Some(held), Some(cast)) if held >= cast)
}

/// The mapped columns in the order of the mapping, under their new names.
fn mapped_columns(there: &Catalogue, fields: &[FieldMapping]) -> Vec<CatalogueColumn> {
    let mapped = |field: &FieldMapping| {
        let mut columns = there.columns.iter();
        let column = columns.find(|column| column.name == field.source_column)?;
        Some(CatalogueColumn {
            name: field.destination_field.clone(),
            ..column.clone()
        })
    };
    fields.iter().filter_map(mapped).collect()
}

/// The new names of all of `columns`; `None` when one of them does not travel.
fn renamed(columns: &[String], fields: &[FieldMapping]) -> Option<Vec<String>> {
    if fields.is_empty() {
        return Some(columns.to_vec());
    }
    let new_name = |column: &String| {
        let mut fields = fields.iter();
        fields
            .find(|field| field.source_column == *column)
            .map(|field| field.destination_field.clone())
    };
    columns.iter().map(new_name).collect()
}

/// A foreign key as it is here: between the tables that the run writes. `None` when a column of it does not travel.
fn followed(
    key: &CatalogueForeignKey,
    fields: &[FieldMapping],
    run: &[TableOrder],
) -> Option<CatalogueForeignKey> {
    let columns = renamed(&key.columns, fields)?;
    let is_parent = |order: &&TableOrder| order.source_table == key.table;
    // Pulled into several tables, the parent is the one that keeps its name, else the first.
    let parent = run
        .iter()
        .filter(is_parent)
        .find(|order| *order.destination() == key.table)
        .or_else(|| run.iter().find(is_parent));
    let Some(parent) = parent else {
        return Some(CatalogueForeignKey {
            columns,
            ..key.clone()
        });
    };
    let fields = parent.field_mapping.as_deref().unwrap_or_default();
    Some(CatalogueForeignKey {
        columns,
        table: parent.destination().clone(),
        foreign_columns: renamed(&key.foreign_columns, fields)?,
        on_delete: key.on_delete.clone(),
    })
}

#[cfg(test)]
mod tests;
