//! Reading a filter's JSON into its conditions.
//!
//! Invariant: depth is checked before a list is opened, counts before anything is kept.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::filter::{
    InvalidFilter, Literal, MAX_BYTES, MAX_DEPTH, MAX_TERMS, MAX_VALUES, Term, Test,
};

/// Either a list or a condition, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Written<'a> {
    #[serde(borrow)]
    and: Option<Vec<&'a RawValue>>,
    column: Option<String>,
    op: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// All conditions of `json`, in the order written.
pub(super) fn terms(json: &str) -> Result<Vec<Term>, InvalidFilter> {
    let mut reader = Reader::default();
    reader.read(json, 0)?;
    Ok(reader.terms)
}

#[derive(Default)]
struct Reader {
    terms: Vec<Term>,
    values: usize,
}

impl Reader {
    fn read(&mut self, json: &str, depth: usize) -> Result<(), InvalidFilter> {
        if depth > MAX_DEPTH {
            return Err(fault(format!(
                "`and` stands in `and` more than {MAX_DEPTH} deep; every condition must hold, so one list is enough"
            )));
        }
        let written: Written<'_> = serde_json::from_str(json).map_err(|err| {
            // The reader's own words, without the line and column of a piece.
            let words = err.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            fault(format!(
                "write {{\"and\": [...]}} or {{\"column\", \"op\", \"value\"}}: {words}"
            ))
        })?;
        match written {
            Written {
                and: Some(parts),
                column: None,
                op: None,
                value: None,
            } => {
                if parts.is_empty() {
                    return Err(fault("`and` must have at least one condition"));
                }
                parts
                    .into_iter()
                    .try_for_each(|part| self.read(part.get(), depth + 1))
            }
            Written {
                and: None,
                column: Some(column),
                op: Some(op),
                value,
            } => self.condition(column, &op, value),
            _ => Err(fault(
                "each condition has `column`, `op` and `value`, or is a list `and` alone",
            )),
        }
    }

    fn condition(
        &mut self,
        column: String,
        op: &str,
        value: Option<&RawValue>,
    ) -> Result<(), InvalidFilter> {
        if self.terms.len() >= MAX_TERMS {
            return Err(fault(format!("it has more than {MAX_TERMS} conditions")));
        }
        if column.is_empty() || column.len() > MAX_BYTES || column.contains(char::is_control) {
            return Err(fault(format!(
                "condition {}: `column` is no name of a column",
                self.terms.len() + 1
            )));
        }
        let test = self
            .test(op, value)
            .map_err(|words| fault(format!("column {column}: {words}")))?;
        self.terms.push(Term { column, test });
        Ok(())
    }

    fn test(&mut self, op: &str, value: Option<&RawValue>) -> Result<Test, String> {
        match op {
            "is_null" => match value.map(RawValue::get) {
                None | Some("true") => Ok(Test::IsNull(true)),
                Some("false") => Ok(Test::IsNull(false)),
                Some(_) => Err("the value of `is_null` is true or false".to_owned()),
            },
            "in" => self.list(value).map(Test::In),
            "=" => self.single(value).map(Test::Equals),
            op => match op.parse() {
                Ok(bound) => self.single(value).map(|value| Test::Range(bound, value)),
                Err(_) => Err("`op` is one of =, in, is_null, <, <=, >, >=".to_owned()),
            },
        }
    }

    fn single(&mut self, value: Option<&RawValue>) -> Result<Literal, String> {
        let value = value.ok_or("a value is needed; NULL is found by the op `is_null`")?;
        self.count(1)?;
        literal(value)
    }

    fn list(&mut self, value: Option<&RawValue>) -> Result<Vec<Literal>, String> {
        let expected = "the value of `in` is a list of values";
        let value = value.ok_or(expected)?;
        let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| expected)?;
        if values.is_empty() {
            return Err("the list of `in` is empty, so no row would match".to_owned());
        }
        self.count(values.len())?;
        values.into_iter().map(literal).collect()
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES {
            return Err(format!(
                "with it the filter has more than {MAX_VALUES} values"
            ));
        }
        Ok(())
    }
}

fn literal(value: &RawValue) -> Result<Literal, String> {
    let json = value.get();
    if json.len() > MAX_BYTES {
        return Err(format!("a value has more than {MAX_BYTES} bytes"));
    }
    match json.as_bytes().first() {
        Some(b't') => Ok(Literal::Bool(true)),
        Some(b'f') => Ok(Literal::Bool(false)),
        Some(b'"') => serde_json::from_str(json)
            .map(Literal::Text)
            .map_err(|_| "a value is no text".to_owned()),
        Some(b'-' | b'0'..=b'9') => Ok(json
            .parse()
            .map_or_else(|_| Literal::Text(json.to_owned()), Literal::Integer)),
        Some(b'n') => Err("null is no value; NULL is found by the op `is_null`".to_owned()),
        _ => Err("a value is a text, a number, true or false".to_owned()),
    }
}

fn fault(words: impl Into<String>) -> InvalidFilter {
    InvalidFilter(words.into())
}
