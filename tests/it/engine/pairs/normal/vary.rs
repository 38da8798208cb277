//! The smallest changes, made by the database itself; and what it says of a value, to tell whether there was one.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{Flow, RowFilter, RowOrder, Selection};
use evenkeel::model::table::{Column, NeutralType, Table};
use evenkeel::wire::scope::Scope;

use super::super::{Row, Site, row};
use crate::support::database::Kind;

/// A row and those changed after it are so far apart.
pub(super) const APART: i64 = 100_000;

/// What becomes of a value's text, `t`; `l` is its length in characters.
const CHANGES: &[&str] = &[
    "null",
    "''",
    "upper(t)",
    "lower(t)",
    "t || ' '",
    "' ' || t",
    "rtrim(t)",
    "t || '0'",
    "'-' || t",
    "t || '00001'",
    "t || '.000001'",
    "replace(t, 'é', 'e\u{301}')",
    "substr(t, 1, l - 1) || case when substr(t, l, 1) = '1' then '2' else '1' end",
    "replace(replace(t, ':', ': '), '{', '{ ')",
    "replace(t, '24:00:00', '00:00:00')",
];

/// Adds, for each value of `columns` in the rows with these identifiers, rows with that value changed; whatever the
/// database refuses stays away, and so does what cannot be read.
pub(super) async fn vary(site: &Site, table: &Table, rows: &[(i64, Column)]) {
    let kind = site.database.kind();
    let mut statements = Vec::new();
    for (id, column) in rows {
        for (change, to) in (1_i64..).zip(CHANGES) {
            if kind == Kind::Sqlite && !is_readable(column.kind, to) {
                continue;
            }
            let name = &column.name;
            let value = changed(kind, column, to);
            let new = id + change * APART;
            statements.push(format!(
                "insert into w (id, {name}) select {new}, {value} from w where id = {id}"
            ));
        }
    }
    for statements in statements.chunks(1_000) {
        site.database.execute(&tolerant(kind, statements));
    }
    let unreadable = readable(site, table, (APART, i64::MAX)).await.1;
    let unreadable: Vec<String> = unreadable.iter().map(i64::to_string).collect();
    if !unreadable.is_empty() {
        let list = unreadable.join(", ");
        site.database
            .execute(&format!("delete from w where id in ({list})"));
    }
}

/// SQLite stores anything; most of it can then not be read as what its column is declared as.
fn is_readable(kind: NeutralType, change: &str) -> bool {
    use NeutralType::{
        Bool, Date, Float4, Float8, Int2, Int8, Json, Time, Timestamp, Timestamptz, Uuid,
    };
    let last = change.starts_with("substr");
    match kind {
        Bool | Int2 | Int8 | Uuid | Date => change == "null" || last,
        Time | Timestamp | Timestamptz => change == "null" || last || change.starts_with("replace"),
        Float4 | Float8 => change == "null" || change == "'-' || t" || change == "t || '0'",
        Json => change.contains(' ') && !change.contains("'-'"),
        _ => true,
    }
}

fn changed(kind: Kind, column: &Column, change: &str) -> String {
    let name = &column.name;
    let (text, length) = match (kind, column.kind) {
        (Kind::Postgres, _) => (format!("{name}::text"), format!("length({name}::text)")),
        (Kind::Sqlite, _) => (name.clone(), format!("length({name})")),
        (Kind::Mariadb, NeutralType::Bytea) => (name.clone(), format!("length({name})")),
        (Kind::Mariadb, NeutralType::Bool) => (format!("({name} + 0)"), "1".to_owned()),
        (Kind::Mariadb, _) => {
            let text = format!("convert({name} using utf8mb4)");
            (text.clone(), format!("char_length({text})"))
        }
    };
    let change: String = change
        .split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
        .map(|word| {
            let (word, end) = match word.char_indices().last() {
                Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
                _ => (word, ""),
            };
            let word = match word {
                "t" => &text,
                "l" => &length,
                word => word,
            };
            format!("{word}{end}")
        })
        .collect();
    match (kind, column.kind) {
        (Kind::Postgres, _) => format!("({change})::{}", column.native),
        (Kind::Sqlite, NeutralType::Bytea) => format!("cast({change} as blob)"),
        _ => change,
    }
}

