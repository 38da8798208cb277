//! What is a filter and what is none.

use super::{Bound, Filter, Literal, MAX_BYTES, MAX_DEPTH, MAX_TERMS, MAX_VALUES, Term, Test};

fn term(column: &str, test: Test) -> Term {
    Term {
        column: column.to_owned(),
        test,
    }
}

#[test]
fn a_filter_is_a_list_of_conditions_that_all_hold() {
    let text = |text: &str| Literal::Text(text.to_owned());
    let cases = [
        (
            r#"{"column":"shop","op":"=","value":"berlin"}"#,
            vec![term("shop", Test::Equals(text("berlin")))],
        ),
        (
            r#"{"and":[{"column":"a","op":"in","value":[1,"x",true]},{"and":[{"column":"b","op":"is_null"}]}]}"#,
            vec![
                term(
                    "a",
                    Test::In(vec![Literal::Integer(1), text("x"), Literal::Bool(true)]),
                ),
                term("b", Test::IsNull(true)),
            ],
        ),
        (
            r#"{"column":"c","op":"is_null","value":false}"#,
            vec![term("c", Test::IsNull(false))],
        ),
        (
            r#"{"column":"d","op":">=","value":-7}"#,
            vec![term("d", Test::Range(Bound::AtLeast, Literal::Integer(-7)))],
        ),
    ];
    for (json, expected) in cases {
        let filter: Filter = serde_json::from_str(json).unwrap();
        assert_eq!(filter.terms(), expected, "{json}");
        let written = serde_json::to_string(&filter).unwrap();
        assert_eq!(Filter::from_json(&written), Ok(filter), "{written}");
    }
}

#[test]
fn a_number_keeps_every_digit_it_was_written_with() {
    for digits in ["0.1234567890123456789", "18446744073709551616", "1E-8"] {
        let json = format!(r#"{{"column":"n","op":"<","value":{digits}}}"#);
        let filter = Filter::from_json(&json).unwrap();
        let through_a_value = serde_json::to_value(&filter).unwrap();
        let read: Filter = serde_json::from_value(through_a_value).unwrap();
        assert_eq!(read, filter);
        let expected = Test::Range(Bound::Below, Literal::Text(digits.to_owned()));
        assert_eq!(filter.terms()[0].test, expected);
    }
}

#[test]
fn what_is_no_filter_is_refused_with_the_reason() {
    let one = r#"{"column":"a","op":"=","value":1}"#;
    let many = |count: usize| format!(r#"{{"and":[{}]}}"#, vec![one; count].join(","));
    let listed = |count: usize| {
        let values = vec!["1"; count].join(",");
        format!(r#"{{"column":"a","op":"in","value":[{values}]}}"#)
    };
    let nested = |depth: usize| {
        let (open, close) = (r#"{"and":["#.repeat(depth), "]}".repeat(depth));
        format!("{open}{one}{close}")
    };
    let long = |bytes: usize| {
        let value = "x".repeat(bytes);
        format!(r#"{{"column":"a","op":"=","value":"{value}"}}"#)
    };
    for good in [
        many(MAX_TERMS),
        listed(MAX_VALUES),
        nested(MAX_DEPTH),
        long(MAX_BYTES - 2),
    ] {
        assert!(Filter::from_json(&good).is_ok());
    }
    let cases = [
        (many(MAX_TERMS + 1), "more than 64 conditions"),
        (listed(MAX_VALUES + 1), "more than 1000 values"),
        (nested(MAX_DEPTH + 1), "more than 8 deep"),
        (nested(200_000), "more than 8 deep"),
        (long(MAX_BYTES), "more than 4096 bytes"),
        ("\"a = 1\"".to_owned(), "write"),
        ("[]".to_owned(), "write"),
        ("{}".to_owned(), "each condition has"),
        (r#"{"and":[]}"#.to_owned(), "at least one condition"),
        (r#"{"or":[]}"#.to_owned(), "unknown field `or`"),
        (
            format!(r#"{{"and":[{one}],"column":"a","op":"is_null"}}"#),
            "each condition has",
        ),
        (
            r#"{"column":"","op":"is_null"}"#.to_owned(),
            "no name of a column",
        ),
        (
            r#"{"column":"a","op":"like","value":"x%"}"#.to_owned(),
            "`op` is one of",
        ),
        (r#"{"column":"a","op":"="}"#.to_owned(), "is_null"),
        (
            r#"{"column":"a","op":"=","value":null}"#.to_owned(),
            "is_null",
        ),
        (
            r#"{"column":"a","op":"in","value":[null]}"#.to_owned(),
            "is_null",
        ),
        (r#"{"column":"a","op":"in","value":[]}"#.to_owned(), "empty"),
        (r#"{"column":"a","op":"in","value":1}"#.to_owned(), "a list"),
        (
            r#"{"column":"a","op":"=","value":[1]}"#.to_owned(),
            "a text, a number",
        ),
        (
            r#"{"column":"a","op":"=","value":{}}"#.to_owned(),
            "a text, a number",
        ),
        (
            r#"{"column":"a","op":"is_null","value":1}"#.to_owned(),
            "true or false",
        ),
    ];
    for (json, words) in cases {
        let refused = Filter::from_json(&json).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
