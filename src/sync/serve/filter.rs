//! Which rows a peer asks for: the form first, then whether the table takes it.

use serde_json::Value;

use crate::engine::driver::{KeyValue, RowFilter};
use crate::model::filter::Filter;
use crate::model::table::{Column, NeutralType};
use crate::sync::serve::fault::FilterFault;
use crate::sync::serve::view::View;
use crate::wire::scope::Scope;

const MAX_IDS: usize = 1_000;
const MAX_ID_BYTES: usize = 255;

/// Which keys a peer asks for, well-formed but not yet held against a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFilter {
    /// These: 1 to 1,000.
    Ids(Vec<KeyValue>),
    /// Those between both, each inclusive; at least one is given.
    Range {
        /// Not below.
        start: Option<i64>,
        /// Not above.
        end: Option<i64>,
    },
}

/// Which rows a peer asks for, well-formed but not yet held against a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WantedRows {
    /// All.
    #[default]
    All,
    /// By the published filter.
    Keys(KeyFilter),
    /// Those that pass a row filter.
    Matching(Filter),
}

impl WantedRows {
    /// Either filter of a request for frames; null counts as absent.
    ///
    /// # Errors
    /// [`FilterFault`] when both are there, or the row filter is none.
    pub fn from_json(keys: Option<KeyFilter>, filter: Option<&Value>) -> Result<Self, FilterFault> {
        match (keys, filter) {
            (None, None) => Ok(Self::All),
            (Some(keys), None) => Ok(Self::Keys(keys)),
            (None, Some(filter)) => Ok(Self::Matching(Filter::from_json(&filter.to_string())?)),
            (Some(_), Some(_)) => Err(FilterFault::Invalid),
        }
    }

    /// The rows it means in `view`. Hidden columns are none: nothing can be found out about them.
    ///
    /// # Errors
    /// When the table's key, or a column of the filter, does not take it.
    pub(super) fn on(&self, view: &View) -> Result<(RowFilter, Scope), FilterFault> {
        let scope = view.scope.clone();
        match self {
            Self::All => Ok((RowFilter::All, scope)),
            Self::Keys(keys) => Ok((keys.on(view)?, scope)),
            Self::Matching(filter) => {
                let asked = Scope::new(filter, |name| view.open_kind(name))?;
                Ok((RowFilter::All, scope.and(asked)))
            }
        }
    }
}

impl KeyFilter {
    /// Reads the fields `ids`, `id_start` and `id_end` of a request; null counts as absent.
    ///
    /// # Errors
    /// [`FilterFault::Invalid`].
    pub fn from_json(
        ids: Option<&Value>,
        start: Option<&Value>,
        end: Option<&Value>,
    ) -> Result<Option<Self>, FilterFault> {
        match (ids, start, end) {
            (None, None, None) => Ok(None),
            (Some(Value::Array(ids)), None, None) if (1..=MAX_IDS).contains(&ids.len()) => {
                let ids = ids.iter().map(id).collect::<Option<_>>();
                ids.map(Self::Ids).map(Some).ok_or(FilterFault::Invalid)
            }
            (None, start, end) => Ok(Some(Self::Range {
                start: start.map(integer).transpose()?,
                end: end.map(integer).transpose()?,
            })),
            _ => Err(FilterFault::Invalid),
        }
    }

    /// The rows it means in `view`.
    ///
    /// # Errors
    /// When the peer sees no single-column primary key, or its type does not take this filter.
    pub(super) fn on(&self, view: &View) -> Result<RowFilter, FilterFault> {
        let column = single_key(view)?;
        match self {
            Self::Ids(ids) => Ok(RowFilter::In {
                column: column.name.clone(),
                values: ids
                    .iter()
                    .map(|id| key_value(column.kind, id))
                    .collect::<Result<_, _>>()?,
            }),
            Self::Range { start, end } if column.kind.is_integer() => Ok(RowFilter::Between {
                column: column.name.clone(),
                start: *start,
                end: *end,
            }),
            Self::Range { .. } => Err(FilterFault::KeyType),
        }
    }
}

fn single_key(view: &View) -> Result<&Column, FilterFault> {
    let key = view.table.primary_key.as_ref();
    match key.map(|key| key.columns.as_slice()) {
        // Of a pseudonym nobody finds out by asking which value it stands for.
        Some([_]) if view.open_key().is_none() => Err(FilterFault::KeyType),
        Some([name]) => view.table.column(name).ok_or(FilterFault::NeedsSingleKey),
        _ => Err(FilterFault::NeedsSingleKey),
    }
}

