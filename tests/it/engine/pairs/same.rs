//! Whether a value that arrived is the one that was sent, by rules written down apart from the code under test.

use evenkeel::model::table::{Column, Engine, NeutralType};
use evenkeel::wire::json::field_to_text;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The same value, shown in another way at most as the destination's type declares it.
pub(super) fn same(
    source: &Column,
    sent: &[u8],
    target: &Column,
    found: &[u8],
    to: Engine,
) -> bool {
    let (there, here) = (
        field_to_text(source.kind, Some(sent)),
        field_to_text(target.kind, Some(found)),
    );
    // A json's text is shown without the spaces around it.
    if there == here || (target.kind == NeutralType::Text && sent == found) {
        return true;
    }
    match target.kind {
        NeutralType::Numeric => shows_its_own_scale(target, to) && number(&there) == number(&here),
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => number(&there) == here,
        NeutralType::Float8 if source.kind == NeutralType::Float4 => {
            f64::from(there.parse::<f32>().unwrap()).to_bits()
                == here.parse::<f64>().unwrap().to_bits()
        }
        NeutralType::Float4 if source.kind == NeutralType::Float8 => {
            there.parse::<f64>().unwrap().to_bits()
                == f64::from(here.parse::<f32>().unwrap()).to_bits()
        }
        NeutralType::Json | NeutralType::Jsonb => document(&there) == document(&here),
        // A datetime of MySQL that was made for moments holds them in UTC.
        NeutralType::Timestamp if to == Engine::Mysql => {
            source.kind == NeutralType::Timestamptz && there.strip_suffix('Z') == Some(&here)
        }
        _ => false,
    }
}

/// A column that declares digits shows each number with them; one of SQLite's that leans to numbers keeps none.
fn shows_its_own_scale(column: &Column, engine: Engine) -> bool {
    column.scale.is_some()
        || (engine == Engine::Sqlite && !column.native.to_ascii_lowercase().contains("text"))
}

pub(super) fn number(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Members sorted, but none merged: a document that lost one of two equal names differs.
pub(super) fn document(text: &str) -> Document {
    serde_json::from_str(text).unwrap_or_else(|err| panic!("{text}: {err}"))
}

#[derive(Debug, PartialEq, PartialOrd)]
pub(super) enum Document {
    Scalar(String),
    List(Vec<Document>),
    Members(Vec<(String, Document)>),
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Document;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a document")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
                Ok(Document::Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
                Ok(Document::Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
                Ok(Document::Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
                Ok(Document::Scalar(value.to_string()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Document, E> {
                Ok(Document::Scalar(format!("{value:?}")))
            }
            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::Scalar("null".to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Document, A::Error> {
                let mut found = Vec::new();
                while let Some(value) = list.next_element()? {
                    found.push(value);
                }
                Ok(Document::List(found))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut found: Vec<(String, Document)> = Vec::new();
                while let Some(member) = map.next_entry()? {
                    found.push(member);
                }
                found.sort_by(|one, other| one.0.cmp(&other.0));
                Ok(Document::Members(found))
            }
        }
        from.deserialize_any(Reader)
    }
}
