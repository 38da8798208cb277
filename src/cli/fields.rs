//! Reads fields of the admin API's JSON, leniently: what is missing or of another kind shows as nothing.

use serde_json::Value;

/// The text at `path` (dots go down); empty when there is none.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The number at `path`; 0 when there is none.
pub(super) fn number(value: &Value, path: &str) -> u64 {
    optional_number(value, path).unwrap_or_default()
}

/// The number at `path`.
pub(super) fn optional_number(value: &Value, path: &str) -> Option<u64> {
    at(value, path).and_then(Value::as_u64)
}

/// The list at `path`; empty when there is none.
pub(super) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// What stands at `path`, unless it is null.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let found = path
        .split('.')
        .try_fold(value, |value, name| value.get(name))?;
    (!found.is_null()).then_some(found)
}

/// The time at `path` to the second, as a person reads it; empty when there is none.
pub(super) fn moment(value: &Value, path: &str) -> String {
    let exact = text(value, path);
    match exact.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => exact.to_owned(),
    }
}

/// A value as a person reads it: text bare, lists joined, nothing for null.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A key as a person reads it.
pub(super) fn key(key: &Value) -> String {
    match key.as_object() {
        Some(columns) if columns.is_empty() => "(no key)".to_owned(),
        Some(columns) => {
            let parts = columns
                .iter()
                .map(|(name, value)| format!("{name}={}", shown(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        None => shown(key),
    }
}

/// The tables of a grant, as a person reads them.
pub(super) fn granted(grant: &Value) -> String {
    match at(grant, "tables") {
        Some(Value::String(star)) if star == "*" => "all".to_owned(),
        Some(tables) => shown(tables),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{granted, key, list, moment, number, optional_number, shown, text};

    #[test]
    fn missing_fields_show_as_nothing() {
        let value = json!({"a": {"b": "x", "n": 3, "l": [1, "y"], "nil": null}});
        assert_eq!(text(&value, "a.b"), "x");
        assert_eq!(text(&value, "a.n"), "");
        assert_eq!(number(&value, "a.n"), 3);
        assert_eq!(optional_number(&value, "a.nil"), None);
        assert_eq!(list(&value, "a.l").len(), 2);
        assert!(list(&value, "z").is_empty());
        assert_eq!(shown(&value["a"]["l"]), "1, y");
        assert_eq!(granted(&json!({"tables": "*"})), "all");
        assert_eq!(granted(&json!({})), "");
        assert_eq!(key(&json!({})), "(no key)");
        assert_eq!(moment(&value, "a.at"), "");
        let times = json!({"exact": "2026-11-21T16:48:38.22653Z", "full": "2026-11-21T16:48:38Z"});
        assert_eq!(moment(&times, "exact"), moment(&times, "full"));
    }
}
