//! The fields of a request: parsed once, read by name and type.
//!
//! "Missing" is absent, null or the empty text. Invariant: a field of another type is a refusal, never a guess.

use std::num::IntErrorKind;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::api::peer::answer::Refusal;

/// No field of the published protocol is longer, in bytes.
const MAX_TEXT_BYTES: usize = 4_096;

/// A request's fields.
#[derive(Debug, Default)]
pub(super) struct Form(Map<String, Value>);

impl Form {
    /// Reads a body. An empty one and an array count as an object without fields, as they do in the reference.
    ///
    /// # Errors
    /// 400 for what is not JSON, and for a lone text, number or the like.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Array(_)) => Ok(Self::default()),
            Ok(_) => Err(bad("The body must be a JSON object")),
            Err(_) => Err(bad("The body is not valid JSON")),
        }
    }

    /// The field's value, unless it is missing.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        })
    }

    /// Which of `names` are missing, in that order.
    fn missing<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        names
            .iter()
            .copied()
            .filter(|name| self.value(name).is_none())
            .collect()
    }

    /// The required text fields `names`.
    ///
    /// # Errors
    /// 400 with the list of what is missing, or for a field that is no text.
    pub(super) fn required<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&str; N], Refusal> {
        let missing = self.missing(&names);
        if !missing.is_empty() {
            return Err(Refusal::missing(&missing));
        }
        self.texts(names)
    }

    /// As [`Self::required`], but what is missing stands in the words alone: `table-schema` and `table-records` say so.
    ///
    /// # Errors
    /// 400 with the words, or for a field that is no text.
    pub(super) fn required_in_words<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&str; N], Refusal> {
        let missing = self.missing(&names);
        if !missing.is_empty() {
            let words = format!("Missing required fields: {}", missing.join(", "));
            return Err(bad(&words));
        }
        self.texts(names)
    }

    fn texts<const N: usize>(&self, names: [&'static str; N]) -> Result<[&str; N], Refusal> {
        let mut texts = [""; N];
        for (text, name) in texts.iter_mut().zip(names) {
            *text = self.text(name)?.unwrap_or_default();
        }
        Ok(texts)
    }

    /// An optional text field.
    ///
    /// # Errors
    /// 400 when it is no text, or too long.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text)),
            Some(Value::String(_)) => Err(bad(&format!("{name} is too long"))),
            Some(_) => Err(bad(&format!("{name} must be text"))),
        }
    }

    /// An optional list of texts.
    ///
    /// # Errors
    /// 400 when it is no list of texts.
    pub(super) fn texts_of(&self, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
        let fault = || bad(&format!("{name} must be a list of texts"));
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(fault))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(fault()),
        }
    }

    /// A whole number within bounds, also written as text; what is no number counts as `default`.
    pub(super) fn clamped(&self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let written = match self.value(name) {
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.trim().to_owned(),
            _ => return default,
        };
        let whole = written.split('.').next().unwrap_or_default();
        match whole.parse::<i128>() {
            Ok(number) => u64::try_from(number.max(0))
                .unwrap_or(most)
                .clamp(least, most),
            Err(err) if *err.kind() == IntErrorKind::PosOverflow => most,
            Err(err) if *err.kind() == IntErrorKind::NegOverflow => least,
            Err(_) => default,
        }
    }
}

fn bad(words: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, words)
}

#[cfg(test)]
mod tests {
    use super::{Form, bad};
    use crate::api::peer::answer::Refusal;
    use serde_json::Value;
    use serde_json::json;

    fn form(fields: &Value) -> Form {
        Form::parse(fields.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn missing_is_absent_null_or_empty() {
        let refusal = form(&json!({"b": null, "c": "", "d": "x"}))
            .required(["a", "b", "c", "d"])
            .unwrap_err();
        let expected = Refusal::missing(&["a", "b", "c"]);
        assert_eq!(refusal, expected);
        for body in ["", " ", "[]", "[1]", "{}"] {
            let form = Form::parse(body.as_bytes()).unwrap();
            assert_eq!(
                form.required(["a"]).unwrap_err(),
                Refusal::missing(&["a"]),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_no_object_of_texts_is_refused() {
        for body in ["{", "\"a\"", "1", "null", "{\"a\":}", "\u{1}", "nul"] {
            assert!(Form::parse(body.as_bytes()).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(Form::parse(deep.as_bytes()).is_err());
        for value in [
            json!(1),
            json!(true),
            json!([]),
            json!({}),
            json!("x".repeat(5_000)),
        ] {
            assert!(
                form(&json!({"a": value})).required(["a"]).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn two_endpoints_list_missing_fields_in_their_words() {
        let refusal = form(&json!({})).required_in_words(["a", "b"]).unwrap_err();
        assert_eq!(refusal, bad("Missing required fields: a, b"));
    }

    #[test]
    fn numbers_are_clamped_and_what_is_none_is_the_default() {
        let cases = [
            (json!(5), 5),
            (json!("25"), 25),
            (json!(" 7 "), 7),
            (json!(3.9), 3),
            (json!(0), 1),
            (json!(-4), 1),
            (json!("-4"), 1),
            (json!(101), 100),
            (json!(u64::MAX), 100),
            (json!("9".repeat(80)), 100),
            (json!("many"), 10),
            (json!(true), 10),
            (json!([5]), 10),
            (Value::Null, 10),
            (json!(""), 10),
        ];
        for (value, expected) in cases {
            let found = form(&json!({"limit": value})).clamped("limit", 10, 1, 100);
            assert_eq!(found, expected, "{value}");
        }
    }
}
