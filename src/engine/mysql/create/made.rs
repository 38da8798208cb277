//! The native types that `--create` gives columns. Pure.
//!
//! Invariant: types are this program's words and numbers it has read; nothing of what a peer calls a type gets in.

use std::collections::BTreeMap;

use crate::engine::driver::NewTable;
use crate::engine::mysql::types::base;
use crate::model::table::{Column, Engine, NeutralType, Table};

/// Characters of a text, or bytes, in a key.
const LONGEST_IN_KEY: u32 = 255;
/// Bytes of a key, and of a character.
const KEY_BYTES: u32 = 3_072;
const CHARACTER: u32 = 4;
/// About what any other column takes of a key.
const OTHER_IN_KEY: u32 = 16;
/// Bytes that all `varchar` of a row may have together; the databases say 65,535 for all columns.
const ROW_BYTES: u32 = 60_000;
/// Digits of a decimal, and of those after the point.
const MOST_DIGITS: u32 = 65;
const MOST_SCALE: u32 = 30;

/// Types of spatial values.
const GEOMETRIES: [&str; 8] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
];

/// What decides about types on the side of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) mariadb: bool,
    /// Major and minor.
    pub(super) version: (u32, u32),
    /// It keeps names of tables in lower case.
    pub(super) lower_case: bool,
}

impl Server {
    fn is_mariadb(self, major: u32, minor: u32) -> bool {
        self.mariadb && self.version >= (major, minor)
    }
}

/// Columns as they are made, and what is not taken over of them.
#[derive(Debug, Default)]
pub(super) struct MadeTable {
    /// By name; none for generated columns.
    pub(super) natives: BTreeMap<String, String>,
    pub(super) left_out: Vec<String>,
}

