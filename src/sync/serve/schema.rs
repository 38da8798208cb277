//! A table's shape as a connection sees it: the published schema and the catalogue object beside it.

use serde::Serialize;

use crate::model::connection::Connection;
use crate::model::table::{Column, Engine, NeutralType, Table, TableName};
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_view};
use crate::sync::serve::fault::ServeError;
use crate::wire::messages::{Catalogue, CatalogueColumn, CatalogueForeignKey};

/// Both forms of a table's shape.
#[derive(Clone, Debug, Serialize)]
pub struct VisibleSchema {
    /// As the published protocol has it.
    pub schema: PublishedSchema,
    /// What Evenkeel adds.
    pub evenkeel: Catalogue,
}

/// `schema` of the answer to `table-schema`: the columns that are sent, so none that the database computes.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedSchema {
    /// The table.
    pub table_name: TableName,
    /// Empty when there is none.
    pub primary_key: Vec<String>,
    /// In table order.
    pub columns: Vec<PublishedColumn>,
}

/// One column, under the keys of both generations of the published protocol.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "as the published protocol names them")]
pub struct PublishedColumn {
    pub column_name: String,
    pub data_type: &'static str,
    pub is_nullable: &'static str,
    pub column_default: Option<String>,
    pub character_maximum_length: Option<u32>,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub nullable: bool,
    pub primary_key: bool,
    pub default: Option<String>,
}

/// The shape of one table the connection sees.
///
/// # Errors
/// When it does not see such a table, or the site database fails.
pub async fn visible_schema(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
) -> Result<VisibleSchema, ServeError> {
    let table = granted_view(ctx, connection, client, name).await?.table;
    Ok(VisibleSchema {
        schema: published(&table),
        evenkeel: catalogue(ctx.driver.engine(), table),
    })
}

fn published(table: &Table) -> PublishedSchema {
    let primary_key = table
        .primary_key
        .as_ref()
        .map(|key| key.columns.clone())
        .unwrap_or_default();
    let columns = table
        .columns
        .iter()
        .filter(|column| !column.generated)
        .map(|column| published_column(column, primary_key.contains(&column.name)))
        .collect();
    PublishedSchema {
        table_name: table.name.clone(),
        primary_key,
        columns,
    }
}

fn published_column(column: &Column, primary_key: bool) -> PublishedColumn {
    let data_type = data_type(column);
    PublishedColumn {
        column_name: column.name.clone(),
        data_type,
        is_nullable: if column.nullable { "YES" } else { "NO" },
        // A default is an expression of this site's own; it is never told.
        column_default: None,
        character_maximum_length: column.length,
        name: column.name.clone(),
        kind: data_type,
        nullable: column.nullable,
        primary_key,
        default: None,
    }
}

/// The PostgreSQL name of the column's neutral type, whatever the engine.
fn data_type(column: &Column) -> &'static str {
    match column.kind {
        NeutralType::Bool => "boolean",
        NeutralType::Int2 => "smallint",
        NeutralType::Int4 => "integer",
        NeutralType::Int8 => "bigint",
        NeutralType::Float4 => "real",
        NeutralType::Float8 => "double precision",
        NeutralType::Numeric => "numeric",
        NeutralType::Text if column.length.is_some() => "character varying",
        NeutralType::Text | NeutralType::Other => "text",
        NeutralType::Bytea => "bytea",
        NeutralType::Date => "date",
        NeutralType::Time => "time without time zone",
        NeutralType::Timestamp => "timestamp without time zone",
        NeutralType::Timestamptz => "timestamp with time zone",
        NeutralType::Uuid => "uuid",
        NeutralType::Json => "json",
        NeutralType::Jsonb => "jsonb",
    }
}

/// What Evenkeel tells of a table, besides the published schema.
pub(super) fn catalogue(engine: Engine, table: Table) -> Catalogue {
    Catalogue {
        engine,
        columns: table.columns.into_iter().map(catalogue_column).collect(),
        primary_key: table.primary_key.map(|key| key.columns).unwrap_or_default(),
        unique: table.unique.into_iter().map(|key| key.columns).collect(),
        foreign_keys: table
            .foreign_keys
            .into_iter()
            .map(|key| CatalogueForeignKey {
                columns: key.columns,
                table: key.table,
                foreign_columns: key.foreign_columns,
                on_delete: key.on_delete,
            })
            .collect(),
        row_estimate: table.row_estimate,
    }
}

fn catalogue_column(column: Column) -> CatalogueColumn {
    CatalogueColumn {
        name: column.name,
        kind: column.kind,
        native: column.native,
        precision: column.precision,
        scale: column.scale,
        length: column.length,
        nullable: column.nullable,
        generated: column.generated,
        identity: column.identity,
    }
}

#[cfg(test)]
mod tests {
    use super::{catalogue, published};
    use crate::model::fixture::{self, column, required};
    use crate::model::table::{Engine, NeutralType, Table};

    fn orders() -> Table {
        let mut total = required("total", NeutralType::Int8);
        total.generated = true;
        let mut note = column("note", NeutralType::Text);
        note.length = Some(40);
        let columns = vec![required("id", NeutralType::Int4), note, total];
        fixture::table("orders", columns, &["id"])
    }

    #[test]
    fn the_published_schema_has_both_styles_of_keys_and_no_computed_column() {
        let schema = serde_json::to_value(published(&orders())).unwrap();
        assert_eq!(
            schema,
            serde_json::json!({"table_name": "orders", "primary_key": ["id"], "columns": [
                {"column_name": "id", "data_type": "integer", "is_nullable": "NO", "column_default": null,
                 "character_maximum_length": null, "name": "id", "type": "integer", "nullable": false,
                 "primary_key": true, "default": null},
                {"column_name": "note", "data_type": "character varying", "is_nullable": "YES",
                 "column_default": null, "character_maximum_length": 40, "name": "note",
                 "type": "character varying", "nullable": true, "primary_key": false, "default": null},
            ]})
        );
    }

    #[test]
    fn the_catalogue_shows_computed_columns() {
        let catalogue = catalogue(Engine::Postgres, orders());
        assert_eq!(catalogue.columns.len(), 3);
        assert!(catalogue.columns.iter().any(|column| column.generated));
    }
}
