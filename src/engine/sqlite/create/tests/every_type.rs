//! Every neutral type with its edge values: as it is stored, and back.

use super::{decimal, table};
use crate::engine::driver::{Driver, NewTable};
use crate::engine::sqlite::test_site::{Site, TestRow, int, text};
use crate::model::fixture::{column, key};
use crate::model::table::{Column, NeutralType};
use crate::wire::{datetime, numeric};

/// A field, and how what is stored for it looks.
type Case = (Option<Vec<u8>>, &'static str);

fn every_type() -> NewTable {
    use NeutralType::{Int8, Text};
    let mut columns = vec![column("id", Int8)];
    columns.extend(
        NeutralType::ALL
            .iter()
            .map(|kind| column(kind.as_str(), *kind)),
    );
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
    let cases: Vec<(&str, Vec<Case>)> = vec![
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
