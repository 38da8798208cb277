//! Native types of MySQL and MariaDB and their neutral forms. Pure.
//!
//! A type is read off its text in the catalogue (`int(10) unsigned`, `enum('a','b')`), which both databases spell alike
//! but for display widths. Unsigned integers count as the next wider kind. Sums: `bit(1)` is a bool, a longer one its
//! digits; a geometry is its EWKB in hexadecimal digits, which unlike its text loses nothing.
//! Invariant: no value of a type lies outside its neutral kind, but for those [`super::image`] refuses.

use crate::model::table::{Column, NeutralType};

/// What the catalogue says of a column's type.
#[derive(Clone, Copy, Debug)]
pub(super) struct NativeType<'a> {
    /// `information_schema.columns.column_type`; `json` for what MariaDB keeps as checked text.
    pub(super) text: &'a str,
    /// `numeric_precision`.
    pub(super) digits: Option<u32>,
    /// `numeric_scale`.
    pub(super) scale: Option<u32>,
    /// `datetime_precision`.
    pub(super) fraction: Option<u32>,
    /// `character_maximum_length`: characters, or bytes of a binary type.
    pub(super) length: Option<u32>,
    /// Its database is MariaDB.
    pub(super) mariadb: bool,
}

/// What a type's modifiers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
    pub(super) length: Option<u32>,
}

/// The word a type begins with.
pub(super) fn base(native: &str) -> &str {
    let end = native
        .find(|character: char| !character.is_ascii_alphanumeric())
        .unwrap_or(native.len());
    native.get(..end).unwrap_or(native)
}

/// Whether an integer type has no negative values. Not for types that list labels.
fn is_unsigned(native: &str) -> bool {
    native.contains(" unsigned")
}

impl NativeType<'_> {
    /// The neutral type its values travel as.
    pub(super) fn neutral(&self) -> NeutralType {
        let unsigned = is_unsigned(self.text);
        match base(self.text) {
            "tinyint" if self.text == "tinyint(1)" => NeutralType::Bool,
            "bit" if self.digits == Some(1) => NeutralType::Bool,
            "tinyint" | "year" => NeutralType::Int2,
            "smallint" if !unsigned => NeutralType::Int2,
            "smallint" | "mediumint" => NeutralType::Int4,
            "int" if !unsigned => NeutralType::Int4,
            "int" => NeutralType::Int8,
            "bigint" if !unsigned => NeutralType::Int8,
            "bigint" | "decimal" => NeutralType::Numeric,
            "float" => NeutralType::Float4,
            "double" => NeutralType::Float8,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                NeutralType::Text
            }
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                NeutralType::Bytea
            }
            "date" => NeutralType::Date,
            "time" => NeutralType::Time,
            "datetime" => NeutralType::Timestamp,
            "timestamp" => NeutralType::Timestamptz,
            "uuid" => NeutralType::Uuid,
            // MariaDB keeps the text as it was written, MySQL the document.
            "json" if self.mariadb => NeutralType::Json,
            "json" => NeutralType::Jsonb,
            _ => NeutralType::Other,
        }
    }

    /// Lengths and digits.
    pub(super) fn width(&self) -> Width {
        let plain = Width::default();
        match (base(self.text), self.neutral()) {
            ("bigint", NeutralType::Numeric) => Width {
                precision: Some(20),
                scale: Some(0),
                ..plain
            },
            (_, NeutralType::Numeric) => Width {
                precision: self.digits,
                scale: self.scale,
                ..plain
            },
            ("char" | "varchar" | "binary" | "varbinary", _) => Width {
                length: self.length,
                ..plain
            },
            (_, NeutralType::Time | NeutralType::Timestamp | NeutralType::Timestamptz) => Width {
                precision: self.fraction.filter(|&digits| digits < 6),
                ..plain
            },
            _ => plain,
        }
    }

    /// Whether `=` may call values equal whose bytes differ, the column having this collation. Only collations that
    /// are binary do not fold case and accents, and most of those still ignore spaces at the end.
    pub(super) fn folds(&self, collation: Option<&str>) -> bool {
        match self.neutral() {
            NeutralType::Text | NeutralType::Json => match (base(self.text), collation) {
                // Spaces at the end of a char(n) are never there.
                ("char", Some(collation)) => !collation.ends_with("_bin"),
                (_, Some(collation)) => {
                    !collation.ends_with("_nopad_bin") && collation != "utf8mb4_0900_bin"
                }
                (_, None) => true,
            },
            NeutralType::Float4 | NeutralType::Float8 | NeutralType::Jsonb => true,
            NeutralType::Other => {
                !matches!(base(self.text), "enum" | "set" | "bit" | "inet4" | "inet6")
            }
            _ => false,
        }
    }
}

