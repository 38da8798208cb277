//! What a mapping makes of a source's table.

use serde_json::{Value, json};

use super::MappedSource;
use crate::model::fixture::{self, key, required};
use crate::model::order::TableOrder;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Engine, NeutralType, Table, TableName};
use crate::sync::SyncError;
use crate::sync::contract::Contract;
use crate::wire::messages::{Catalogue, CatalogueColumn, CatalogueForeignKey};

const UPSERT: (SyncMode, ConflictStrategy) = (SyncMode::Upsert, ConflictStrategy::Overwrite);

const INT8: NeutralType = NeutralType::Int8;
const TEXT: NeutralType = NeutralType::Text;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `orders (id, code unique, shop -> shops, total computed)`.
fn there() -> Catalogue {
    let column = |name: &str, kind: NeutralType| CatalogueColumn {
        name: name.to_owned(),
        kind,
        native: kind.as_str().to_owned(),
        precision: None,
        scale: None,
        length: None,
        nullable: false,
        generated: name == "total",
        identity: name == "id",
    };
    Catalogue {
        engine: Engine::Postgres,
        columns: vec![
            column("id", INT8),
            column("code", TEXT),
            column("shop", NeutralType::Int4),
            column("total", INT8),
        ],
        primary_key: names(&["id"]),
        unique: vec![names(&["code"])],
        foreign_keys: vec![CatalogueForeignKey {
            columns: names(&["shop"]),
            table: TableName::bare("shops"),
            foreign_columns: names(&["id"]),
            on_delete: "no action".to_owned(),
        }],
        row_estimate: None,
    }
}

fn here(columns: &[(&str, NeutralType)], keys: &[&str]) -> Table {
    let columns = columns.iter().map(|(name, kind)| required(name, *kind));
    Table {
        unique: keys.iter().skip(1).map(|name| key(&[name])).collect(),
        ..fixture::table(
            "copies",
            columns.collect(),
            keys.get(..1).unwrap_or_default(),
        )
    }
}

fn order(fields: &[(&str, &str)]) -> Value {
    let field =
        |(source, here): &(&str, &str)| json!({"source_column": source, "destination_field": here});
    json!({
        "source_table": "orders", "destination_table": "copies",
        "field_mapping": fields.iter().map(field).collect::<Vec<_>>(),
    })
}

fn read(order: &Value) -> TableOrder {
    serde_json::from_value(order.clone()).unwrap()
}

fn mapped(order: &Value) -> Result<MappedSource, SyncError> {
    MappedSource::new(there(), &read(order), &[read(order)])
}

fn agree(order: &Value, target: &Table) -> Result<Contract, SyncError> {
    mapped(order)?.agree(target, Engine::Postgres, UPSERT)
}

