//! Native types of PostgreSQL and their neutral forms, both ways. Pure.
//!
//! Identifiers and modifiers are those of `pg_type` and `pg_attribute.atttypmod`; built-in types have fixed ones.

use std::borrow::Cow;

use crate::model::table::{Column, NeutralType};

/// A type as the catalogue has it, domains already followed to their base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NativeType {
    /// `pg_type.oid`.
    pub(super) oid: u32,
    /// `atttypmod`, -1 without.
    pub(super) modifier: i32,
    /// An enum's values are equal only when their bytes are.
    pub(super) is_enum: bool,
}

const VARCHAR: u32 = 1043;
const BPCHAR: u32 = 1042;
const NUMERIC: u32 = 1700;
const LONGEST_VARCHAR: u32 = 10_485_760;

/// What a type's modifiers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
    pub(super) length: Option<u32>,
}

impl NativeType {
    /// The neutral type its values travel as.
    pub(super) fn neutral(self) -> NeutralType {
        match self.oid {
            16 => NeutralType::Bool,
            17 => NeutralType::Bytea,
            20 => NeutralType::Int8,
            21 => NeutralType::Int2,
            23 => NeutralType::Int4,
            25 | BPCHAR | VARCHAR => NeutralType::Text,
            114 => NeutralType::Json,
            700 => NeutralType::Float4,
            701 => NeutralType::Float8,
            1082 => NeutralType::Date,
            1083 => NeutralType::Time,
            1114 => NeutralType::Timestamp,
            1184 => NeutralType::Timestamptz,
            // Tens or hundreds are rounded to: no neutral type says so.
            NUMERIC if self.rounds_whole_digits() => NeutralType::Other,
            NUMERIC => NeutralType::Numeric,
            2950 => NeutralType::Uuid,
            3802 => NeutralType::Jsonb,
            _ => NeutralType::Other,
        }
    }

    /// A `numeric(p,-s)`.
    fn rounds_whole_digits(self) -> bool {
        self.modifier >= 4 && digits(self.modifier - 4) == Width::default()
    }

    /// A `char(n)`.
    pub(super) fn pads(self) -> bool {
        self.oid == BPCHAR && self.modifier >= 4
    }

    /// Lengths and digits.
    pub(super) fn width(self) -> Width {
        match (self.oid, self.neutral()) {
            (VARCHAR | BPCHAR, _) => Width {
                length: unsigned(self.modifier - 4),
                ..Width::default()
            },
            (NUMERIC, _) if self.modifier >= 4 => digits(self.modifier - 4),
            (_, NeutralType::Time | NeutralType::Timestamp | NeutralType::Timestamptz) => Width {
                precision: unsigned(self.modifier).filter(|&digits| digits < 6),
                ..Width::default()
            },
            _ => Width::default(),
        }
    }

    /// Whether `=` may call values equal whose bytes differ: padded, 1.0 and 1.00, -0, one day and 24 hours.
    pub(super) fn folds(self) -> bool {
        match self.neutral() {
            NeutralType::Text => self.oid == BPCHAR,
            NeutralType::Numeric => self.width().scale.is_none(),
            NeutralType::Other => !self.is_enum,
            NeutralType::Float4 | NeutralType::Float8 | NeutralType::Json | NeutralType::Jsonb => {
                true
            }
            _ => false,
        }
    }
}

fn unsigned(number: i32) -> Option<u32> {
    u32::try_from(number).ok()
}

/// `numeric(p,s)`: p in the upper half, s in the lower eleven bits, negative since PostgreSQL 15. A negative scale has
/// no neutral form.
fn digits(modifier: i32) -> Width {
    let scale = ((modifier & 0x7ff) ^ 1024) - 1024;
    match (unsigned((modifier >> 16) & 0xffff), unsigned(scale)) {
        (Some(precision), Some(scale)) => Width {
            precision: Some(precision),
            scale: Some(scale),
            length: None,
        },
        _ => Width::default(),
    }
}

/// The native type that `--create` gives a column; `None` for [`NeutralType::Other`], which needs the catalogue.
pub(super) fn created_as(column: &Column) -> Option<String> {
    let with_digits = |name: &str, rest: &str| match column.precision {
        Some(digits) if digits < 6 => format!("{name}({digits}){rest}"),
        _ => format!("{name}{rest}"),
    };
    Some(match column.kind {
        NeutralType::Bool => "boolean".into(),
        NeutralType::Int2 => "smallint".into(),
        NeutralType::Int4 => "integer".into(),
        NeutralType::Int8 => "bigint".into(),
        NeutralType::Float4 => "real".into(),
        NeutralType::Float8 => "double precision".into(),
        NeutralType::Numeric => match (column.precision, column.scale.unwrap_or(0)) {
            (Some(precision), scale) if (1..=1_000).contains(&precision) && scale <= precision => {
                format!("numeric({precision},{scale})")
            }
            _ => "numeric".into(),
        },
        NeutralType::Text => match column.length {
            Some(length) if (1..=LONGEST_VARCHAR).contains(&length) => format!("varchar({length})"),
            _ => "text".into(),
        },
        NeutralType::Bytea => "bytea".into(),
        NeutralType::Date => "date".into(),
        NeutralType::Time => with_digits("time", ""),
        NeutralType::Timestamp => with_digits("timestamp", ""),
        NeutralType::Timestamptz => with_digits("timestamp", " with time zone"),
        NeutralType::Uuid => "uuid".into(),
        NeutralType::Json => "json".into(),
        NeutralType::Jsonb => "jsonb".into(),
        NeutralType::Other => return None,
    })
}

/// The type in whose binary form values travel; its names and identifiers are the same in every database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Travels {
    /// In `pg_catalog`.
    pub(super) name: &'static str,
    /// `pg_type.oid`.
    pub(super) oid: u32,
    /// That of arrays of it.
    pub(super) array: u32,
}

