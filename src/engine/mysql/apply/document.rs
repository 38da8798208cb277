//! Whether two JSON documents are one, whatever the order of their members and the spaces between. Pure.
//!
//! Numbers have to be the same digit for digit, which a double is not made for.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// No database keeps documents that are nested deeper.
const DEEPEST: usize = 128;

/// Compares two jsonb values of the row layout. What is no document equals nothing.
pub(super) fn is_same_document(one: &[u8], other: &[u8]) -> bool {
    let text = |bytes| {
        let (_, document) = <[u8]>::split_first(bytes)?;
        std::str::from_utf8(document).ok()
    };
    match (text(one), text(other)) {
        (Some(one), Some(other)) => is_same(one, other, DEEPEST),
        _ => false,
    }
}

fn is_same(one: &str, other: &str, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    let (one, other) = (one.trim_ascii(), other.trim_ascii());
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => match (members(one), members(other)) {
            (Some(one), Some(other)) => {
                let mut pairs = one.iter().zip(&other);
                one.len() == other.len()
                    && pairs.all(|((name, value), (other_name, other_value))| {
                        name == other_name && is_same(value.get(), other_value.get(), depth)
                    })
            }
            _ => false,
        },
        (Some(b'['), Some(b'[')) => match (items(one), items(other)) {
            (Some(one), Some(other)) => {
                let mut pairs = one.iter().zip(&other);
                one.len() == other.len()
                    && pairs.all(|(one, other)| is_same(one.get(), other.get(), depth))
            }
            _ => false,
        },
        (Some(b'"'), Some(b'"')) => {
            let read = |text| serde_json::from_str::<String>(text).ok();
            read(one).is_some_and(|one| read(other) == Some(one))
        }
        (Some(_), Some(_)) => one == other,
        _ => false,
    }
}

fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::is_same_document;

    #[test]
    fn only_order_and_spaces_do_not_count() {
        for (one, other, expected) in [
            (r#"{"b":1,"a":[1, "x"]}"#, r#"{"a": [1,"x"], "b": 1}"#, true),
            (r#""\u0041""#, r#""A""#, true),
            ("1.0", "1.00", false),
            ("1.0", "1", false),
            ("[1,2]", "[2,1]", false),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            ("null", "null", true),
            ("null", r#""null""#, false),
            ("{", "{", false),
        ] {
            let jsonb = |text: &str| [&[1], text.as_bytes()].concat();
            assert_eq!(
                is_same_document(&jsonb(one), &jsonb(other)),
                expected,
                "{one} {other}"
            );
        }
    }
}