/// How a value comes in the binary protocol (MySQL documentation, "Binary Protocol Resultset"), by what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One byte, 0 or 1.
    Bool,
    /// Bytes of a `bit(1)`.
    BitBool,
    /// One byte to int2.
    Tiny { unsigned: bool },
    /// Two bytes to int2; also a year.
    Short,
    /// Two bytes without a sign to int4.
    ShortUnsigned,
    /// Four bytes to int4; a mediumint has no more.
    Long,
    /// Four bytes without a sign to int8.
    LongUnsigned,
    /// Eight bytes to int8.
    LongLong,
    /// Eight bytes without a sign to numeric.
    LongLongUnsigned,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// Decimal text to numeric.
    Decimal,
    /// A length and year, month, day.
    Date,
    /// A length, a sign, days, hours and so on.
    Time,
    /// A length, a date and a time of day.
    DateTime,
    /// Text with hyphens to 16 bytes.
    Uuid,
    /// Text of a document to jsonb.
    Jsonb,
    /// UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// Bytes of a `bit(n)` to n digits.
    Bits(u32),
    /// The server's own form of a geometry to hexadecimal EWKB.
    Geometry,
}

impl Form {
    /// The form in which values of `column` come, and whether the server has to cast them to text first.
    pub(super) fn of(column: &Column) -> (Self, bool) {
        let unsigned = is_unsigned(&column.native);
        let form = match (base(&column.native), column.kind) {
            ("bit", NeutralType::Bool) => Self::BitBool,
            (_, NeutralType::Bool) => Self::Bool,
            ("tinyint", _) => Self::Tiny { unsigned },
            ("smallint", _) if unsigned => Self::ShortUnsigned,
            ("smallint" | "year", _) => Self::Short,
            ("int", _) if unsigned => Self::LongUnsigned,
            ("int" | "mediumint", _) => Self::Long,
            ("bigint", _) if unsigned => Self::LongLongUnsigned,
            ("bigint", _) => Self::LongLong,
            (_, NeutralType::Float4) => Self::Float,
            (_, NeutralType::Float8) => Self::Double,
            (_, NeutralType::Numeric) => Self::Decimal,
            (_, NeutralType::Date) => Self::Date,
            (_, NeutralType::Time) => Self::Time,
            (_, NeutralType::Timestamp | NeutralType::Timestamptz) => Self::DateTime,
            (_, NeutralType::Uuid) => Self::Uuid,
            (_, NeutralType::Jsonb) => Self::Jsonb,
            (_, NeutralType::Text | NeutralType::Json) => Self::Text,
            (_, NeutralType::Bytea) => Self::Bytes,
            ("bit", _) => Self::Bits(argument(&column.native).unwrap_or(64)),
            (
                "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
                | "multipolygon" | "geometrycollection" | "geomcollection",
                _,
            ) => Self::Geometry,
            ("enum" | "set", _) => Self::Text,
            _ => return (Self::Text, true),
        };
        (form, false)
    }
}