/// What values of a neutral type travel as; those without one as text.
pub(super) const fn travels(kind: NeutralType) -> Travels {
    let (name, oid, array) = match kind {
        NeutralType::Bool => ("bool", 16, 1000),
        NeutralType::Bytea => ("bytea", 17, 1001),
        NeutralType::Int8 => ("int8", 20, 1016),
        NeutralType::Int2 => ("int2", 21, 1005),
        NeutralType::Int4 => ("int4", 23, 1007),
        NeutralType::Text | NeutralType::Other => ("text", 25, 1009),
        NeutralType::Json => ("json", 114, 199),
        NeutralType::Float4 => ("float4", 700, 1021),
        NeutralType::Float8 => ("float8", 701, 1022),
        NeutralType::Date => ("date", 1082, 1182),
        NeutralType::Time => ("time", 1083, 1183),
        NeutralType::Timestamp => ("timestamp", 1114, 1115),
        NeutralType::Timestamptz => ("timestamptz", 1184, 1185),
        NeutralType::Numeric => ("numeric", NUMERIC, 1231),
        NeutralType::Uuid => ("uuid", 2950, 2951),
        NeutralType::Jsonb => ("jsonb", 3802, 3807),
    };
    Travels { name, oid, array }
}

/// Types whose names are the grammar's own words: they are never looked up.
const SPELLED: [&str; 12] = [
    "bigint",
    "bit",
    "boolean",
    "character",
    "double",
    "integer",
    "interval",
    "numeric",
    "real",
    "smallint",
    "time",
    "timestamp",
];

/// A type that the catalogue printed where no search path was in force, in words that mean it under any.
pub(super) fn anywhere(native: &str) -> Cow<'_, str> {
    let is_letter = |character: char| character.is_ascii_lowercase();
    let word = native.split(|character| !is_letter(character)).next();
    // Only what is built in has no schema there.
    if native.contains('.') || word.is_some_and(|word| SPELLED.contains(&word)) {
        Cow::Borrowed(native)
    } else {
        Cow::Owned(format!("pg_catalog.{native}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{BPCHAR, NUMERIC, NativeType, VARCHAR, Width, anywhere, created_as};
    use crate::model::table::Column;
    use crate::model::table::NeutralType;

    fn native(oid: u32, modifier: i32) -> NativeType {
        NativeType {
            oid,
            modifier,
            is_enum: false,
        }
    }

    #[test]
    fn modifiers_are_read_as_the_catalogue_packs_them() {
        let width = |precision, scale, length| Width {
            precision,
            scale,
            length,
        };
        for (oid, modifier, expected) in [
            (VARCHAR, 44, width(None, None, Some(40))),
            (VARCHAR, -1, width(None, None, None)),
            (BPCHAR, 7, width(None, None, Some(3))),
            (NUMERIC, (12 << 16) + 2 + 4, width(Some(12), Some(2), None)),
            (NUMERIC, (3 << 16) + 4, width(Some(3), Some(0), None)),
            (NUMERIC, -1, width(None, None, None)),
            (
                NUMERIC,
                (2 << 16) + (0x7ff & -3) + 4,
                width(None, None, None),
            ),
            (1114, 3, width(Some(3), None, None)),
            (1184, 6, width(None, None, None)),
            (1083, -1, width(None, None, None)),
        ] {
            assert_eq!(native(oid, modifier).width(), expected, "{oid} {modifier}");
        }
    }

    #[test]
    fn a_key_counts_as_exact_only_where_equal_means_the_same_bytes() {
        assert!(!native(25, -1).folds());
        assert!(!native(NUMERIC, (12 << 16) + 2 + 4).folds());
        assert!(
            !NativeType {
                is_enum: true,
                ..native(90_000, -1)
            }
            .folds()
        );
        for folded in [
            native(BPCHAR, 7),
            native(NUMERIC, -1),
            native(701, -1),
            native(1186, -1),
        ] {
            assert!(folded.folds(), "{folded:?}");
        }
    }

    #[test]
    fn a_created_column_keeps_length_and_digits_where_they_make_sense() {
        let mut column = Column {
            name: "c".into(),
            kind: NeutralType::Numeric,
            native: String::new(),
            precision: Some(12),
            scale: Some(2),
            length: None,
            nullable: true,
            generated: false,
            identity: false,
            has_default: false,
        };
        assert_eq!(created_as(&column).as_deref(), Some("numeric(12,2)"));
        column.precision = Some(5_000);
        assert_eq!(created_as(&column).as_deref(), Some("numeric"));
        column.kind = NeutralType::Timestamptz;
        column.precision = Some(3);
        assert_eq!(
            created_as(&column).as_deref(),
            Some("timestamp(3) with time zone")
        );
        column.kind = NeutralType::Text;
        column.length = Some(40);
        assert_eq!(created_as(&column).as_deref(), Some("varchar(40)"));
        column.kind = NeutralType::Other;
        assert_eq!(created_as(&column), None);
    }

    #[test]
    fn types_that_are_looked_up_say_where() {
        for (native, expected) in [
            ("inet", "pg_catalog.inet"),
            ("int4range", "pg_catalog.int4range"),
            ("text[]", "pg_catalog.text[]"),
            ("\"char\"", "pg_catalog.\"char\""),
            ("integer[]", "integer[]"),
            ("bit varying(5)", "bit varying(5)"),
            ("time(3) with time zone", "time(3) with time zone"),
            ("double precision", "double precision"),
            ("public.mood", "public.mood"),
            ("\"My types\".\"T\"[]", "\"My types\".\"T\"[]"),
        ] {
            assert_eq!(anywhere(native), expected);
        }
    }
}