fn fault<T: std::fmt::Debug>(found: Result<T, SyncError>) -> (&'static str, String) {
    match found {
        Err(SyncError::Contract { code, message, .. }) => (code.as_str(), message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn exactly_the_mapped_columns_travel_each_to_its_place() {
    let target = here(&[("label", TEXT), ("nr", INT8)], &["nr"]);
    let contract = agree(&order(&[("id", "nr"), ("code", "label")]), &target).unwrap();
    assert_eq!(contract.column_names(), ["code", "id"]);
    let written: Vec<&str> = contract
        .target
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(written, ["label", "nr"]);
    assert_eq!(contract.key, ["nr"]);
}

#[test]
fn the_key_is_the_one_that_is_asked_for() {
    let target = here(&[("nr", INT8), ("label", TEXT)], &["nr", "label"]);
    let mut order = order(&[("id", "nr"), ("code", "label")]);
    assert_eq!(agree(&order, &target).unwrap().key, ["nr"]);
    order["primary_key"] = json!("label");
    assert_eq!(agree(&order, &target).unwrap().key, ["label"]);
    for unusable in ["code", "shop"] {
        order["primary_key"] = json!(unusable);
        let (code, message) = fault(agree(&order, &target));
        assert_eq!(code, "no_key");
        assert!(
            message.contains(&format!("`primary_key` ({unusable})")),
            "{message}"
        );
        assert!(message.contains("here: (nr), (label)"), "{message}");
    }
}

#[test]
fn what_a_mapping_cannot_do_is_refused_by_column() {
    let target = here(&[("nr", INT8), ("label", TEXT)], &["nr"]);
    let cast = |kind: &str| {
        let mut order = order(&[("id", "nr"), ("code", "label")]);
        order["field_mapping"][0]["type_cast"] = kind.into();
        order
    };
    for (order, code, words) in [
        (
            order(&[("id", "nr"), ("codes", "label")]),
            "unknown_column",
            "no column codes; it shows id, code",
        ),
        (
            order(&[("id", "nr"), ("total", "label")]),
            "unknown_column",
            "total is computed",
        ),
        (
            order(&[("id", "nr"), ("code", "name")]),
            "missing_column",
            "code is mapped to name",
        ),
        (
            order(&[("id", "nr"), ("shop", "label")]),
            "kind_mismatch",
            "column label",
        ),
        (
            order(&[("code", "label"), ("shop", "nr")]),
            "no_key",
            "there: (label)",
        ),
        (
            order(&[("id", "nr")]),
            "unfilled_column",
            "nothing travels to column label",
        ),
        (
            cast("text"),
            "kind_mismatch",
            "column nr is int8 here, and `type_cast` says text",
        ),
    ] {
        let (found, message) = fault(agree(&order, &target));
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    // A wider integer takes every value of the type it is cast to.
    assert!(agree(&cast("int4"), &target).is_ok());
}

#[test]
fn a_table_made_after_a_mapping_has_its_names_types_and_keys() {
    let mut order = order(&[("code", "label"), ("id", "nr"), ("shop", "shop")]);
    order["field_mapping"][2]["type_cast"] = "numeric".into();
    let shops = read(&json!({
        "source_table": "shops", "destination_table": "branches",
        "field_mapping": [{"source_column": "id", "destination_field": "nr"}],
    }));
    let order = read(&order);
    let run = [order.clone(), shops];
    let mapped = MappedSource::new(there(), &order, &run).unwrap();
    let made = mapped.described();
    assert_eq!(made.name, TableName::bare("copies"));
    let columns: Vec<(&str, NeutralType)> = made
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind))
        .collect();
    let numeric = NeutralType::Numeric;
    assert_eq!(columns, [("label", TEXT), ("nr", INT8), ("shop", numeric)]);
    assert_eq!(made.primary_key.unwrap().columns, ["nr"]);
    assert_eq!(made.unique[0].columns, ["label"]);
    assert_eq!(made.foreign_keys[0].table, TableName::bare("branches"));
    assert_eq!(made.foreign_keys[0].foreign_columns, ["nr"]);
    assert!(mapped.refuse_making(Engine::Sqlite, UPSERT).is_ok());
}

#[test]
fn keys_whose_columns_stay_behind_stay_behind() {
    let mapped = mapped(&order(&[("id", "nr")])).unwrap();
    let made = mapped.described();
    assert_eq!((made.unique.len(), made.foreign_keys.len()), (0, 0));
    assert!(mapped.refuse_making(Engine::Postgres, UPSERT).is_ok());
    let keyless = read(&order(&[("shop", "shop")]));
    let keyless = MappedSource::new(there(), &keyless, &[]).unwrap();
    assert_eq!(
        fault(keyless.refuse_making(Engine::Postgres, UPSERT)).0,
        "no_key"
    );
}

#[test]
fn a_cast_that_could_lose_values_is_refused_before_anything_is_made() {
    for (cast, fits) in [
        ("text", false),
        ("bool", false),
        ("int2", true),
        ("numeric", true),
    ] {
        let mut order = order(&[("id", "nr")]);
        order["field_mapping"][0]["type_cast"] = cast.into();
        let made = mapped(&order)
            .unwrap()
            .refuse_making(Engine::Postgres, UPSERT);
        assert_eq!(made.is_ok(), fits, "{cast}");
        if !fits {
            let (code, message) = fault(made);
            assert_eq!(code, "kind_mismatch");
            assert!(
                message.contains(&format!("id is int8, which cannot become {cast}")),
                "{message}"
            );
        }
    }
}

#[test]
fn a_parent_pulled_into_several_tables_is_the_one_that_keeps_its_name() {
    let order = read(&order(&[]));
    let shops = |here: &str| read(&json!({"source_table": "shops", "destination_table": here}));
    for (run, parent) in [
        (vec![shops("a"), shops("shops")], "shops"),
        (vec![shops("a"), shops("b")], "a"),
        (vec![], "shops"),
    ] {
        let made = MappedSource::new(there(), &order, &run)
            .unwrap()
            .described();
        assert_eq!(made.foreign_keys[0].table, TableName::bare(parent));
    }
}
