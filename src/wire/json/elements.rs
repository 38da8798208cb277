//! A JSON answer too long to be held whole: the elements of its one long array come out as they arrive, and the rest of
//! it at the end.
//!
//! Finds only where elements begin and end; that each is JSON is for whoever reads it. Invariant: no more is held than
//! one element and [`MAX_REST_BYTES`] of everything else.

/// What stands around the array may have so many bytes.
pub const MAX_REST_BYTES: usize = 64 << 10;

/// Why an answer cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElementsFault {
    /// A single row above the limit.
    #[error("a row with more than {0} bytes of JSON")]
    TooLong(usize),
    /// Too much that is no row.
    #[error("the answer is not the JSON it should be")]
    Rest,
    /// Something else than objects with commas between them.
    #[error("its rows are not a list of objects")]
    Array,
    /// It ends before its end.
    #[error("the answer ends early")]
    Cut,
}

/// Takes apart an object of which one member is an array of objects.
#[derive(Debug)]
pub struct Elements {
    member: &'static str,
    most_bytes: usize,
    /// The answer without the elements.
    rest: Vec<u8>,
    element: Vec<u8>,
    depth: usize,
    text: Text,
    /// The last text of the outermost object, as it is written: before a colon it is a key.
    last: Vec<u8>,
    place: Place,
}

/// Whether the next byte belongs to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the array.
    Before,
    /// Behind the colon after the array's key.
    AtArray,
    /// Behind `[`, where an element may come or the end.
    First,
    /// Behind a comma.
    Next,
    Element,
    /// Behind an element.
    Between,
    After,
}

impl Elements {
    /// For the array `member`, whose elements have at most `most_bytes` each.
    #[must_use]
    pub fn of(member: &'static str, most_bytes: usize) -> Self {
        Self {
            member,
            most_bytes,
            rest: Vec::new(),
            element: Vec::new(),
            depth: 0,
            text: Text::Outside,
            last: Vec::new(),
            place: Place::Before,
        }
    }

