//! Pseudonyms join what is equal, part what is not, and give nothing away.

use std::collections::BTreeSet;

use super::{Mask, PseudonymKey, Slot};
use crate::base::secret::Secret;
use crate::model::table::NeutralType;
use crate::wire::numeric;
use crate::wire::row::{RowWriter, split_tuple};

fn key(byte: u8) -> PseudonymKey {
    PseudonymKey::new(Secret::new([byte; 32]))
}

fn of(key: &PseudonymKey, name: &str, kind: NeutralType, value: &[u8]) -> [u8; 16] {
    key.pseudonym(name, kind).of(value).unwrap()
}

#[test]
fn equal_values_of_one_name_have_one_pseudonym_whatever_the_width_of_their_type() {
    let key = key(1);
    let number = |kind, bytes: &[u8]| of(&key, "customer", kind, bytes);
    let five = number(NeutralType::Int4, &5_i32.to_be_bytes());
    assert_eq!(five, number(NeutralType::Int2, &5_i16.to_be_bytes()));
    assert_eq!(five, number(NeutralType::Int8, &5_i64.to_be_bytes()));
    for text in ["5", "5.00"] {
        let decimal = numeric::encode(text).unwrap();
        assert_eq!(five, number(NeutralType::Numeric, &decimal), "{text}");
    }
    let decimals = ["1.5", "1.50"].map(|text| {
        let bytes = numeric::encode(text).unwrap();
        number(NeutralType::Numeric, &bytes)
    });
    assert_eq!(decimals[0], decimals[1]);
    let text = |kind| of(&key, "code", kind, b"a");
    assert_eq!(text(NeutralType::Text), text(NeutralType::Other));
}

#[test]
fn another_value_name_kind_or_connection_has_another_pseudonym() {
    let five = 5_i64.to_be_bytes();
    let uuid = [b'5'; 16];
    let all = [
        of(&key(1), "customer", NeutralType::Int8, &five),
        of(&key(1), "customer", NeutralType::Int8, &6_i64.to_be_bytes()),
        of(&key(1), "custome", NeutralType::Int8, &five),
        of(&key(2), "customer", NeutralType::Int8, &five),
        of(&key(1), "customer", NeutralType::Text, b"5"),
        of(&key(1), "customer", NeutralType::Text, &five),
        of(&key(1), "customer", NeutralType::Bytea, &five),
        of(&key(1), "customer", NeutralType::Uuid, &uuid),
        of(&key(1), "customer", NeutralType::Text, &uuid),
        of(&key(1), "c", NeutralType::Text, b"ab"),
        of(&key(1), "ca", NeutralType::Text, b"b"),
    ];
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn a_row_has_the_fields_its_slots_say_and_no_other() {
    let key = key(3);
    let number = key.pseudonym("customer", NeutralType::Int4);
    let uuid = key.pseudonym("ref", NeutralType::Uuid);
    let mut rows = RowWriter::default();
    rows.begin(3);
    for field in [&7_i32.to_be_bytes()[..], b"note", &[9; 16]] {
        rows.field(Some(field));
    }
    rows.begin(3);
    for _ in 0..3 {
        rows.field(None);
    }
    let mask = Mask::new(vec![
        Slot::Field(1),
        Slot::Null,
        Slot::Pseudonym(0, number.clone()),
        Slot::Pseudonym(2, uuid.clone()),
    ]);
    let masked = mask.apply(&rows.take()).unwrap();
    assert_eq!(masked.rows, 2);
    let tuples: Vec<_> = masked.tuples().map(Result::unwrap).collect();
    let (fields, _) = split_tuple(tuples[0]).unwrap();
    let bits = number.of(&7_i32.to_be_bytes()).unwrap();
    let text = uuid::Uuid::from_bytes(bits).to_string();
    assert_eq!(
        fields,
        [
            Some(&b"note"[..]),
            None,
            Some(text.as_bytes()),
            Some(&uuid.of(&[9; 16]).unwrap()[..])
        ]
    );
    assert_eq!(split_tuple(tuples[1]).unwrap().0, [None; 4]);
    // What the database gave has fewer fields than the mask was made for.
    let mut short = RowWriter::default();
    short.begin(1);
    short.field(None);
    assert!(mask.apply(&short.take()).is_err());
}
