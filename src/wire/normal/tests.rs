//! Which form is agreed for which pair of columns, and what a stranger may ask for.

mod values;

use proptest::prelude::{any, prop, proptest};

use super::{Normal, NormalForm, UnfitForm, normal_form};
use crate::model::fixture;
use crate::model::table::{Column, Engine, NeutralType};
use crate::wire::convert::Sides;
use crate::wire::row::RowWriter;

fn column(kind: NeutralType) -> Column {
    fixture::column("c", kind)
}

fn decimal(precision: u32, scale: u32) -> Column {
    Column {
        precision: Some(precision),
        scale: Some(scale),
        ..column(NeutralType::Numeric)
    }
}

#[test]
fn the_form_is_the_simplest_that_both_sides_can_make() {
    use Engine::{Mysql, Postgres, Sqlite};
    use NeutralType::{
        Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Other, Text, Timestamp,
        Timestamptz, Uuid,
    };
    let leaning = Column {
        native: "decimal".to_owned(),
        ..column(Numeric)
    };
    let kept = Column {
        native: "decimal text".to_owned(),
        ..column(Numeric)
    };
    for (source, from, target, to, form) in [
        (
            column(Int4),
            Postgres,
            column(Int4),
            Mysql,
            NormalForm::Same,
        ),
        (
            column(Int4),
            Postgres,
            column(Int8),
            Sqlite,
            NormalForm::Integer,
        ),
        (
            column(Int8),
            Sqlite,
            column(Int2),
            Postgres,
            NormalForm::Integer,
        ),
        (
            column(Int4),
            Postgres,
            column(Numeric),
            Postgres,
            NormalForm::Numeric,
        ),
        (
            column(Int4),
            Postgres,
            leaning.clone(),
            Sqlite,
            NormalForm::Shortest,
        ),
        (
            column(Int8),
            Mysql,
            decimal(10, 2),
            Mysql,
            NormalForm::Scaled(2),
        ),
        (
            decimal(20, 0),
            Mysql,
            column(Int8),
            Postgres,
            NormalForm::Scaled(0),
        ),
        (
            decimal(12, 2),
            Postgres,
            decimal(14, 2),
            Mysql,
            NormalForm::Same,
        ),
        (
            decimal(12, 2),
            Postgres,
            decimal(14, 4),
            Postgres,
            NormalForm::Scaled(4),
        ),
        (
            column(Numeric),
            Postgres,
            decimal(12, 2),
            Sqlite,
            NormalForm::Scaled(2),
        ),
        (
            decimal(12, 2),
            Mysql,
            column(Numeric),
            Postgres,
            NormalForm::Same,
        ),
        (column(Numeric), Postgres, kept, Sqlite, NormalForm::Same),
        (decimal(12, 2), Mysql, leaning, Sqlite, NormalForm::Shortest),
        (
            column(Float4),
            Postgres,
            column(Float8),
            Sqlite,
            NormalForm::Float,
        ),
        (
            column(Float8),
            Mysql,
            column(Float8),
            Postgres,
            NormalForm::Same,
        ),
        (
            column(Timestamptz),
            Postgres,
            column(Timestamp),
            Mysql,
            NormalForm::Same,
        ),
        (
            column(Timestamptz),
            Postgres,
            column(Text),
            Mysql,
            NormalForm::Text,
        ),
        (
            column(Uuid),
            Postgres,
            column(Text),
            Mysql,
            NormalForm::Text,
        ),
        (column(Other), Mysql, column(Text), Mysql, NormalForm::Text),
        (
            column(Text),
            Sqlite,
            column(Text),
            Postgres,
            NormalForm::Same,
        ),
        (
            column(Json),
            Postgres,
            column(Json),
            Postgres,
            NormalForm::Same,
        ),
        (
            column(Jsonb),
            Postgres,
            column(Jsonb),
            Postgres,
            NormalForm::Same,
        ),
        (
            column(Jsonb),
            Mysql,
            column(Jsonb),
            Mysql,
            NormalForm::Document,
        ),
        (
            column(Json),
            Mysql,
            column(Json),
            Sqlite,
            NormalForm::Document,
        ),
        (
            column(Json),
            Postgres,
            column(Jsonb),
            Postgres,
            NormalForm::Document,
        ),
        (
            column(Jsonb),
            Postgres,
            column(Text),
            Sqlite,
            NormalForm::Text,
        ),
    ] {
        let found = normal_form(&source, &target, Sides::between(from, to)).unwrap();
        let case = format!("{from} {:?} to {to} {:?}", source.kind, target.kind);
        assert_eq!(found, form, "{case}");
        // Both sides can make it, as they are told of it.
        let told = serde_json::to_string(&found).unwrap();
        let told: NormalForm = serde_json::from_str(&told).unwrap();
        for side in [&source, &target] {
            assert!(
                Normal::new(std::slice::from_ref(side), &[told]).is_ok(),
                "{case}"
            );
        }
    }
    let sides = Sides::between(Postgres, Postgres);
    assert!(normal_form(&column(Text), &column(Int4), sides).is_err());
}

