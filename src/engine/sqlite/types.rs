//! Declared types: what a column counts as, and what a new column is declared as.
//!
//! SQLite types values, not columns; a column only leans towards a class (its affinity), which the engine reads
//! off the words of the declaration. A column counts as its declared type here. What is made for a peer's table
//! therefore carries two words where one cannot say both things: the kind, and the class that stores its values
//! unchanged. `timestamptz text` is read back as timestamptz and stored as text; `decimal text(20,0)` keeps all
//! digits, because without the word text SQLite would turn them into a double.
//!
//! Invariant: [`declared`] of [`declaration`] is the same kind, or a wider one of integers and json.

use crate::model::table::{Column, NeutralType};

/// Digits a double keeps of any decimal number.
pub(super) const EXACT_DIGITS: u32 = 15;

/// What a declaration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub kind: NeutralType,
    pub precision: Option<u32>,
    pub scale: Option<u32>,
    pub length: Option<u32>,
}

/// The class a column leans towards (SQLite documentation, "Datatypes", section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// What it takes to read and to write a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub kind: NeutralType,
    pub scale: Option<u32>,
    pub affinity: Affinity,
}

impl Storage {
    /// How `column` of a table, `strict` or not, stores its values.
    pub(super) fn of(column: &Column, strict: bool) -> Self {
        let untyped = strict && column.native.eq_ignore_ascii_case("any");
        let affinity = if untyped {
            Affinity::Blob
        } else {
            affinity(&column.native)
        };
        Self {
            kind: column.kind,
            scale: column.scale,
            affinity,
        }
    }
}

