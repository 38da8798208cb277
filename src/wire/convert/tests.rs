//! Which kinds fit into which, and when values need not be looked at.

mod values;

use super::{Conversion, Sides, conversion};
use crate::model::fixture;
use crate::model::table::{Column, Engine, NeutralType};

const POSTGRES: Sides = Sides {
    source_engine: Engine::Postgres,
    target_engine: Engine::Postgres,
    trusted: true,
};
const FROM_SQLITE: Sides = Sides {
    source_engine: Engine::Sqlite,
    target_engine: Engine::Postgres,
    trusted: false,
};
const TO_SQLITE: Sides = Sides {
    source_engine: Engine::Postgres,
    target_engine: Engine::Sqlite,
    trusted: true,
};

fn column(kind: NeutralType) -> Column {
    fixture::column("c", kind)
}

fn varchar(length: u32) -> Column {
    Column {
        native: format!("varchar({length})"),
        length: Some(length),
        ..column(NeutralType::Text)
    }
}

fn decimal(precision: u32, scale: u32) -> Column {
    let native = format!("numeric({precision},{scale})");
    Column {
        native,
        precision: Some(precision),
        scale: Some(scale),
        ..column(NeutralType::Numeric)
    }
}

fn moment(kind: NeutralType, precision: u32) -> Column {
    Column {
        native: format!("{}({precision})", kind.as_str()),
        precision: Some(precision),
        ..column(kind)
    }
}

#[test]
fn a_kind_fits_only_where_every_value_keeps_its_meaning() {
    use crate::model::table::NeutralType::{
        Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Other, Text, Time, Timestamp,
    };
    let mut allowed = vec![
        (Float4, Float8),
        (Float8, Float4),
        (Json, Jsonb),
        (Jsonb, Json),
        (Other, Text),
    ];
    for from in [Int2, Int4, Int8] {
        allowed.extend([Int2, Int4, Int8, Numeric].map(|to| (from, to)));
    }
    allowed.extend(
        [
            Date,
            Time,
            Timestamp,
            NeutralType::Timestamptz,
            NeutralType::Uuid,
            Json,
            Jsonb,
        ]
        .map(|from| (from, Text)),
    );
    for &from in NeutralType::ALL {
        for &to in NeutralType::ALL {
            let fits = conversion(&column(from), &column(to), POSTGRES).is_ok();
            assert_eq!(
                fits,
                from == to || allowed.contains(&(from, to)),
                "{from:?} into {to:?}"
            );
        }
    }
    assert!(conversion(&decimal(20, 0), &column(Int8), POSTGRES).is_ok());
    assert!(conversion(&decimal(20, 2), &column(Int8), POSTGRES).is_err());
}

#[test]
fn only_mysql_takes_a_moment_with_a_zone_for_one_without() {
    let (zoned, plain) = (
        column(NeutralType::Timestamptz),
        column(NeutralType::Timestamp),
    );
    let to = |engine| Sides::between(Engine::Postgres, engine);
    assert_eq!(
        conversion(&zoned, &plain, to(Engine::Mysql)),
        Ok(Conversion::Pass)
    );
    assert!(conversion(&zoned, &plain, to(Engine::Sqlite)).is_err());
    assert!(conversion(&plain, &zoned, to(Engine::Mysql)).is_err());
}

#[test]
fn a_mismatch_names_both_types() {
    let err = conversion(&varchar(10), &column(NeutralType::Int4), POSTGRES).unwrap_err();
    assert_eq!(err.to_string(), "varchar(10) cannot be stored as int4");
    let inet = Column {
        native: "inet".to_owned(),
        ..column(NeutralType::Other)
    };
    let cidr = Column {
        native: "cidr".to_owned(),
        ..column(NeutralType::Other)
    };
    let err = conversion(&inet, &cidr, POSTGRES).unwrap_err();
    assert_eq!(err.to_string(), "inet cannot be stored as cidr");
    assert_eq!(conversion(&inet, &inet, POSTGRES), Ok(Conversion::Pass));
}

#[test]
fn values_pass_untouched_where_the_source_promises_that_they_fit() {
    let seconds = |precision| moment(NeutralType::Timestamp, precision);
    for (source, target, sides, passes) in [
        (varchar(10), varchar(10), POSTGRES, true),
        (varchar(10), column(NeutralType::Text), POSTGRES, true),
        (varchar(11), varchar(10), POSTGRES, false),
        (column(NeutralType::Text), varchar(10), POSTGRES, false),
        (varchar(10), varchar(10), FROM_SQLITE, false),
        (
            column(NeutralType::Text),
            column(NeutralType::Text),
            FROM_SQLITE,
            false,
        ),
        (varchar(10), column(NeutralType::Text), TO_SQLITE, true),
        (
            varchar(10),
            column(NeutralType::Text),
            Sides::between(Engine::Mysql, Engine::Postgres),
            false,
        ),
        (
            varchar(10),
            varchar(10),
            Sides::between(Engine::Mysql, Engine::Mysql),
            true,
        ),
        (decimal(10, 2), decimal(12, 2), POSTGRES, true),
        (decimal(10, 2), column(NeutralType::Numeric), POSTGRES, true),
        (decimal(10, 2), decimal(12, 3), POSTGRES, false),
        (
            column(NeutralType::Numeric),
            decimal(12, 2),
            POSTGRES,
            false,
        ),
        (decimal(10, 2), decimal(12, 2), FROM_SQLITE, false),
        (decimal(10, 2), decimal(12, 2), TO_SQLITE, false),
        (seconds(3), seconds(3), POSTGRES, true),
        (seconds(3), column(NeutralType::Timestamp), POSTGRES, true),
        (column(NeutralType::Timestamp), seconds(3), POSTGRES, false),
        (
            column(NeutralType::Float8),
            column(NeutralType::Float8),
            POSTGRES,
            true,
        ),
        (
            column(NeutralType::Float8),
            column(NeutralType::Float8),
            TO_SQLITE,
            false,
        ),
        (
            column(NeutralType::Json),
            column(NeutralType::Json),
            FROM_SQLITE,
            false,
        ),
        (
            column(NeutralType::Json),
            column(NeutralType::Json),
            Sides::between(Engine::Mysql, Engine::Sqlite),
            false,
        ),
        (
            column(NeutralType::Json),
            column(NeutralType::Text),
            POSTGRES,
            true,
        ),
    ] {
        let decided = conversion(&source, &target, sides).unwrap();
        assert_eq!(
            decided == Conversion::Pass,
            passes,
            "{} into {} {sides:?}",
            source.native,
            target.native
        );
    }
}
