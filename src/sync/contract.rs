//! The contract for one table: which columns travel, as what they arrive, and by which key rows are matched.
//!
//! A pure function of both catalogues. What cannot fit is refused here, before any row.

use crate::model::run::SyncMode;
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
    /// The columns by which rows are matched.
    pub key: Vec<String>,
}

/// Agrees on a contract.
///
/// # Errors
/// [`SyncError::Contract`] naming table and column and what to do.
pub fn agree(
    source: &Catalogue,
    target: &Table,
    target_engine: Engine,
    mode: SyncMode,
) -> Result<Contract, SyncError> {
    let table = &target.name;
    if let Some(reason) = &target.not_writable {
        return Err(refuse(
            table,
            "not_writable",
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
            refuse_unfilled(table, column, mode)?;
            continue;
        };
        let step = conversion(&there, column, sides).map_err(|mismatch| {
            let message = format!("column {}: {mismatch}", column.name);
            refuse(
                table,
                "kind_mismatch",
                message,
                "change the column's type on one side",
            )
        })?;
        conversions.push(step);
        sent.push(there);
        written.push(column.clone());
    }
    let key = common_key(source, target, &sent).ok_or_else(|| no_key(source, target))?;
    Ok(Contract {
        source: sent,
        target: written,
        conversion: RowConversion::new(conversions),
        key,
    })
}

/// Makes sure that a table made here after `source` will have a key by which rows are matched.
///
/// # Errors
/// [`SyncError::Contract`] when it will not.
pub fn refuse_keyless(source: &Catalogue, made: &Table) -> Result<(), SyncError> {
    let sent: Vec<Column> = source.columns.iter().map(source_column).collect();
    let key = common_key(source, made, &sent);
    key.map(drop).ok_or_else(|| no_key(source, made))
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
        "missing_column",
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
        "computed_here",
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
            "column {} exists only here, and takes neither NULL nor a default",
            column.name
        );
        return Err(refuse(
            table,
            "unfilled_column",
            message,
            "give it a default or let it be NULL, or use --mode update",
        ));
    }
    Ok(())
}

/// A key of the destination that is one of the source too, the destination's primary key first.
fn common_key(source: &Catalogue, target: &Table, sent: &[Column]) -> Option<Vec<String>> {
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
        .find(|columns| columns.iter().all(travels) && is_source_key(columns))
        .cloned()
}

fn same_columns(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}

fn no_key(source: &Catalogue, target: &Table) -> SyncError {
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
    let message = format!(
        "no usable key: rows are matched by a primary key or a unique key without NULL that both sides have; there: {}; here: {}",
        describe(there.map(|key| format!("({})", key.join(", "))).collect()),
        describe(
            target
                .usable_keys()
                .map(|key| format!("({})", key.columns.join(", ")))
                .collect()
        ),
    );
    refuse(
        &target.name,
        "no_key",
        message,
        "add the same primary key on both sides",
    )
}

fn refuse(table: &TableName, code: &'static str, message: String, hint: &str) -> SyncError {
    SyncError::Contract {
        table: table.clone(),
        code,
        message,
        hint: hint.to_owned(),
    }
}

/// The first few, and how many more: a peer may name thousands.
fn listed(names: &[impl AsRef<str>]) -> String {
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
mod tests {
    use super::agree;
    use crate::model::run::SyncMode;
    use crate::model::table::{Column, Engine, NeutralType, Table, TableName, UniqueKey};
    use crate::sync::SyncError;
    use crate::wire::messages::{Catalogue, CatalogueColumn};

    fn here(columns: &[(&str, NeutralType)], key: &[&str]) -> Table {
        let column = |&(name, kind): &(&str, NeutralType)| Column {
            name: name.to_owned(),
            kind,
            native: kind.name().to_owned(),
            precision: None,
            scale: None,
            length: None,
            nullable: !key.contains(&name),
            generated: false,
            identity: false,
            has_default: false,
        };
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        Table {
            name: TableName::bare("orders"),
            columns: columns.iter().map(column).collect(),
            primary_key: (!key.is_empty()).then_some(UniqueKey {
                columns: key,
                folded: false,
            }),
            unique: vec![],
            foreign_keys: vec![],
            triggers: vec![],
            row_estimate: None,
            size_bytes: None,
            not_writable: None,
        }
    }

    fn there(columns: &[(&str, NeutralType)], key: &[&str]) -> Catalogue {
        let table = here(columns, key);
        let column = |column: &Column| CatalogueColumn {
            name: column.name.clone(),
            kind: column.kind,
            native: column.native.clone(),
            precision: None,
            scale: None,
            length: None,
            nullable: column.nullable,
            generated: false,
            identity: false,
        };
        Catalogue {
            engine: Engine::Postgres,
            columns: table.columns.iter().map(column).collect(),
            primary_key: table.primary_key.map(|key| key.columns).unwrap_or_default(),
            unique: vec![],
            foreign_keys: vec![],
            row_estimate: None,
        }
    }

    const ID: (&str, NeutralType) = ("id", NeutralType::Int8);
    const NOTE: (&str, NeutralType) = ("note", NeutralType::Text);

    fn fault(source: &Catalogue, target: &Table, mode: SyncMode) -> (&'static str, String) {
        match agree(source, target, Engine::Postgres, mode) {
            Err(SyncError::Contract { code, message, .. }) => (code, message),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn columns_travel_in_the_order_of_the_destination() {
        let contract = agree(
            &there(&[NOTE, ID], &["id"]),
            &here(&[ID, ("local", NeutralType::Text), NOTE], &["id"]),
            Engine::Postgres,
            SyncMode::Upsert,
        )
        .unwrap();
        assert_eq!(contract.column_names(), ["id", "note"]);
        assert_eq!(contract.key, ["id"]);
        assert!(contract.conversion.is_pass());
    }

    #[test]
    fn what_cannot_fit_is_refused_by_name_before_any_row() {
        let source = there(&[ID, NOTE], &["id"]);
        let mut unwritable = here(&[ID, NOTE], &["id"]);
        unwritable.not_writable = Some("it has inheritance children".to_owned());
        let mut unfilled = here(&[ID, NOTE, ("local", NeutralType::Text)], &["id"]);
        unfilled.columns[2].nullable = false;
        let cases = [
            (here(&[ID], &["id"]), "missing_column", "note"),
            (
                here(&[ID, ("note", NeutralType::Int4)], &["id"]),
                "kind_mismatch",
                "note",
            ),
            (here(&[ID, NOTE], &[]), "no_key", "there: (id); here: none"),
            (here(&[ID, NOTE], &["note"]), "no_key", "here: (note)"),
            (unwritable, "not_writable", "inheritance"),
            (unfilled, "unfilled_column", "local"),
        ];
        for (target, code, named) in cases {
            let (found, message) = fault(&source, &target, SyncMode::Upsert);
            assert_eq!(found, code);
            assert!(message.contains(named), "{code}: {message}");
        }
    }

    #[test]
    fn a_column_that_only_inserts_need_does_not_stop_updates() {
        let mut target = here(&[ID, NOTE, ("local", NeutralType::Text)], &["id"]);
        target.columns[2].nullable = false;
        let source = there(&[ID, NOTE], &["id"]);
        assert!(agree(&source, &target, Engine::Postgres, SyncMode::Update).is_ok());
    }
}
