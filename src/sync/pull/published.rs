//! What a peer that sends no frames says of a table, as the catalogue that a contract is made of.
//!
//! Its schema says less than an Evenkeel's. Invariant: what only this site's table can say (a key that earlier versions
//! keep to themselves, a type that the schema does not name) is taken from there; the rows then have to bear it out.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::fault::FaultCode;
use crate::model::order::TableOrder;
use crate::model::table::{NeutralType, Table, TableName};
use crate::sync::SyncError;
use crate::sync::contract::refuse;
use crate::sync::pull::Source;
use crate::wire::messages::{Catalogue, CatalogueColumn};
use crate::wire::published::NAMELESS;

/// How the source sends a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sends {
    /// As frames: an Evenkeel.
    Frames,
    /// As JSON: a PhoenixKit site, or whatever else speaks the published protocol.
    Json {
        /// What it counted.
        rows: Option<u64>,
    },
}

/// How many rows the peer's tables have, asked for once: some peers read all of them to tell.
#[derive(Default)]
pub(super) struct Counts(Option<BTreeMap<String, Option<u64>>>);

impl Counts {
    /// Of one table; `None` when the peer does not say.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub(super) async fn of(
        &mut self,
        source: &Source,
        table: &TableName,
    ) -> Result<Option<u64>, SyncError> {
        if self.0.is_none() {
            let listed = source.peer.tables(&source.credentials).await?;
            let counts = listed
                .into_iter()
                .map(|table| (table.name, table.row_count));
            self.0 = Some(counts.collect());
        }
        let known = self.0.as_ref();
        Ok(known.and_then(|counts| counts.get(&table.to_string()).copied().flatten()))
    }
}

/// The catalogue of a table whose published schema is this, for the table that is `here`.
///
/// # Errors
/// When the connection is signed, the schema describes no table, or something of `order` cannot be had from such a peer.
pub(super) fn catalogue_of(
    source: &Source,
    order: &TableOrder,
    (schema, rows): (&Value, Option<u64>),
    here: Option<&Table>,
) -> Result<Catalogue, SyncError> {
    if source.credentials.keys.is_some() {
        return Err(source.host_error("it describes its tables without the `evenkeel` object"));
    }
    if order.row_filter.is_some() {
        return Err(refuse(
            order.destination(),
            FaultCode::InvalidFilter,
            "the peer sends its rows as JSON, and takes no row filter".to_owned(),
            "leave `row_filter` out, or let the peer's administrator make a view of these rows",
        ));
    }
    let mut table = source.peer.described(schema, rows)?;
    refuse_zoned_times(order, &table.catalogue)?;
    match here {
        Some(here) => {
            adopt_types(&mut table.catalogue, order, here);
            if !table.says_key {
                table.catalogue.primary_key = key_by(here, order, &table.catalogue);
            }
        }
        None => make_text(&mut table.catalogue),
    }
    Ok(table.catalogue)
}

/// The name at the source of the column `here`; `None` when nothing travels to it.
fn source_name<'a>(order: &'a TableOrder, here: &'a str) -> Option<&'a str> {
    let fields = order.field_mapping.as_deref().unwrap_or_default();
    if fields.is_empty() {
        return Some(here);
    }
    let mut fields = fields.iter();
    fields
        .find(|field| field.destination_field == here)
        .map(|field| field.source_column.as_str())
}

/// A PhoenixKit site sends such times without their zone.
fn refuse_zoned_times(order: &TableOrder, there: &Catalogue) -> Result<(), SyncError> {
    let fields = order.field_mapping.as_deref().unwrap_or_default();
    let travels =
        |name: &str| fields.is_empty() || fields.iter().any(|field| field.source_column == name);
    let mut zoned = there
        .columns
        .iter()
        .filter(|column| column.native == "time with time zone" && travels(&column.name));
    let Some(column) = zoned.next() else {
        return Ok(());
    };
    Err(refuse(
        order.destination(),
        FaultCode::KindMismatch,
        format!(
            "column {} is a time with time zone, and the peer sends it without its zone",
            column.name
        ),
        "leave the column out by a `field_mapping`, or let the peer's administrator change its type",
    ))
}