/// All of `statements`, of which some may fail.
fn tolerant(kind: Kind, statements: &[String]) -> String {
    match kind {
        Kind::Sqlite => format!("begin; {}; commit;", statements.join(";\n")),
        Kind::Postgres => {
            let each = |statement: &String| {
                format!("begin {statement}; exception when others then null; end;\n")
            };
            let all: String = statements.iter().map(each).collect();
            format!("do $evenkeel$ begin {all} end $evenkeel$;")
        }
        Kind::Mariadb => format!(
            "start transaction;\ndelimiter //\nbegin not atomic\ndeclare continue handler for sqlexception, sqlwarning begin end;\n{};\ncommit;\nend //\n",
            statements.join(";\n")
        ),
    }
}

/// The rows whose identifiers lie within `range`, and the identifiers of those that cannot be read.
pub(super) async fn readable(
    site: &Site,
    table: &Table,
    range: (i64, i64),
) -> (Vec<Row>, Vec<i64>) {
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    let last = site.database.query("select max(id) from w");
    let mut ranges = vec![(range.0, range.1.min(last.parse().unwrap()))];
    while let Some((start, end)) = ranges.pop() {
        match read(site, table, start, end).await {
            Ok(found) => rows.extend(found),
            Err(EngineError::Unreadable { .. }) if start == end => unreadable.push(start),
            Err(EngineError::Unreadable { .. }) => {
                let middle = start + (end - start) / 2;
                ranges.extend([(start, middle), (middle + 1, end)]);
            }
            Err(err) => panic!("{err}"),
        }
    }
    (rows, unreadable)
}

async fn read(site: &Site, table: &Table, start: i64, end: i64) -> Result<Vec<Row>, EngineError> {
    let selection = Selection {
        table: table.name.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind))
            .collect(),
        rows: RowFilter::Between {
            column: "id".to_owned(),
            start: Some(start),
            end: Some(end),
        },
        scope: Scope::default(),
        order: RowOrder::Found,
        page: None,
    };
    let mut stream = site.driver.read(selection).await?;
    let mut rows = Vec::new();
    while let Flow::Rows(batch) = stream.recv().await.expect("the stream is not cut")? {
        rows.extend(batch.tuples().map(|tuple| row(tuple.unwrap())));
    }
    Ok(rows)
}

/// What the database itself says of the values of `columns` in each row, by its identifier: equal exactly where the
/// values are stored alike.
pub(super) fn stored(site: &Site, columns: &[Column]) -> Vec<(i64, String)> {
    let kind = site.database.kind();
    let one = |column: &Column| {
        let name = &column.name;
        match (kind, column.kind) {
            // A NaN with a sign has other bits and the same text; as text a `bpchar` loses its spaces.
            (Kind::Postgres, NeutralType::Float4 | NeutralType::Float8) => {
                let send = format!("{}send", column.kind);
                format!("coalesce(encode({send}({name}), 'hex'), '-')")
            }
            (Kind::Postgres, NeutralType::Text) => {
                format!("coalesce(encode(bpcharsend({name}), 'hex'), '-')")
            }
            (Kind::Postgres, _) => {
                format!("coalesce(encode(convert_to({name}::text, 'UTF8'), 'hex'), '-')")
            }
            (Kind::Sqlite, _) => {
                format!("typeof({name}) || hex(quote({name})) || coalesce(hex({name}), '')")
            }
            (Kind::Mariadb, NeutralType::Float4) => {
                format!("coalesce(hex(convert(cast({name} as double) using utf8mb4)), '-')")
            }
            (Kind::Mariadb, NeutralType::Bytea | NeutralType::Other) => {
                format!("coalesce(hex({name}), '-')")
            }
            (Kind::Mariadb, _) => format!("coalesce(hex(convert({name} using utf8mb4)), '-')"),
        }
    };
    let values: Vec<String> = columns.iter().map(one).collect();
    let answer = site
        .database
        .query(&format!("select id, {} from w", values.join(" || ' ' || ")));
    let line = |line: &str| {
        let (id, value) = line.split_once('|').unwrap();
        (id.parse().unwrap(), value.to_owned())
    };
    answer.lines().map(line).collect()
}