/// The number in parentheses.
fn argument(native: &str) -> Option<u32> {
    let (_, rest) = native.split_once('(')?;
    let (number, _) = rest.split_once(')')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Form, NativeType, Width};
    use crate::model::fixture;
    use crate::model::table::{Column, NeutralType};

    fn native(text: &str) -> NativeType<'_> {
        NativeType {
            text,
            digits: None,
            scale: None,
            fraction: None,
            length: None,
            mariadb: true,
        }
    }

    #[test]
    fn every_type_has_a_kind_that_holds_all_its_values_and_a_form_it_is_read_in() {
        for (text, kind, form) in [
            ("tinyint(1)", NeutralType::Bool, Form::Bool),
            (
                "tinyint(4)",
                NeutralType::Int2,
                Form::Tiny { unsigned: false },
            ),
            (
                "tinyint unsigned",
                NeutralType::Int2,
                Form::Tiny { unsigned: true },
            ),
            (
                "tinyint(1) unsigned",
                NeutralType::Int2,
                Form::Tiny { unsigned: true },
            ),
            ("smallint(6)", NeutralType::Int2, Form::Short),
            (
                "smallint(5) unsigned zerofill",
                NeutralType::Int4,
                Form::ShortUnsigned,
            ),
            ("mediumint(8) unsigned", NeutralType::Int4, Form::Long),
            ("int", NeutralType::Int4, Form::Long),
            ("int(10) unsigned", NeutralType::Int8, Form::LongUnsigned),
            ("bigint(20)", NeutralType::Int8, Form::LongLong),
            (
                "bigint(20) unsigned",
                NeutralType::Numeric,
                Form::LongLongUnsigned,
            ),
            ("year(4)", NeutralType::Int2, Form::Short),
            ("decimal(12,2)", NeutralType::Numeric, Form::Decimal),
            ("float(7,3)", NeutralType::Float4, Form::Float),
            ("double", NeutralType::Float8, Form::Double),
            ("char(5)", NeutralType::Text, Form::Text),
            ("longtext", NeutralType::Text, Form::Text),
            ("binary(4)", NeutralType::Bytea, Form::Bytes),
            ("longblob", NeutralType::Bytea, Form::Bytes),
            ("date", NeutralType::Date, Form::Date),
            ("time(3)", NeutralType::Time, Form::Time),
            ("datetime(6)", NeutralType::Timestamp, Form::DateTime),
            ("timestamp", NeutralType::Timestamptz, Form::DateTime),
            ("uuid", NeutralType::Uuid, Form::Uuid),
            ("json", NeutralType::Json, Form::Text),
            ("bit(9)", NeutralType::Other, Form::Bits(9)),
            (
                "enum('tinyint(1) unsigned')",
                NeutralType::Other,
                Form::Text,
            ),
            ("geometrycollection", NeutralType::Other, Form::Geometry),
        ] {
            let kind_found = native(text).neutral();
            assert_eq!(kind_found, kind, "{text}");
            let column = Column {
                native: text.into(),
                ..fixture::column("c", kind)
            };
            assert_eq!(Form::of(&column), (form, false), "{text}");
        }
        assert_eq!(native("inet6").neutral(), NeutralType::Other);
        let mut bit = native("bit(1)");
        bit.digits = Some(1);
        assert_eq!(bit.neutral(), NeutralType::Bool);
        let mysql = NativeType {
            mariadb: false,
            ..native("json")
        };
        assert_eq!(mysql.neutral(), NeutralType::Jsonb);
    }

    #[test]
    fn lengths_and_digits_are_those_of_the_values() {
        let width = |precision, scale, length| Width {
            precision,
            scale,
            length,
        };
        let described = |text| NativeType {
            digits: Some(12),
            scale: Some(2),
            fraction: Some(3),
            length: Some(40),
            ..native(text)
        };
        for (text, expected) in [
            ("decimal(12,2)", width(Some(12), Some(2), None)),
            ("bigint(20) unsigned", width(Some(20), Some(0), None)),
            ("int(11)", width(None, None, None)),
            ("varchar(40)", width(None, None, Some(40))),
            ("longtext", width(None, None, None)),
            ("datetime(3)", width(Some(3), None, None)),
        ] {
            assert_eq!(described(text).width(), expected, "{text}");
        }
    }

    #[test]
    fn a_key_counts_as_exact_only_where_equal_means_the_same_bytes() {
        for (text, collation, folded) in [
            ("varchar(9)", Some("utf8mb4_general_ci"), true),
            ("varchar(9)", Some("utf8mb4_bin"), true),
            ("varchar(9)", Some("utf8mb4_nopad_bin"), false),
            ("varchar(9)", Some("utf8mb4_0900_bin"), false),
            ("char(9)", Some("utf8mb4_bin"), false),
            ("char(9)", Some("latin1_swedish_ci"), true),
            ("varbinary(9)", None, false),
            ("int(11)", None, false),
            ("double", None, true),
            ("enum('a')", Some("latin1_swedish_ci"), false),
            ("datetime(6)", None, false),
        ] {
            assert_eq!(
                native(text).folds(collation),
                folded,
                "{text} {collation:?}"
            );
        }
    }
}
