//! Tables made after a peer's, and what stands in them afterwards.

use crate::engine::driver::{Driver, NewTable};
use crate::engine::error::EngineError;
use crate::engine::sqlite::test_site::Site;
use crate::model::finding::TablesInUse;
use crate::model::fixture::{self, column, key};
use crate::model::table::{Column, Engine, ForeignKey, NeutralType, Table, TableName, UniqueKey};

fn decimal(name: &str, precision: u32, scale: u32) -> Column {
    Column {
        precision: Some(precision),
        scale: Some(scale),
        ..column(name, NeutralType::Numeric)
    }
}

fn table(name: &str, columns: Vec<Column>, primary_key: Option<UniqueKey>) -> NewTable {
    NewTable {
        table: Table {
            primary_key,
            ..fixture::table(name, columns, &[])
        },
        source: Engine::Postgres,
    }
}

fn points_to(columns: &[&str], table: &str, foreign: &[&str], on_delete: &str) -> ForeignKey {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    ForeignKey {
        columns: words(columns),
        table: TableName::bare(table),
        foreign_columns: words(foreign),
        on_delete: on_delete.into(),
    }
}

#[tokio::test]
async fn keys_and_foreign_keys_are_made_and_what_is_not_is_told() {
    use NeutralType::{Int2, Int4, Other, Text};
    let site = Site::new("create table here (id integer primary key)");
    let parent = table(
        "parent",
        vec![column("a", Int2), column("b", Text)],
        Some(key(&["a", "b"])),
    );
    let mut child = table(
        "child \"x\"",
        vec![column("id", Int4), column("a", Int2), column("b", Text)],
        Some(key(&["id"])),
    );
    let own = TableName::bare("child \"x\"");
    child.table.columns.push(Column {
        nullable: false,
        has_default: true,
        ..column("code", Other)
    });
    child.table.columns.push(Column {
        generated: true,
        ..column("sum", Int4)
    });
    child.table.unique = vec![
        UniqueKey {
            folded: true,
            ..key(&["code"])
        },
        key(&["sum"]),
    ];
    child.table.triggers = vec!["audit".into()];
    child.table.foreign_keys = vec![
        points_to(&["a", "b"], "parent", &["a", "b"], "cascade"),
        points_to(&["id"], "here", &["id"], "no action"),
        points_to(&["id"], "away", &["id"], "no action"),
        points_to(&["b"], "parent", &["b"], "set null"),
    ];
    let tables = [parent, child];
    let plan = site.driver.plan_creation(&tables).await.unwrap();
    assert_eq!(
        plan.statements[1],
        "create table \"main\".\"child \"\"x\"\"\" (\n  \"id\" integer primary key,\n  \"a\" smallint,\n  \"b\" text,\n  \
         \"code\" text not null,\n  unique (\"code\"),\n  \
         foreign key (\"a\", \"b\") references \"parent\" (\"a\", \"b\") on delete cascade,\n  \
         foreign key (\"id\") references \"here\" (\"id\")\n)"
    );
    assert_eq!(plan.left_out.len(), 8, "{:#?}", plan.left_out);
    assert!(
        site.driver.table(&own).await.unwrap().is_none(),
        "planning makes nothing"
    );
    site.driver.create(&tables).await.unwrap();
    let made = site.driver.table(&own).await.unwrap().unwrap();
    assert_eq!(made.primary_key, Some(key(&["id"])));
    assert!(made.column("id").unwrap().identity);
    assert_eq!(made.unique, [key(&["code"])]);
    assert_eq!(made.foreign_keys, tables[1].table.foreign_keys[..2]);
    let made = site.table("parent").await;
    assert!(made.columns.iter().all(|column| !column.nullable));
}

#[tokio::test]
async fn all_tables_are_made_or_none() {
    let site = Site::new("create table Taken (id int); create view seen as select 1");
    let good = table("good", vec![column("id", NeutralType::Int8)], None);
    let named = |name: &str| table(name, vec![column("id", NeutralType::Int8)], None);
    let columns = |names: &[&str]| {
        table(
            "t",
            names
                .iter()
                .map(|name| column(name, NeutralType::Text))
                .collect(),
            None,
        )
    };
    let mut elsewhere = named("t");
    elsewhere.table.name.schema = Some("shop".into());
    for bad in [
        named("taken"),
        named("seen"),
        named("good"),
        named("sqlite_x"),
        named(""),
        named(&"x".repeat(64)),
        named("a\nb"),
        columns(&[]),
        columns(&["a", "A"]),
        columns(&["a", ""]),
        elsewhere,
    ] {
        let result = site.driver.create(&[good.clone(), bad.clone()]).await;
        assert!(
            matches!(result, Err(EngineError::Statement { .. })),
            "{:?}",
            bad.table
        );
        assert!(
            site.driver
                .table(&TableName::bare("good"))
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn doctor_tells_what_to_mend() {
    let site = Site::new(
        "create table loose (a int); create trigger t after insert on loose begin select 1; end",
    );
    let check = || async { site.driver.check(&TablesInUse::default()).await.unwrap() };
    assert!(check().await.iter().all(|finding| finding.ok));
    let used = TablesInUse {
        given: [TableName::bare("loose")].into(),
        ..TablesInUse::default()
    };
    let findings = site.driver.check(&used).await.unwrap();
    assert!(findings.iter().all(|finding| finding.ok), "{findings:#?}");
    let told = |words: &str| findings.iter().any(|finding| finding.what.contains(words));
    assert!(told("no usable key: loose; only a mirror keeps"));
    site.application()
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    let findings = check().await;
    assert!(
        findings
            .iter()
            .any(|finding| !finding.ok && finding.what == "the journal mode is delete")
    );
    assert!(
        findings
            .iter()
            .filter(|finding| !finding.ok)
            .all(|finding| finding.hint.is_some())
    );
    assert!(!site.driver.version().await.unwrap().is_empty());
    std::fs::remove_file(&site.path).unwrap();
    assert!(site.driver.version().await.is_err());
    assert!(matches!(check().await.as_slice(), [only] if !only.ok));
}

mod every_type;