#[test]
fn rows_of_two_postgresql_sites_with_equal_types_are_taken_as_they_are() {
    let mut columns: Vec<Column> = NeutralType::ALL.iter().copied().map(column).collect();
    columns.push(decimal(12, 2));
    let sides = Sides::between(Engine::Postgres, Engine::Postgres);
    let forms: Vec<NormalForm> = columns
        .iter()
        .map(|column| normal_form(column, column, sides).unwrap())
        .collect();
    let normal = Normal::new(&columns, &forms).unwrap();
    assert!(normal.is_pass());
    let mut writer = RowWriter::default();
    writer.begin(1);
    writer.field(Some(b"whatever"));
    let batch = writer.take();
    let taken = normal.normalise_batch(&batch, &mut writer).unwrap();
    assert_eq!(taken.data.as_ptr(), batch.data.as_ptr());
}

#[test]
fn what_a_stranger_asks_for_is_held_against_the_columns() {
    use NormalForm::{Document, Float, Integer, Numeric, Same, Scaled, Shortest, Text};
    let columns = [column(NeutralType::Text), column(NeutralType::Int4)];
    let unfit = Normal::new(&columns, &[Same]).unwrap_err();
    assert_eq!(unfit.to_string(), "1 normal forms for 2 columns");
    let unfit = Normal::new(&columns, &[Same, Document]).unwrap_err();
    assert_eq!(
        unfit.to_string(),
        "column c: int4 has no normal form Document"
    );
    let all = [
        Same,
        Integer,
        Float,
        Numeric,
        Shortest,
        Scaled(2),
        Text,
        Document,
    ];
    for &kind in NeutralType::ALL {
        for form in all {
            use NeutralType::{Bool, Bytea, Float4, Float8, Json, Jsonb};
            let fits = match form {
                Same => true,
                Integer => kind.is_integer(),
                Float => matches!(kind, Float4 | Float8),
                Numeric | Shortest | Scaled(_) => kind.is_integer() || kind == NeutralType::Numeric,
                Document => matches!(kind, Json | Jsonb),
                Text => {
                    !matches!(kind, Bool | Float4 | Float8 | Bytea | NeutralType::Numeric)
                        && !kind.is_integer()
                }
            };
            let found = Normal::new(&[column(kind)], &[form]);
            assert_eq!(found.is_ok(), fits, "{kind} as {form:?}");
        }
    }
    let endless = Normal::new(&[column(NeutralType::Numeric)], &[Scaled(16_384)]);
    assert!(matches!(endless, Err(UnfitForm::Kind { .. })));
    for words in [
        "\"decimal\"",
        "{\"scaled\":-1}",
        "{\"scaled\":\"2\"}",
        "7",
        "{}",
    ] {
        assert!(
            serde_json::from_str::<NormalForm>(words).is_err(),
            "{words}"
        );
    }
}

#[test]
fn a_row_at_fault_names_its_field_and_adds_nothing() {
    let columns = [column(NeutralType::Int4), column(NeutralType::Jsonb)];
    let normal = Normal::new(&columns, &[NormalForm::Integer, NormalForm::Document]).unwrap();
    let row = |fields: &[Option<&[u8]>]| {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        fields.iter().for_each(|field| writer.field(*field));
        writer.take()
    };
    let mut writer = RowWriter::default();
    let good = row(&[Some(&[0, 0, 0, 7]), None]);
    normal.normalise(&good.data, &mut writer).unwrap();
    for (fields, at) in [
        (vec![Some(&[0, 0, 0, 7][..]), Some(b"\x02{}".as_slice())], 1),
        (vec![Some(&[7][..]), None], 0),
        (vec![Some(&[0, 0, 0, 7][..])], 0),
    ] {
        let fault = normal
            .normalise(&row(&fields).data, &mut writer)
            .unwrap_err();
        assert_eq!(fault.0, at, "{fields:?}");
    }
    let written = writer.take();
    let eight = 7_i64.to_be_bytes();
    assert_eq!(written, row(&[Some(&eight), None]));
}

proptest! {
    #[test]
    fn any_bytes_in_any_form_are_an_error_or_a_form_but_never_a_panic(
        kind in prop::sample::select(NeutralType::ALL), value in prop::collection::vec(any::<u8>(), 0..40), scale in 0_u32..17_000)
    {
        use NormalForm::{Document, Float, Integer, Numeric, Same, Scaled, Shortest, Text};
        for form in [Same, Integer, Float, Numeric, Shortest, Scaled(scale), Text, Document] {
            let Ok(normal) = Normal::new(&[column(kind)], &[form]) else { continue };
            let mut writer = RowWriter::default();
            writer.begin(1);
            writer.field(Some(&value));
            let tuple = writer.take().data;
            let _ = normal.normalise(&tuple, &mut writer);
            let _ = normal.normalise(&value, &mut writer);
            let _ = normal.restore(0, &value);
        }
    }
}
