//! Tables as a catalogue describes them, in the words all engines share.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::word::words;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL 13 or later.
    Postgres,
    /// MySQL 8 or MariaDB 10.5 or later.
    Mysql,
    /// SQLite 3.
    Sqlite,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A table's name: bare in the default schema, else `schema.table`; `"a.b"` quotes a dot or a quote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// `None` is the engine's default schema.
    pub schema: Option<String>,
    /// The table itself.
    pub name: String,
}

/// Text that is no table name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a table name; write `table`, `schema.table`, or \"quote\" a part that has a dot"
)]
pub struct InvalidTableName(pub String);

impl TableName {
    /// A table of the default schema.
    #[must_use]
    pub fn bare(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write_part(f, schema)?;
            f.write_str(".")?;
        }
        write_part(f, &self.name)
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &str) -> fmt::Result {
    if part.is_empty() || part.contains(['.', '"']) {
        write!(f, "\"{}\"", part.replace('"', "\"\""))
    } else {
        f.write_str(part)
    }
}

impl FromStr for TableName {
    type Err = InvalidTableName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || InvalidTableName(text.to_owned());
        let (first, rest) = take_part(text).ok_or_else(fault)?;
        if rest.is_empty() {
            return Ok(Self {
                schema: None,
                name: first,
            });
        }
        let (second, rest) = rest
            .strip_prefix('.')
            .and_then(take_part)
            .ok_or_else(fault)?;
        if rest.is_empty() {
            Ok(Self {
                schema: Some(first),
                name: second,
            })
        } else {
            Err(fault())
        }
    }
}

fn take_part(text: &str) -> Option<(String, &str)> {
    let (part, rest) = if let Some(quoted) = text.strip_prefix('"') {
        let mut part = String::new();
        let mut rest = quoted;
        loop {
            let (before, after) = rest.split_once('"')?;
            part.push_str(before);
            match after.strip_prefix('"') {
                Some(after) => {
                    part.push('"');
                    rest = after;
                }
                None => break (part, after),
            }
        }
    } else {
        let end = text.find('.').unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        if part.contains('"') {
            return None;
        }
        (part.to_owned(), rest)
    };
    (!part.is_empty() && !part.contains(char::is_control)).then_some((part, rest))
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A type every engine can hold in some native form (design: the row layout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the PostgreSQL type of the same name")]
pub enum NeutralType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    Json,
    Jsonb,
    /// Anything else: travels as the text its engine casts it to.
    Other,
}

impl NeutralType {
    /// Whether its values are whole numbers of a fixed width.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8)
    }
}

words! {
    NeutralType {
        Bool = "bool", Int2 = "int2", Int4 = "int4", Int8 = "int8", Float4 = "float4", Float8 = "float8",
        Numeric = "numeric", Text = "text", Bytea = "bytea", Date = "date", Time = "time", Timestamp = "timestamp",
        Timestamptz = "timestamptz", Uuid = "uuid", Json = "json", Jsonb = "jsonb", Other = "other",
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the catalogue spells it.
    pub name: String,
    /// The neutral type its values travel as.
    pub kind: NeutralType,
    /// The engine's own name of the type, with its modifiers.
    pub native: String,
    /// Digits of a numeric; fractional digits of a time or timestamp where fewer than six.
    pub precision: Option<u32>,
    /// Digits after the point of a numeric.
    pub scale: Option<u32>,
    /// Characters of a `varchar(n)` or `char(n)`.
    pub length: Option<u32>,
    /// NULL is allowed.
    pub nullable: bool,
    /// Computed by the database; never sent, never written.
    pub generated: bool,
    /// Filled by a sequence or auto-increment.
    pub identity: bool,
    /// An insert may leave it out although it is not nullable.
    pub has_default: bool,
}

impl Column {
    /// A `char(n)` of PostgreSQL, which fills values with spaces: those at the end mean nothing, and do not travel.
    #[must_use]
    pub fn is_padded(&self, engine: Engine) -> bool {
        engine == Engine::Postgres
            && self.kind == NeutralType::Text
            && self.native.starts_with("character(")
    }
}

/// A unique index that can serve as a key: immediate, not partial, on plain columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// In index order.
    pub columns: Vec<String>,
    /// Some key column compares with case, padding or accents folded.
    pub folded: bool,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns of this table.
    pub columns: Vec<String>,
    /// The table pointed to.
    pub table: TableName,
    /// The columns pointed to, in the same order.
    pub foreign_columns: Vec<String>,
    /// `no action`, `restrict`, `cascade`, `set null` or `set default`.
    pub on_delete: String,
}