/// The columns that are made.
pub(super) fn writable(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

/// Whether a key can be had on all of `columns`.
pub(super) fn can_be_key(table: &Table, columns: &[String]) -> bool {
    columns.iter().all(|name| {
        writable(table).any(|column| {
            column.name == *name
                && !matches!(column.kind, NeutralType::Json | NeutralType::Jsonb)
                && !GEOMETRIES.contains(&base(&column.native))
        })
    })
}

/// Types for all columns of `new`.
///
/// # Errors
/// Why a column cannot be made, with its name.
pub(super) fn columns(new: &NewTable, server: Server) -> Result<MadeTable, String> {
    let table = &new.table;
    let mut made = MadeTable::default();
    let mut lengths = Vec::new();
    for column in writable(table) {
        let native = native(new, column, server)?;
        let room = in_key(table, &column.name);
        let (native, words) = match (native, room) {
            (Native::Type(native), _) => (native, Vec::new()),
            (Native::Changed(native, words), _) => (native, vec![words]),
            (Native::Text(length, words), Some(room)) => {
                let (native, cut) = key_type("varchar", length, room);
                (native, words.into_iter().chain(cut).collect())
            }
            (Native::Bytes, Some(room)) => {
                let (native, cut) = key_type("varbinary", None, room);
                (native, cut.into_iter().collect())
            }
            (Native::Text(Some(length), words), None) => {
                lengths.push((length, column.name.clone()));
                (format!("varchar({length})"), words.into_iter().collect())
            }
            (Native::Text(None, words), None) => {
                ("longtext".to_owned(), words.into_iter().collect())
            }
            (Native::Bytes, None) => ("longblob".to_owned(), Vec::new()),
        };
        let named = |words| format!("{}.{}: {words}", table.name, column.name);
        made.left_out.extend(words.into_iter().map(named));
        made.natives.insert(column.name.clone(), native);
    }
    shorten(table, &mut made, lengths);
    Ok(made)
}

/// The longest become `longtext` until the rest fits into a row.
fn shorten(table: &Table, made: &mut MadeTable, mut lengths: Vec<(u32, String)>) {
    let size = |length: u32| length.saturating_mul(CHARACTER).saturating_add(2);
    let mut total: u64 = lengths
        .iter()
        .map(|(length, _)| u64::from(size(*length)))
        .sum();
    lengths.sort();
    while total > u64::from(ROW_BYTES) {
        let Some((length, name)) = lengths.pop() else {
            return;
        };
        total -= u64::from(size(length));
        let words = format!("{}.{name}: its length of {length} characters", table.name);
        made.left_out.push(words);
        made.natives.insert(name, "longtext".to_owned());
    }
}

enum Native {
    Type(String),
    /// With a sentence on what becomes of it.
    Changed(String, String),
    /// Of so many characters at most; perhaps with such a sentence.
    Text(Option<u32>, Option<String>),
    Bytes,
}

fn native(new: &NewTable, column: &Column, server: Server) -> Result<Native, String> {
    let word = |word: &str| Ok(Native::Type(word.to_owned()));
    if new.source == Engine::Mysql
        && let Some(native) = same_native(column, server)
    {
        return Ok(Native::Type(native));
    }
    match column.kind {
        NeutralType::Bool => word("tinyint(1)"),
        NeutralType::Int2 => word("smallint"),
        NeutralType::Int4 => word("int"),
        NeutralType::Int8 => word("bigint"),
        NeutralType::Float4 => word("float"),
        NeutralType::Float8 => word("double"),
        NeutralType::Numeric => decimal(column),
        NeutralType::Text => Ok(Native::Text(
            column.length.filter(|length| *length > 0),
            None,
        )),
        NeutralType::Bytea => Ok(Native::Bytes),
        NeutralType::Date => word("date"),
        NeutralType::Time => word("time(6)"),
        NeutralType::Timestamp | NeutralType::Timestamptz => word("datetime(6)"),
        NeutralType::Uuid if server.is_mariadb(10, 7) => word("uuid"),
        NeutralType::Uuid => word("char(36) character set ascii collate ascii_general_ci"),
        NeutralType::Json | NeutralType::Jsonb => word("json"),
        NeutralType::Other => Ok(Native::Text(
            None,
            Some(format!("the type {} becomes text", column.native)),
        )),
    }
}

fn decimal(column: &Column) -> Result<Native, String> {
    let Some(precision) = column.precision else {
        return Ok(Native::Changed(
            format!("decimal({MOST_DIGITS},{MOST_SCALE})"),
            format!(
                "a number of any size becomes decimal({MOST_DIGITS},{MOST_SCALE}), which refuses what does not fit"
            ),
        ));
    };
    let scale = column.scale.unwrap_or(0);
    // A numeric(3,5) holds zeros behind the point, for which a decimal needs digits.
    let precision = precision.max(scale).max(1);
    if precision > MOST_DIGITS || scale > MOST_SCALE {
        return Err(format!(
            "column {}: a number with {precision} digits, {scale} of them after the point, has no type here; make the table by hand",
            column.name
        ));
    }
    Ok(Native::Type(format!("decimal({precision},{scale})")))
}

/// The source's own type, where this server has it built in.
fn same_native(column: &Column, server: Server) -> Option<String> {
    match base(&column.native) {
        "bigint" if column.kind == NeutralType::Numeric => Some("bigint unsigned".to_owned()),
        "bit" if column.kind == NeutralType::Other => {
            let inside = column.native.strip_prefix("bit(")?.strip_suffix(')')?;
            let digits: u32 = inside.parse().ok()?;
            (1..=64).contains(&digits).then(|| format!("bit({digits})"))
        }
        "inet4" if server.is_mariadb(10, 10) => Some("inet4".to_owned()),
        "inet6" if server.is_mariadb(10, 5) => Some("inet6".to_owned()),
        "geomcollection" => Some("geometrycollection".to_owned()),
        name => {
            let known = GEOMETRIES.into_iter().find(|known| *known == name);
            known
                .filter(|_| column.kind == NeutralType::Other)
                .map(str::to_owned)
        }
    }
}

/// The room that a column has in the narrowest of the keys it belongs to, in characters.
fn in_key(table: &Table, name: &str) -> Option<u32> {
    let keys = table.primary_key.iter().chain(&table.unique);
    let keys = keys.filter(|key| {
        can_be_key(table, &key.columns) && key.columns.iter().any(|column| column == name)
    });
    keys.map(|key| {
        let kinds = key.columns.iter().filter_map(|name| table.column(name));
        let wide = kinds.filter(|column| {
            matches!(
                column.kind,
                NeutralType::Text | NeutralType::Bytea | NeutralType::Other
            )
        });
        let wide = u32::try_from(wide.count()).unwrap_or(u32::MAX).max(1);
        let all = u32::try_from(key.columns.len()).unwrap_or(u32::MAX);
        let others = all.saturating_sub(wide).saturating_mul(OTHER_IN_KEY);
        KEY_BYTES.saturating_sub(others) / CHARACTER / wide
    })
    .min()
}

fn key_type(name: &str, length: Option<u32>, room: u32) -> (String, Option<String>) {
    let most = LONGEST_IN_KEY.min(room).max(1);
    match length {
        Some(length) if length <= most => (format!("{name}({length})"), None),
        _ => (
            format!("{name}({most})"),
            Some(format!(
                "in a key it holds at most {most}, longer values are refused"
            )),
        ),
    }
}

#[cfg(test)]
mod tests;
