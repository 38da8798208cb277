//! What two catalogues agree on, and what they do not.

use super::{Asked, agree, agree_by};
use crate::model::fixture;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Column, Engine, NeutralType, Table};
use crate::sync::SyncError;
use crate::wire::messages::{Catalogue, CatalogueColumn};

fn here(columns: &[(&str, NeutralType)], key: &[&str]) -> Table {
    let column = |&(name, kind): &(&str, NeutralType)| Column {
        nullable: !key.contains(&name),
        ..fixture::column(name, kind)
    };
    fixture::table("orders", columns.iter().map(column).collect(), key)
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
        Err(SyncError::Contract { code, message, .. }) => (code.as_str(), message),
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

#[test]
fn a_mirror_does_without_a_key_where_nothing_else_tells_rows_apart() {
    const LOCAL: (&str, NeutralType) = ("local", NeutralType::Text);
    let mirror = Asked {
        mode: SyncMode::Mirror,
        conflict: ConflictStrategy::Overwrite,
        key: None,
    };
    let skip = Asked {
        conflict: ConflictStrategy::Skip,
        ..mirror
    };
    let upsert = Asked {
        mode: SyncMode::Upsert,
        ..mirror
    };
    let note = ["note".to_owned()];
    let by_note = Asked {
        key: Some(&note),
        ..mirror
    };
    let plain = || here(&[ID, NOTE], &[]);
    let mut computed = here(&[ID, NOTE, LOCAL], &[]);
    computed.columns[2].generated = true;
    for (name, source_key, target, engine, asked, expected) in [
        ("no key", &[][..], plain(), Engine::Postgres, mirror, Ok("")),
        ("on SQLite", &[], plain(), Engine::Sqlite, mirror, Ok("")),
        (
            "a key there",
            &["id"],
            plain(),
            Engine::Postgres,
            mirror,
            Ok(""),
        ),
        (
            "a key here",
            &[],
            here(&[ID, NOTE], &["id"]),
            Engine::Sqlite,
            mirror,
            Ok(""),
        ),
        (
            "both keys",
            &["id"],
            here(&[ID, NOTE], &["id"]),
            Engine::Sqlite,
            skip,
            Ok("id"),
        ),
        (
            "computed here",
            &[],
            computed,
            Engine::Postgres,
            mirror,
            Ok(""),
        ),
        (
            "another mode",
            &[],
            plain(),
            Engine::Postgres,
            upsert,
            Err("rows are matched by"),
        ),
        (
            "a strategy",
            &[],
            plain(),
            Engine::Postgres,
            skip,
            Err("`skip` means nothing"),
        ),
        (
            "MariaDB",
            &[],
            plain(),
            Engine::Mysql,
            mirror,
            Err("rows are matched by"),
        ),
        (
            "a wanted key",
            &["id"],
            plain(),
            Engine::Postgres,
            by_note,
            Err("`primary_key` (note)"),
        ),
        (
            "own values",
            &[],
            here(&[ID, LOCAL, NOTE], &[]),
            Engine::Postgres,
            mirror,
            Err("column local"),
        ),
    ] {
        let found = agree_by(&there(&[ID, NOTE], source_key), &target, engine, asked);
        match (found, expected) {
            (Ok(contract), Ok(key)) => {
                assert_eq!(contract.key.join(","), key, "{name}");
                assert_eq!(contract.is_keyless(), key.is_empty(), "{name}");
            }
            (Err(SyncError::Contract { code, message, .. }), Err(words)) => {
                assert_eq!(code.as_str(), "no_key", "{name}");
                assert!(message.contains(words), "{name}: {message}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