/// An enumeration or an array is not named by the schema: it counts as the type its column has here, whose database
/// then takes each value or refuses it.
fn adopt_types(there: &mut Catalogue, order: &TableOrder, here: &Table) {
    for held in here
        .columns
        .iter()
        .filter(|column| column.kind == NeutralType::Other)
    {
        let Some(name) = source_name(order, &held.name) else {
            continue;
        };
        let nameless = there
            .columns
            .iter_mut()
            .find(|column| column.name == name && NAMELESS.contains(&column.native.as_str()));
        if let Some(column) = nameless {
            column.native.clone_from(&held.native);
        }
    }
}

/// In a table that is made here such a column is text: of its type no name is known.
fn make_text(there: &mut Catalogue) {
    let nameless = |column: &&mut CatalogueColumn| NAMELESS.contains(&column.native.as_str());
    for column in there.columns.iter_mut().filter(nameless) {
        "text".clone_into(&mut column.native);
    }
}

/// The key of the table here, where the source has its columns and none of them is NULL there. That it is one there,
/// too, shows when as many rows come with different keys as the source has.
fn key_by(here: &Table, order: &TableOrder, there: &Catalogue) -> Vec<String> {
    let not_null = |name: &&str| {
        let mut columns = there.columns.iter();
        columns.any(|column| column.name == **name && !column.nullable)
    };
    let key = match &order.primary_key {
        Some(wanted) => here.key_on(wanted),
        None => here.primary_key.as_ref(),
    };
    let names = key.map(|key| {
        key.columns
            .iter()
            .map(|name| source_name(order, name).filter(not_null).map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    });
    names.flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{adopt_types, key_by, refuse_zoned_times};
    use crate::model::fixture::{self, column, required};
    use crate::model::order::{FieldMapping, TableOrder};
    use crate::model::table::{NeutralType, TableName};
    use crate::wire::messages::Catalogue;
    use crate::wire::published::described;
    use serde_json::json;

    fn there() -> Catalogue {
        let columns = [
            ("id", "bigint", "NO"),
            ("mood", "USER-DEFINED", "YES"),
            ("at", "time with time zone", "YES"),
        ];
        let columns = columns.map(|(name, kind, nullable)| {
            json!({"column_name": name, "data_type": kind, "is_nullable": nullable})
        });
        described(&json!({"columns": columns}), None)
            .unwrap()
            .catalogue
    }

    fn mapped(fields: &[(&str, &str)]) -> TableOrder {
        let field = |(there, here): &(&str, &str)| FieldMapping {
            source_column: (*there).to_owned(),
            destination_field: (*here).to_owned(),
            type_cast: None,
        };
        TableOrder {
            field_mapping: Some(fields.iter().map(field).collect()),
            ..TableOrder::of(TableName::bare("t"))
        }
    }

    #[test]
    fn what_the_schema_does_not_say_is_taken_from_the_table_here() {
        let mut mood = column("mood", NeutralType::Other);
        mood.native = "feeling".to_owned();
        let here = fixture::table("t", vec![required("id", NeutralType::Int8), mood], &["id"]);
        let (mut there, order) = (there(), TableOrder::of(TableName::bare("t")));
        adopt_types(&mut there, &order, &here);
        assert_eq!(there.columns[1].native, "feeling");
        assert_eq!(key_by(&here, &order, &there), ["id"]);
        let renamed = mapped(&[("id", "nr")]);
        assert_eq!(key_by(&here, &renamed, &there), Vec::<String>::new());
        there.columns[0].nullable = true;
        assert_eq!(key_by(&here, &order, &there), Vec::<String>::new());
    }

    #[test]
    fn a_time_that_would_lose_its_zone_is_refused_unless_it_stays_behind() {
        let (there, order) = (there(), TableOrder::of(TableName::bare("t")));
        let refused = refuse_zoned_times(&order, &there).unwrap_err();
        assert!(refused.to_string().contains("column at"), "{refused}");
        assert!(refuse_zoned_times(&mapped(&[("id", "id")]), &there).is_ok());
    }
}