fn key_value(kind: NeutralType, id: &KeyValue) -> Result<KeyValue, FilterFault> {
    match (kind, id) {
        (kind, KeyValue::Integer(_)) if kind.is_integer() => Ok(id.clone()),
        (NeutralType::Text, KeyValue::Integer(number)) => Ok(KeyValue::Text(number.to_string())),
        (NeutralType::Text, KeyValue::Text(_)) => Ok(id.clone()),
        (NeutralType::Uuid, KeyValue::Text(text)) if text.len() == 36 => {
            uuid::Uuid::parse_str(text)
                .map(|uuid| KeyValue::Text(uuid.to_string()))
                .map_err(|_| FilterFault::KeyType)
        }
        _ => Err(FilterFault::KeyType),
    }
}

fn id(value: &Value) -> Option<KeyValue> {
    match value {
        Value::Number(number) => number.as_i64().map(KeyValue::Integer),
        Value::String(text) => ((1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains('\0'))
            .then(|| KeyValue::Text(text.clone())),
        _ => None,
    }
}

fn integer(value: &Value) -> Result<i64, FilterFault> {
    value.as_i64().ok_or(FilterFault::Invalid)
}

#[cfg(test)]
mod tests {
    use super::KeyFilter;
    use crate::model::fixture::{self, required};
    use crate::model::grant::Grant;
    use crate::model::table::NeutralType;
    use crate::sync::serve::fault::FilterFault;
    use crate::sync::serve::view::View;
    use serde_json::Value;
    use serde_json::json;

    fn read(request: &Value) -> Result<Option<KeyFilter>, FilterFault> {
        KeyFilter::from_json(
            request.get("ids"),
            request.get("id_start"),
            request.get("id_end"),
        )
    }

    fn table(keys: &[(&str, NeutralType)]) -> View {
        let columns = keys.iter().map(|(name, kind)| required(name, *kind));
        let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
        let table = fixture::table("t", columns.collect(), &names);
        View::of(table, &Grant::default(), |_| true).unwrap()
    }

    #[test]
    fn a_filter_is_a_list_of_ids_or_a_range_and_nothing_else() {
        assert_eq!(read(&json!({})), Ok(None));
        for good in [
            json!({"ids": [1]}),
            json!({"ids": ["a", 2, i64::MIN]}),
            json!({"id_start": 5}),
            json!({"id_end": 5}),
            json!({"id_start": 9, "id_end": 5}),
        ] {
            assert!(matches!(read(&good), Ok(Some(_))), "{good}");
        }
        let many: Vec<u32> = (0..1_001).collect();
        for bad in [
            json!({"ids": []}),
            json!({"ids": many}),
            json!({"ids": 1}),
            json!({"ids": "1"}),
            json!({"ids": [1.5]}),
            json!({"ids": [null]}),
            json!({"ids": [""]}),
            json!({"ids": ["a\u{0}"]}),
            json!({"ids": ["x".repeat(256)]}),
            json!({"ids": [u64::MAX]}),
            json!({"ids": [1], "id_start": 1}),
            json!({"id_start": "1"}),
            json!({"id_end": 1.5}),
        ] {
            assert_eq!(read(&bad), Err(FilterFault::Invalid), "{bad}");
        }
    }

    #[test]
    fn a_filter_applies_only_where_the_key_takes_it() {
        let ids = read(&json!({"ids": [7]})).unwrap().unwrap();
        let words = read(&json!({"ids": ["0192D1C8-3B7E-7000-8000-000000000001"]}))
            .unwrap()
            .unwrap();
        let range = read(&json!({"id_start": 1})).unwrap().unwrap();
        let (int, text, uuid) = (NeutralType::Int4, NeutralType::Text, NeutralType::Uuid);
        let cases = [
            (&ids, int, None),
            (&words, int, Some(FilterFault::KeyType)),
            (&range, int, None),
            (&ids, text, None),
            (&words, text, None),
            (&range, text, Some(FilterFault::KeyType)),
            (&ids, uuid, Some(FilterFault::KeyType)),
            (&words, uuid, None),
            (&ids, NeutralType::Numeric, Some(FilterFault::KeyType)),
        ];
        for (filter, kind, expected) in cases {
            let found = filter.on(&table(&[("id", kind)])).err();
            assert_eq!(found, expected, "{filter:?} on {kind:?}");
        }
        for keys in [&[][..], &[("a", int), ("b", int)]] {
            let found = ids.on(&table(keys)).err();
            assert_eq!(found, Some(FilterFault::NeedsSingleKey));
        }
    }
}
