//! Tables made after a peer's, and what stands in them afterwards.

use crate::engine::driver::{Driver, NewTable};
use crate::engine::error::EngineError;
use crate::engine::sqlite::site::{Site, TestRow, int, text};
use crate::model::table::{Column, Engine, ForeignKey, NeutralType, Table, TableName, UniqueKey};
use crate::wire::{datetime, numeric};

fn column(name: &str, kind: NeutralType) -> Column {
    Column {
        name: name.into(),
        kind,
        native: "of the source".into(),
        precision: None,
        scale: None,
        length: None,
        nullable: true,
        generated: false,
        identity: false,
        has_default: false,
    }
}

fn decimal(name: &str, precision: u32, scale: u32) -> Column {
    Column {
        precision: Some(precision),
        scale: Some(scale),
        ..column(name, NeutralType::Numeric)
    }
}

fn key(columns: &[&str]) -> UniqueKey {
    UniqueKey {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        folded: false,
    }
}

fn table(name: &str, columns: Vec<Column>, primary_key: Option<UniqueKey>) -> NewTable {
    let table = Table {
        name: TableName::bare(name),
        columns,
        primary_key,
        unique: vec![],
        foreign_keys: vec![],
        triggers: vec![],
        row_estimate: None,
        size_bytes: None,
        not_writable: None,
    };
    NewTable {
        table,
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

fn every_type() -> NewTable {
    use NeutralType::*;
    let kinds = [
        Bool,
        Int2,
        Int4,
        Int8,
        Float4,
        Float8,
        Numeric,
        Text,
        Bytea,
        Date,
        Time,
        Timestamp,
        Timestamptz,
        Uuid,
        Json,
        Jsonb,
        Other,
    ];
    let mut columns = vec![column("id", Int8)];
    columns.extend(kinds.map(|kind| column(kind.name(), kind)));
    columns.push(decimal("small", 10, 2));
    columns.push(decimal("large", 30, 4));
    columns.push(Column {
        length: Some(8),
        ..column("name", Text)
    });
    table("every", columns, Some(key(&["id"])))
}

#[tokio::test]
async fn every_type_is_stored_as_designed_and_reads_back_unchanged() {
    let site = Site::new("");
    site.driver.create(&[every_type()]).await.unwrap();
    let number = |text: &str| Some(numeric::encode(text).unwrap());
    let moment =
        |text: &str, zoned| Some(datetime::timestamp_from_text(text, zoned).unwrap().to_vec());
    // Per column: the field and how SQLite shows what is stored. int4 and jsonb read back as int8 and json.
    let cases: Vec<(&str, Vec<(Option<Vec<u8>>, &str)>)> = vec![
        (
            "bool",
            vec![(Some(vec![0]), "Integer(0)"), (Some(vec![1]), "Integer(1)")],
        ),
        (
            "int2",
            vec![(Some(i16::MIN.to_be_bytes().to_vec()), "Integer(-32768)")],
        ),
        (
            "int4",
            vec![(int(i64::from(i32::MAX)), "Integer(2147483647)")],
        ),
        (
            "int8",
            vec![
                (int(i64::MIN), "Integer(-9223372036854775808)"),
                (int(i64::MAX), "Integer(9223372036854775807)"),
            ],
        ),
        (
            "float4",
            vec![(
                Some(0.1_f32.to_be_bytes().to_vec()),
                "Real(0.10000000149011612)",
            )],
        ),
        (
            "float8",
            vec![
                (Some(0.1_f64.to_be_bytes().to_vec()), "Real(0.1)"),
                (Some(f64::NEG_INFINITY.to_be_bytes().to_vec()), "Real(-inf)"),
                (Some(5.0_f64.to_be_bytes().to_vec()), "Real(5.0)"),
            ],
        ),
        (
            "numeric",
            vec![
                (number("12.50"), "Text(\"12.50\")"),
                (number("NaN"), "Text(\"NaN\")"),
                (number("-Infinity"), "Text(\"-Infinity\")"),
                (
                    number("123456789012345678901234567890.123456789"),
                    "Text(\"123456789012345678901234567890.123456789\")",
                ),
            ],
        ),
        (
            "text",
            vec![
                (text(""), "Text(\"\")"),
                (text("a\0b'ß"), "Text(\"a\\0b'ß\")"),
                (text("007"), "Text(\"007\")"),
            ],
        ),
        (
            "bytea",
            vec![
                (Some(vec![]), "Blob([])"),
                (Some(vec![0, 255]), "Blob([0, 255])"),
            ],
        ),
        (
            "date",
            vec![(
                Some(datetime::date_from_text("2024-02-29").unwrap().to_vec()),
                "Text(\"2024-02-29\")",
            )],
        ),
        (
            "time",
            vec![(
                Some(datetime::time_from_text("24:00:00").unwrap().to_vec()),
                "Text(\"24:00:00.000000\")",
            )],
        ),
        (
            "timestamp",
            vec![
                (
                    moment("2024-02-29 10:00:00", false),
                    "Text(\"2024-02-29 10:00:00.000000\")",
                ),
                (moment("infinity", false), "Text(\"infinity\")"),
            ],
        ),
        (
            "timestamptz",
            vec![
                (
                    moment("2024-02-29 10:00:00.000001+02", true),
                    "Text(\"2024-02-29 08:00:00.000001Z\")",
                ),
                (moment("-infinity", true), "Text(\"-infinity\")"),
                (
                    moment("0044-03-15 10:00:00 BC", true),
                    "Text(\"0044-03-15 10:00:00.000000Z BC\")",
                ),
            ],
        ),
        (
            "uuid",
            vec![(
                Some(vec![0xab; 16]),
                "Text(\"abababab-abab-abab-abab-abababababab\")",
            )],
        ),
        (
            "json",
            vec![
                (
                    text("{\"b\": 1.0,  \"a\": 1}"),
                    "Text(\"{\\\"b\\\": 1.0,  \\\"a\\\": 1}\")",
                ),
                (text("1.0"), "Text(\"1.0\")"),
            ],
        ),
        ("jsonb", vec![(text("null"), "Text(\"null\")")]),
        ("other", vec![(text("01"), "Text(\"01\")")]),
        (
            "small",
            vec![
                (number("-0.01"), "Real(-0.01)"),
                (number("99999999.99"), "Real(99999999.99)"),
                (number("5.00"), "Integer(5)"),
            ],
        ),
        (
            "large",
            vec![(
                number("12345678901234567890.1200"),
                "Text(\"12345678901234567890.1200\")",
            )],
        ),
        ("name", vec![(text("Größe"), "Text(\"Größe\")")]),
    ];
    let job = site.job("every").await;
    let mut rows: Vec<TestRow> = vec![];
    for (name, values) in &cases {
        let at = job
            .columns
            .iter()
            .position(|column| column.name == *name)
            .unwrap();
        for (value, _) in values {
            let mut row: TestRow = vec![None; job.columns.len()];
            row[0] = int(i64::try_from(rows.len()).unwrap());
            row[at] = value.clone();
            rows.push(row);
        }
    }
    let applied = site.apply(job.clone(), &rows).await.unwrap();
    assert_eq!(applied.rejected, vec![]);
    let shown = cases
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |(_, shown)| (name, shown)));
    for (id, (name, shown)) in shown.enumerate() {
        let stored = site.stored(&format!("select \"{name}\" from every where id = {id}"));
        assert_eq!(stored, *shown, "{name}");
    }
    assert_eq!(site.rows("every").await.unwrap(), rows);
    assert_eq!(
        site.apply(job, &rows).await.unwrap().changes,
        Default::default()
    );
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
    let findings = site.driver.check().await.unwrap();
    let bad: Vec<&str> = findings
        .iter()
        .filter(|finding| !finding.ok)
        .map(|finding| finding.what.as_str())
        .collect();
    assert_eq!(bad, ["table loose has no usable key"]);
    site.application()
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    let findings = site.driver.check().await.unwrap();
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
    assert!(matches!(site.driver.check().await.unwrap().as_slice(), [only] if !only.ok));
}