/// One table of a site database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Bare in the default schema.
    pub name: TableName,
    /// In table order.
    pub columns: Vec<Column>,
    /// Empty when there is none.
    pub primary_key: Option<UniqueKey>,
    /// Besides the primary key.
    pub unique: Vec<UniqueKey>,
    /// Also those to tables outside any grant.
    pub foreign_keys: Vec<ForeignKey>,
    /// Names of the triggers that fire when rows are written.
    pub triggers: Vec<String>,
    /// The engine's own estimate; `None` when it keeps none.
    pub row_estimate: Option<u64>,
    /// With its indexes; `None` when the engine cannot say.
    pub size_bytes: Option<u64>,
    /// Why this table cannot be a destination, in words for a person.
    pub not_writable: Option<String>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it has all of these columns with these types, and none of them is computed.
    pub fn has<'a>(&self, mut columns: impl Iterator<Item = (&'a str, NeutralType)>) -> bool {
        columns.all(|(name, kind)| {
            self.column(name)
                .is_some_and(|column| column.kind == kind && !column.generated)
        })
    }

    /// The key of exactly these columns, in whatever order.
    #[must_use]
    pub fn key_on(&self, columns: &[String]) -> Option<&UniqueKey> {
        let wanted: BTreeSet<&String> = columns.iter().collect();
        let mut keys = self.primary_key.iter().chain(&self.unique);
        keys.find(|key| key.columns.iter().collect::<BTreeSet<_>>() == wanted)
    }

    /// Keys whose columns are all not nullable, the primary key first.
    pub fn usable_keys(&self) -> impl Iterator<Item = &UniqueKey> {
        self.primary_key
            .iter()
            .chain(self.unique.iter().filter(|key| {
                key.columns
                    .iter()
                    .all(|name| self.column(name).is_some_and(|column| !column.nullable))
            }))
    }
}

/// Tables that must exist before others that point to them, parents first; members of a cycle keep the given order.
#[must_use]
pub fn parents_first(tables: &[Table]) -> Vec<usize> {
    let mut order = Vec::with_capacity(tables.len());
    let mut waiting: Vec<usize> = (0..tables.len()).collect();
    while !waiting.is_empty() {
        let points = |child: usize, parent: usize| match (tables.get(child), tables.get(parent)) {
            (Some(child), Some(parent)) => points_to(child, parent),
            _ => false,
        };
        let free = waiting.iter().position(|&candidate| {
            let mut others = waiting.iter().filter(|&&other| other != candidate);
            !others.any(|&other| points(candidate, other))
        });
        // A cycle has no free member: its first goes next, and its rows are held back until they fit.
        order.push(waiting.remove(free.unwrap_or(0)));
    }
    order
}

/// For tables that stand parents first, which can be written side by side: those with the same number, from 0, do not
/// point to each other, and point to lower numbers but for cycles.
#[must_use]
pub fn generations(tables: &[&Table]) -> Vec<usize> {
    let mut generations: Vec<usize> = Vec::with_capacity(tables.len());
    for table in tables {
        let earlier = tables.iter().zip(&generations);
        let related =
            earlier.filter(|(other, _)| points_to(table, other) || points_to(other, table));
        let behind = related.map(|(_, generation)| generation + 1).max();
        generations.push(behind.unwrap_or(0));
    }
    generations
}

fn points_to(child: &Table, parent: &Table) -> bool {
    let mut keys = child.foreign_keys.iter();
    keys.any(|key| key.table == parent.name)
}

#[cfg(test)]
mod tests {
    use super::{ForeignKey, Table, TableName, generations, parents_first};

    #[test]
    fn a_table_name_is_read_as_it_is_written() {
        for text in [
            "orders",
            "shop.orders",
            "\"a.b\"",
            "s.\"say \"\"hi\"\"\"",
            "Größe",
        ] {
            assert_eq!(text.parse::<TableName>().unwrap().to_string(), text);
        }
        for text in ["", ".", "a.", ".a", "a.b.c", "\"a", "a\"b", "\"\"", "a\nb"] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }

    fn table(name: &str, parents: &[&str]) -> Table {
        let to = |parent: &&str| ForeignKey {
            columns: vec![],
            table: TableName::bare(*parent),
            foreign_columns: vec![],
            on_delete: "no action".into(),
        };
        Table {
            name: TableName::bare(name),
            columns: vec![],
            primary_key: None,
            unique: vec![],
            foreign_keys: parents.iter().map(to).collect(),
            triggers: vec![],
            row_estimate: None,
            size_bytes: None,
            not_writable: None,
        }
    }

    #[test]
    fn parents_come_before_children_and_cycles_keep_their_order() {
        let tables = [table("c", &["b", "c"]), table("b", &["a"]), table("a", &[])];
        assert_eq!(parents_first(&tables), [2, 1, 0]);
        let cycle = [table("x", &["y"]), table("y", &["x"])];
        assert_eq!(parents_first(&cycle), [0, 1]);
    }

    #[test]
    fn tables_of_one_generation_do_not_point_to_each_other() {
        let tables = [
            table("a", &["d"]),
            table("b", &[]),
            table("c", &["a", "b"]),
            table("d", &["a"]),
            table("e", &["b", "e"]),
        ];
        let tables: Vec<&Table> = tables.iter().collect();
        assert_eq!(generations(&tables), [0, 0, 1, 1, 1]);
    }
}
