//! Random rows of a wide table through every pair.

use evenkeel::engine::driver::NewTable;
use evenkeel::wire::datetime::{date_to_text, timestamp_to_text};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{KINDS, Site, pull};
use crate::support::database::Kind;

const ROWS: u32 = 60;

pub(super) fn schema(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "create table w (id int primary key, b boolean, i2 smallint, i8 bigint, f8 float8, n numeric, n2 numeric(30,4),
             t text, v varchar(8), d date, ts timestamp, x bytea, u uuid, j jsonb);"
        }
        Kind::Sqlite => {
            "create table w (id int primary key, b boolean, i2 smallint, i8 bigint, f8 real, n decimal text,
             n2 decimal text(30,4), t text, v varchar(8), d date, ts datetime, x blob, u uuid, j json text);"
        }
        Kind::Mariadb => {
            "create table w (id int primary key, b boolean, i2 smallint, i8 bigint, f8 double, n decimal(65,30), n2 decimal(30,4),
             t text, v varchar(8), d date, ts datetime(6), x blob, u uuid, j json);"
        }
    }
}

/// One row's values as both engines write them in SQL, without NULs, which PostgreSQL has none of.
fn values() -> impl Strategy<Value = Vec<String>> {
    let text = |text: String| format!("'{}'", text.replace('\0', "").replace('\'', "''"));
    let numbers = (
        any::<bool>(),
        any::<i16>(),
        any::<i64>(),
        any::<f64>().prop_filter("finite", |f| f.is_finite()),
    );
    let decimals = (
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?",
        "-?[0-9]{1,26}\\.[0-9]{0,4}",
    );
    let texts = ("\\PC{0,12}", "\\PC{0,8}");
    let moments = (
        -740_000_i32..2_000_000,
        -60_000_000_000_000_000_i64..200_000_000_000_000_000,
    );
    let others = (
        proptest::collection::vec(any::<u8>(), 0..40),
        any::<u128>(),
        "[a-z]{1,5}",
        any::<i32>(),
    );
    (numbers, decimals, texts, moments, others).prop_map(
        move |(numbers, decimals, texts, moments, others)| {
            let (b, i2, i8, f8) = numbers;
            vec![
                b.to_string(),
                i2.to_string(),
                format!("'{i8}'"),
                format!("{f8:e}"),
                format!("'{}'", decimals.0),
                format!("'{}'", decimals.1.trim_end_matches('.')),
                text(texts.0),
                text(texts.1),
                format!("'{}'", date_to_text(&moments.0.to_be_bytes()).unwrap()),
                format!(
                    "'{}'",
                    timestamp_to_text(&moments.1.to_be_bytes(), ' ').unwrap()
                ),
                format!("bytes:{}", hex::encode(others.0)),
                // MariaDB has only those of the standard.
                format!(
                    "'{}'",
                    uuid::Builder::from_u128(others.1)
                        .with_variant(uuid::Variant::RFC4122)
                        .with_version(uuid::Version::Random)
                        .into_uuid()
                        .hyphenated()
                ),
                format!("'{{\"{}\": [{}, \"x\"], \"Z\": null}}'", others.2, others.3),
            ]
        },
    )
}

/// Not a year before the first or with five digits, nor a number of more digits than `decimal(65,30)` has.
fn is_within_mariadb(value: &str) -> bool {
    let plain = value.trim_matches('\'').trim_start_matches('-');
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits(whole) && digits(fraction);
    let is_moment = plain.split_once('-').is_some_and(|(year, rest)| {
        digits(year) && rest.starts_with(|first: char| first.is_ascii_digit())
    });
    !(is_number && (whole.len() > 35 || fraction.len() > 30))
        && !(is_moment && (plain.ends_with("BC") || plain.find('-') != Some(4)))
}

fn statement(kind: Kind, id: u32, values: &[String], nulls: u16) -> String {
    let written = values
        .iter()
        .enumerate()
        .map(|(at, value)| match value.strip_prefix("bytes:") {
            _ if nulls >> at & 1 == 1 => "null".to_owned(),
            _ if kind == Kind::Mariadb && !is_within_mariadb(value) => "null".to_owned(),
            Some(hex) if kind == Kind::Postgres => format!("'\\x{hex}'"),
            Some(hex) => format!("x'{hex}'"),
            None if value.contains("e") && at == 3 && kind == Kind::Postgres => {
                format!("'{value}'")
            }
            None => value.clone(),
        });
    format!(
        "insert into w values ({id}, {});",
        written.collect::<Vec<_>>().join(", ")
    )
}

/// An identifier, the values, and which of them are NULL, by a bit each.
type Random = (u32, Vec<String>, u16);

/// The same every time.
pub(super) fn rows() -> Vec<Random> {
    let mut runner = TestRunner::deterministic();
    let mut sample = |id| {
        let values = values().new_tree(&mut runner).unwrap().current();
        let nulls = (any::<u16>(), any::<u16>())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        (id, values, nulls.0 & nulls.1)
    };
    (0..ROWS).map(&mut sample).collect()
}

/// The table with these rows.
pub(super) fn filled(kind: Kind, rows: &[Random]) -> String {
    let inserts = rows
        .iter()
        .map(|(id, values, nulls)| statement(kind, *id, values, *nulls));
    format!(
        "{} begin; {} commit;",
        schema(kind),
        inserts.collect::<String>()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn random_rows_arrive_equal_or_are_refused_and_change_nothing_the_second_time() {
    let rows = rows();
    for from in KINDS {
        let source = Site::with(from, &filled(from, &rows)).await;
        for to in KINDS {
            for by_hand in [true, false] {
                let site = Site::with(to, if by_hand { schema(to) } else { "select 1" }).await;
                if !by_hand {
                    let table = source.table("w").await;
                    let source = source.driver.engine();
                    site.driver
                        .create(&[NewTable { table, source }])
                        .await
                        .unwrap();
                }
                let (plan, outcome) = pull(&source, &site, "w").await.unwrap();
                let place = format!("{from:?} to {to:?}, by hand: {by_hand}");
                assert_eq!(plan.sent.len(), rows.len());
                // Every third number has more digits than MariaDB's.
                let most = if to == Kind::Mariadb { 30 } else { 10 };
                assert!(
                    outcome.refused.len() < most,
                    "{place}: {:?}",
                    outcome.refused
                );
                for (key, row) in &plan.expected {
                    let found = outcome.found.get(key);
                    // A jsonb sorts its members; the fidelity tests compare documents.
                    let plain = |row: &super::Row| row[..13].to_vec();
                    let equal = found.map(plain) == Some(plain(row));
                    assert!(
                        equal || outcome.refused.contains_key(key),
                        "{place}: {row:?} became {found:?}"
                    );
                }
                let again = plan.apply(&site).await.unwrap();
                assert_eq!(
                    (again.counts(), again.found),
                    ((0, 0), outcome.found),
                    "{place}"
                );
            }
        }
    }
}