/// The class that `declaration` asks for.
pub(super) fn affinity(declaration: &str) -> Affinity {
    let upper = declaration.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if upper.trim().is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// What a column declared so counts as.
pub(super) fn declared(declaration: &str) -> Declared {
    let (words, arguments) = split(declaration);
    let first = arguments.first().copied();
    let mut found = Declared {
        kind: NeutralType::Other,
        precision: None,
        scale: None,
        length: None,
    };
    found.kind = match words.as_str() {
        "tinyint" if first == Some(1) => NeutralType::Bool,
        "decimal" | "numeric" | "decimal text" | "numeric text" => {
            found.precision = first;
            found.scale = first.map(|_| arguments.get(1).copied().unwrap_or(0));
            NeutralType::Numeric
        }
        "varchar" | "char" | "character" | "character varying" | "varying character"
        | "nvarchar" | "nchar" | "native character" => {
            found.length = first;
            NeutralType::Text
        }
        words => simple_kind(words),
    };
    found
}

fn simple_kind(words: &str) -> NeutralType {
    match words {
        "bool" | "boolean" => NeutralType::Bool,
        "smallint" | "int2" => NeutralType::Int2,
        "integer" | "int" | "tinyint" | "mediumint" | "int4" | "bigint" | "int8" => {
            NeutralType::Int8
        }
        "float4" | "float4 real" => NeutralType::Float4,
        "real" | "double" | "double precision" | "float" | "float8" => NeutralType::Float8,
        "text" | "clob" | "tinytext" | "mediumtext" | "longtext" => NeutralType::Text,
        "blob" | "bytea" | "binary" | "varbinary" | "tinyblob" | "mediumblob" | "longblob" => {
            NeutralType::Bytea
        }
        "date" | "date text" => NeutralType::Date,
        "time" | "time text" | "time without time zone" => NeutralType::Time,
        "datetime" | "timestamp" | "timestamp text" | "timestamp without time zone" => {
            NeutralType::Timestamp
        }
        "timestamptz" | "timestamptz text" | "timestamp with time zone" => NeutralType::Timestamptz,
        "uuid" | "uuid text" => NeutralType::Uuid,
        "json" | "jsonb" | "json text" => NeutralType::Json,
        _ => NeutralType::Other,
    }
}

/// The declaration of a new column that holds values of `column`'s neutral type.
pub(super) fn declaration(column: &Column) -> String {
    match column.kind {
        NeutralType::Bool => "boolean".into(),
        NeutralType::Int2 => "smallint".into(),
        NeutralType::Int4 => "integer".into(),
        NeutralType::Int8 => "bigint".into(),
        NeutralType::Float4 => "float4 real".into(),
        NeutralType::Float8 => "real".into(),
        NeutralType::Numeric => match (column.precision, column.scale.unwrap_or(0)) {
            (None, _) => "decimal text".into(),
            (Some(precision), scale) if precision <= EXACT_DIGITS => {
                format!("decimal({precision},{scale})")
            }
            (Some(precision), scale) => format!("decimal text({precision},{scale})"),
        },
        NeutralType::Text => match column.length {
            Some(length) => format!("varchar({length})"),
            None => "text".into(),
        },
        NeutralType::Bytea => "blob".into(),
        NeutralType::Date => "date text".into(),
        NeutralType::Time => "time text".into(),
        NeutralType::Timestamp => "timestamp text".into(),
        NeutralType::Timestamptz => "timestamptz text".into(),
        NeutralType::Uuid => "uuid text".into(),
        NeutralType::Json | NeutralType::Jsonb => "json text".into(),
        NeutralType::Other => "text".into(),
    }
}

/// The words of a declaration in lower case without what stands in its parentheses, and the numbers that do.
fn split(declaration: &str) -> (String, Vec<u32>) {
    let lower = declaration.to_ascii_lowercase();
    let (before, rest) = lower.split_once('(').unwrap_or((&lower, ""));
    let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
    let words: Vec<&str> = before
        .split_whitespace()
        .chain(after.split_whitespace())
        .collect();
    let arguments = inside
        .split(',')
        .map_while(|number| number.trim().parse().ok())
        .collect();
    (words.join(" "), arguments)
}

#[cfg(test)]
mod tests {
    use super::{Affinity, affinity, declaration, declared};
    use crate::model::table::Column;
    use crate::model::table::NeutralType;

    fn column(
        kind: NeutralType,
        precision: Option<u32>,
        scale: Option<u32>,
        length: Option<u32>,
    ) -> Column {
        Column {
            name: "c".into(),
            kind,
            native: String::new(),
            precision,
            scale,
            length,
            nullable: true,
            generated: false,
            identity: false,
            has_default: false,
        }
    }

    #[test]
    fn a_column_counts_as_its_declared_type() {
        use NeutralType::{
            Bool, Bytea, Float4, Float8, Int2, Int8, Json, Numeric, Other, Text, Timestamp,
            Timestamptz, Uuid,
        };
        for (text, kind) in [
            ("BOOLEAN", Bool),
            ("tinyint(1)", Bool),
            ("TINYINT(4)", Int8),
            ("SmallInt", Int2),
            ("int", Int8),
            ("INTEGER", Int8),
            ("double  precision", Float8),
            ("FLOAT4", Float4),
            ("DECIMAL(10, 2)", Numeric),
            ("numeric", Numeric),
            ("decimal text(20,0)", Numeric),
            ("character varying(20)", Text),
            ("BLOB", Bytea),
            ("datetime", Timestamp),
            ("timestamp with time zone", Timestamptz),
            ("timestamptz text", Timestamptz),
            ("jsonb", Json),
            ("uuid", Uuid),
            ("", Other),
            ("geometry", Other),
            ("int text", Other),
        ] {
            assert_eq!(declared(text).kind, kind, "{text}");
        }
        let decimal = declared("decimal( 10 , 2 )");
        assert_eq!((decimal.precision, decimal.scale), (Some(10), Some(2)));
        assert_eq!(declared("numeric(7)").scale, Some(0));
        assert_eq!(declared("varchar(12)").length, Some(12));
    }

    #[test]
    fn what_is_declared_reads_back_and_stores_unchanged() {
        use NeutralType::{
            Bool, Bytea, Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Other, Text,
            Time, Timestamp, Timestamptz, Uuid,
        };
        for (column, text, read, stored) in [
            (
                column(Bool, None, None, None),
                "boolean",
                Bool,
                Affinity::Numeric,
            ),
            (
                column(Int2, None, None, None),
                "smallint",
                Int2,
                Affinity::Integer,
            ),
            (
                column(Int4, None, None, None),
                "integer",
                Int8,
                Affinity::Integer,
            ),
            (
                column(Int8, None, None, None),
                "bigint",
                Int8,
                Affinity::Integer,
            ),
            (
                column(Float4, None, None, None),
                "float4 real",
                Float4,
                Affinity::Real,
            ),
            (
                column(Float8, None, None, None),
                "real",
                Float8,
                Affinity::Real,
            ),
            (
                column(Numeric, Some(15), Some(2), None),
                "decimal(15,2)",
                Numeric,
                Affinity::Numeric,
            ),
            (
                column(Numeric, Some(16), Some(2), None),
                "decimal text(16,2)",
                Numeric,
                Affinity::Text,
            ),
            (
                column(Numeric, None, None, None),
                "decimal text",
                Numeric,
                Affinity::Text,
            ),
            (
                column(Text, None, None, Some(9)),
                "varchar(9)",
                Text,
                Affinity::Text,
            ),
            (
                column(Bytea, None, None, None),
                "blob",
                Bytea,
                Affinity::Blob,
            ),
            (
                column(Date, None, None, None),
                "date text",
                Date,
                Affinity::Text,
            ),
            (
                column(Time, None, None, None),
                "time text",
                Time,
                Affinity::Text,
            ),
            (
                column(Timestamp, None, None, None),
                "timestamp text",
                Timestamp,
                Affinity::Text,
            ),
            (
                column(Timestamptz, None, None, None),
                "timestamptz text",
                Timestamptz,
                Affinity::Text,
            ),
            (
                column(Uuid, None, None, None),
                "uuid text",
                Uuid,
                Affinity::Text,
            ),
            (
                column(Jsonb, None, None, None),
                "json text",
                Json,
                Affinity::Text,
            ),
            (
                column(Other, None, None, None),
                "text",
                Text,
                Affinity::Text,
            ),
        ] {
            assert_eq!(declaration(&column), text);
            assert_eq!(declared(text).kind, read, "{text}");
            assert_eq!(affinity(text), stored, "{text}");
        }
    }
}