    /// Takes some more bytes, and gives the elements that end in them to `found`.
    ///
    /// # Errors
    /// [`ElementsFault`], after which there is nothing more to be had.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut found: impl FnMut(Vec<u8>),
    ) -> Result<(), ElementsFault> {
        for byte in bytes {
            if let Some(element) = self.byte(*byte)? {
                found(element);
            }
        }
        Ok(())
    }

    /// Everything but the elements, once no more bytes come.
    ///
    /// # Errors
    /// [`ElementsFault::Cut`] inside the array; whether the rest is whole its own reader sees.
    pub fn finish(self) -> Result<Vec<u8>, ElementsFault> {
        match self.place {
            Place::Before | Place::AtArray | Place::After => Ok(self.rest),
            Place::First | Place::Next | Place::Element | Place::Between => Err(ElementsFault::Cut),
        }
    }

    fn byte(&mut self, byte: u8) -> Result<Option<Vec<u8>>, ElementsFault> {
        match self.place {
            Place::Element => self.inside(byte),
            Place::First | Place::Next | Place::Between => self.between(byte).map(|()| None),
            Place::Before | Place::AtArray | Place::After => self.around(byte).map(|()| None),
        }
    }

    fn around(&mut self, byte: u8) -> Result<(), ElementsFault> {
        if self.rest.len() >= MAX_REST_BYTES {
            return Err(ElementsFault::Rest);
        }
        self.rest.push(byte);
        if self.place == Place::AtArray && !byte.is_ascii_whitespace() {
            self.place = if byte == b'[' {
                Place::First
            } else {
                Place::Before
            };
        }
        let was_inside = self.text != Text::Outside;
        self.note(byte);
        match (was_inside, byte) {
            (false, b'"') => self.last.clear(),
            (true, _) if self.text != Text::Outside => self.last.push(byte),
            (true, _) => {}
            (false, b':') if self.depth == 1 && self.last == self.member.as_bytes() => {
                // Twice the same key: two readers could take it for two things.
                if self.place == Place::After {
                    return Err(ElementsFault::Rest);
                }
                self.place = Place::AtArray;
            }
            (false, _) => {}
        }
        Ok(())
    }

    fn between(&mut self, byte: u8) -> Result<(), ElementsFault> {
        match (self.place, byte) {
            (_, byte) if byte.is_ascii_whitespace() => Ok(()),
            (Place::First | Place::Next, b'{') => {
                self.place = Place::Element;
                self.element.push(byte);
                self.note(byte);
                Ok(())
            }
            (Place::Between, b',') => {
                self.place = Place::Next;
                Ok(())
            }
            (Place::First | Place::Between, b']') => {
                self.place = Place::After;
                self.rest.push(byte);
                self.note(byte);
                Ok(())
            }
            _ => Err(ElementsFault::Array),
        }
    }

    fn inside(&mut self, byte: u8) -> Result<Option<Vec<u8>>, ElementsFault> {
        if self.element.len() >= self.most_bytes {
            return Err(ElementsFault::TooLong(self.most_bytes));
        }
        self.element.push(byte);
        self.note(byte);
        // Inside the outermost object and the array.
        if self.depth > 2 {
            return Ok(None);
        }
        self.place = Place::Between;
        Ok(Some(std::mem::take(&mut self.element)))
    }

    /// Follows texts and brackets.
    fn note(&mut self, byte: u8) {
        self.text = match (self.text, byte) {
            (Text::Outside, b'"') | (Text::Escaped, _) => Text::Inside,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Outside, b'{' | b'[') => {
                self.depth = self.depth.saturating_add(1);
                Text::Outside
            }
            (Text::Outside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                Text::Outside
            }
            (text, _) => text,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
    use serde_json::{Value, json};

    use super::{Elements, ElementsFault, MAX_REST_BYTES};

    /// The elements and the rest, pushed in pieces of `step` bytes.
    fn taken(text: &str, step: usize) -> Result<(Vec<String>, String), ElementsFault> {
        let mut elements = Elements::of("data", 1_000);
        let mut found = Vec::new();
        let text_of = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        for piece in text.as_bytes().chunks(step) {
            elements.push(piece, |element| found.push(text_of(element)))?;
        }
        Ok((found, text_of(elements.finish()?)))
    }

    #[test]
    fn elements_come_out_and_the_rest_stays() {
        let text = r#"{"x":{"data":[1]},"say":"\"data\":[", "data" : [ {"a":"}]\\"} ,{"b":[{}]}], "truncated":true}"#;
        let expected = (
            vec![r#"{"a":"}]\\"}"#.to_owned(), r#"{"b":[{}]}"#.to_owned()],
            r#"{"x":{"data":[1]},"say":"\"data\":[", "data" : [], "truncated":true}"#.to_owned(),
        );
        for step in [1, 2, 7, 1_000] {
            assert_eq!(taken(text, step).as_ref(), Ok(&expected), "{step}");
        }
        let none = r#"{"data":null,"success":false}"#;
        assert_eq!(taken(none, 5), Ok((vec![], none.to_owned())));
    }

    #[test]
    fn what_is_no_such_answer_is_refused_and_bounded() {
        let long = format!("{{\"data\":[{{\"a\":\"{}\"}}]}}", "x".repeat(1_000));
        let page = "<p>".repeat(MAX_REST_BYTES);
        for (text, fault) in [
            (r#"{"data":[1]}"#, ElementsFault::Array),
            (r#"{"data":[{},,{}]}"#, ElementsFault::Array),
            (r#"{"data":[{} {}]}"#, ElementsFault::Array),
            (r#"{"data":[{},]}"#, ElementsFault::Array),
            (r#"{"data":[[]]}"#, ElementsFault::Array),
            (r#"{"data":[{}],"data":[{}]}"#, ElementsFault::Rest),
            (r#"{"data":"x","a":[{}],"data":[1]}"#, ElementsFault::Array),
            (r#"{"data":[{}"#, ElementsFault::Cut),
            (r#"{"data":[{"a":"#, ElementsFault::Cut),
            (&long, ElementsFault::TooLong(1_000)),
            (&page, ElementsFault::Rest),
        ] {
            assert_eq!(taken(text, 3), Err(fault), "{text:.60}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = proptest::prop_oneof![
            any::<String>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            proptest::strategy::Just(Value::Null),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            proptest::prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in prop::collection::vec(
            prop::collection::hash_map(any::<String>(), value(), 0..4), 0..4), pretty: bool)
        {
            let rows: Vec<Value> = rows.into_iter().map(|row| Value::Object(row.into_iter().collect())).collect();
            let answer = json!({"after": "]}", "before": [1, {"data": [2]}], "data": rows});
            let text = if pretty { serde_json::to_string_pretty(&answer) } else { serde_json::to_string(&answer) };
            let mut elements = Elements::of("data", 1 << 20);
            let mut found: Vec<Value> = Vec::new();
            for piece in text.unwrap().as_bytes().chunks(3) {
                elements.push(piece, |row| found.push(serde_json::from_slice(&row).unwrap())).unwrap();
            }
            let rest: Value = serde_json::from_slice(&elements.finish().unwrap()).unwrap();
            prop_assert_eq!(found, rows);
            prop_assert_eq!(rest, json!({"after": "]}", "before": [1, {"data": [2]}], "data": []}));
        }

        #[test]
        fn any_bytes_are_an_error_or_pieces_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut elements = Elements::of("data", 50);
            if elements.push(&bytes, drop).is_ok() {
                let _ = elements.finish();
            }
        }
    }
}
