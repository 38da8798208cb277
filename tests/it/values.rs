//! PostgreSQL as the oracle of the value codecs: same text, same bytes, same refusals.

use std::fmt::Debug;

use evenkeel::wire::{datetime, numeric};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::support::postgres;

/// Is this text a value of the type, in PostgreSQL's opinion? (`pg_input_is_valid` came with version 16.)
const IS_VALID: &str = "
create function pg_temp.is_valid(kind text, value text) returns boolean language plpgsql as $$
begin
    execute format('select %L::%s', value, kind);
    return true;
exception when others then
    return false;
end
$$;
";

/// Always the same values: a failure can be looked at again.
fn samples<T: Debug>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("a sample").current())
        .collect()
}

/// The lines PostgreSQL answers when `expression` is evaluated for every text as `x`, each split at `|`.
fn ask(expression: &str, texts: &[String]) -> Vec<Vec<String>> {
    let url = postgres::shared().database();
    let list: Vec<String> = texts.iter().map(|text| format!("('{text}')")).collect();
    let sql = format!(
        "{IS_VALID}
        create temporary table sample (n serial, x text);
        insert into sample (x) values {};
        select {expression} from sample order by n;",
        list.join(",")
    );
    let answer = postgres::query(&url, &sql);
    let lines: Vec<Vec<String>> = answer
        .lines()
        .filter(|line| line.contains('|'))
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect();
    assert_eq!(lines.len(), texts.len());
    lines
}

#[test]
fn numerics_are_those_of_postgresql() {
    let mut texts = samples(
        1_000,
        "[-+]?0{0,9}[0-9]{1,30}(\\.0{0,9}[0-9]{0,30})?([eE][-+]?[0-9]{1,2})?",
    );
    texts.extend(samples(200, "-?\\.0{0,9}[0-9]{1,9}"));
    texts.extend(samples(200, "[1-9]0{0,40}(\\.0{1,40})?"));
    let expression = "x::numeric, encode(numeric_send(x::numeric), 'hex'), scale(x::numeric), min_scale(x::numeric)";
    for (text, line) in texts.iter().zip(ask(expression, &texts)) {
        let bytes = numeric::encode(text).expect("a number");
        let shape = numeric::shape(&bytes).expect("a shape");
        let ours = [
            numeric::decode(&bytes).expect("a numeric"),
            hex::encode(&bytes),
            shape.scale.to_string(),
            shape.significant_scale.to_string(),
        ];
        assert_eq!(ours.as_slice(), line, "{text}");
    }
}

#[test]
fn texts_are_numbers_exactly_where_postgresql_says_so() {
    let texts = samples(1_000, "[-+]?[0-9]{0,2}\\.?[0-9]{0,2}[eE]?[-+]?[0-9]{0,2}");
    for (text, line) in texts
        .iter()
        .zip(ask("pg_temp.is_valid('numeric', x), x", &texts))
    {
        assert_eq!(numeric::encode(text).is_ok(), line[0] == "t", "{text}");
    }
}

#[test]
fn dates_are_those_of_postgresql() {
    let days = samples(1_000, -2_451_545_i32..=2_145_031_948)
        .into_iter()
        .chain(samples(1_000, -740_000..300_000));
    let texts: Vec<String> = days
        .map(|days| datetime::date_to_text(&days.to_be_bytes()).expect("a date"))
        .collect();
    for (text, line) in texts
        .iter()
        .zip(ask("x::date, encode(date_send(x::date), 'hex')", &texts))
    {
        let ours = datetime::date_from_text(text).expect("a date");
        assert_eq!([text.clone(), hex::encode(ours)].as_slice(), line);
    }
}

#[test]
fn days_exist_exactly_where_postgresql_says_so() {
    let texts: Vec<String> = samples(2_000, (0_u32..2_500, 0_u32..14, 0_u32..33))
        .into_iter()
        .map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
        .collect();
    for (text, line) in texts
        .iter()
        .zip(ask("pg_temp.is_valid('date', x), x", &texts))
    {
        assert_eq!(
            datetime::date_from_text(text).is_ok(),
            line[0] == "t",
            "{text}"
        );
    }
}

#[test]
fn moments_are_those_of_postgresql() {
    let micros = samples(
        1_000,
        -211_813_488_000_000_000_i64..9_223_371_331_200_000_000,
    )
    .into_iter()
    .chain(samples(
        1_000,
        -1_000_000_000_000_000_i64..1_000_000_000_000_000,
    ));
    let texts: Vec<String> = micros
        .map(|micros| datetime::timestamp_to_text(&micros.to_be_bytes(), ' ').expect("a timestamp"))
        .collect();
    let expression = "encode(timestamp_send(x::timestamp), 'hex'), x";
    for (text, line) in texts.iter().zip(ask(expression, &texts)) {
        let ours = datetime::timestamp_from_text(text, false).expect("a timestamp");
        assert_eq!(hex::encode(ours), line[0], "{text}");
    }
}

#[test]
fn zones_are_applied_as_postgresql_does() {
    let texts = samples(
        1_000,
        "(19|20)[0-9]{2}-0[1-9]-[012][1-8][ T][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[-+](0[0-9]|1[0-5])(:?[0-5][0-9])?)",
    );
    let expression = "encode(timestamptz_send(x::timestamptz), 'hex'), x";
    for (text, line) in texts.iter().zip(ask(expression, &texts)) {
        let ours = datetime::timestamp_from_text(text, true).expect("a moment");
        assert_eq!(hex::encode(ours), line[0], "{text}");
    }
}

#[test]
fn times_are_those_of_postgresql() {
    let texts = samples(1_000, "[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,6})?");
    let expression = "pg_temp.is_valid('time', x), case when pg_temp.is_valid('time', x) then encode(time_send(x::time), 'hex') end";
    for (text, line) in texts.iter().zip(ask(expression, &texts)) {
        let ours = datetime::time_from_text(text).ok();
        assert_eq!(ours.map(hex::encode).unwrap_or_default(), line[1], "{text}");
    }
}
