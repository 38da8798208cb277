//! The catalogue: tables with their columns, keys, foreign keys and triggers, from SQLite's own pragmas.
//!
//! Views, virtual tables with what they keep behind them, and SQLite's own tables are no site data and not listed.
//! Reads schemas and statistics only, never rows.
//! Invariant: names are spelled as the schema spells them.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::engine::sqlite::types::{self, Declared};
use crate::model::table::{Column, ForeignKey, Table, TableName, UniqueKey};

/// Collations every SQLite has; an application can add others, which only it can compare by.
const BUILT_IN_COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

/// A table, and what only the writer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub table: Table,
    /// Values are checked against the declared types.
    pub strict: bool,
    /// Some foreign key may be checked only at the commit.
    pub defers_foreign_keys: bool,
    /// What SQLite finds a row by that has no key: its number, under a name that no column has. `None`: all such names are
    /// taken, or the table is `without rowid`.
    pub rowid: Option<&'static str>,
    /// The columns of each unique index, with the collations that it compares them by.
    pub key_collations: Vec<Vec<(String, String)>>,
}

impl Described {
    /// The collation by which an index on all columns of `key` and no others compares `column`.
    pub(super) fn collation(&self, key: &[String], column: &str) -> &str {
        let is_of_key = |index: &&Vec<(String, String)>| {
            index.len() == key.len() && index.iter().all(|(name, _)| key.contains(name))
        };
        let indexes = self.key_collations.iter().filter(is_of_key);
        let found = indexes
            .flatten()
            .filter(|(name, _)| name == column)
            .map(|(_, collation)| collation.as_str());
        // The widest: a column compared by its bytes in one index and folded in another counts as folded.
        found
            .reduce(|one, other| {
                if one.eq_ignore_ascii_case("binary") {
                    other
                } else {
                    one
                }
            })
            .unwrap_or("BINARY")
    }
}

struct Entry {
    name: String,
    without_rowid: bool,
    strict: bool,
    sql: String,
}

struct Index {
    origin: String,
    /// Name and collation; `None` for an expression.
    columns: Option<Vec<(String, String)>>,
}

/// All tables, by name.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<Described>> {
    let mut statement = connection.prepare(&format!("{TABLES} order by list.name"))?;
    let entries: Vec<Entry> = statement.query_map([], entry)?.collect::<Result<_, _>>()?;
    entries
        .iter()
        .map(|entry| describe(connection, entry))
        .collect()
}

/// One table, or `None`. The name is matched exactly, though SQLite itself folds case.
pub(super) fn table(
    connection: &Connection,
    name: &TableName,
) -> rusqlite::Result<Option<Described>> {
    if name.schema.is_some() {
        return Ok(None);
    }
    let found = connection
        .query_row(&format!("{TABLES} and list.name = ?1"), [&name.name], entry)
        .optional()?;
    found.map(|entry| describe(connection, &entry)).transpose()
}

/// A table's foreign key to another, or to its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointing {
    pub table: TableName,
    pub key: ForeignKey,
    /// It may be checked only at the commit.
    pub deferred: bool,
}

/// The foreign keys that point to `name`.
pub(super) fn pointing(
    connection: &Connection,
    name: &TableName,
) -> rusqlite::Result<Vec<Pointing>> {
    let described = tables(connection)?.into_iter();
    let pointing = described.flat_map(|described| {
        let (table, deferred) = (described.table.name, described.defers_foreign_keys);
        let keys = described.table.foreign_keys.into_iter();
        keys.map(move |key| Pointing {
            table: table.clone(),
            key,
            deferred,
        })
    });
    Ok(pointing
        .filter(|pointing| pointing.key.table == *name)
        .collect())
}

const TABLES: &str = "select list.name, list.wr, list.strict, schema.sql \
    from pragma_table_list as list \
    join sqlite_schema as schema on schema.type = 'table' and schema.name = list.name \
    where list.schema = 'main' and list.type = 'table' and list.name not like 'sqlite\\_%' escape '\\'";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        name: row.get(0)?,
        without_rowid: row.get(1)?,
        strict: row.get(2)?,
        sql: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
    })
}

fn describe(connection: &Connection, entry: &Entry) -> rusqlite::Result<Described> {
    let indexes = unique_indexes(connection, &entry.name)?;
    let primary_index = indexes.iter().find(|index| index.origin == "pk");
    let declared_key = declared_key(connection, &entry.name)?;
    let rowid_alias = match declared_key.as_slice() {
        [only] if primary_index.is_none() && !entry.without_rowid => Some(only.clone()),
        _ => None,
    };
    let columns = columns(connection, entry, rowid_alias.as_deref(), &declared_key)?;
    let primary_key = match (&rowid_alias, primary_index) {
        (Some(alias), _) => Some(UniqueKey {
            columns: vec![alias.clone()],
            folded: false,
        }),
        (None, Some(index)) => index.columns.as_deref().map(unique_key),
        (None, None) => None,
    };
    let unique = indexes
        .iter()
        .filter(|index| index.origin != "pk")
        .filter_map(|index| index.columns.as_deref())
        .filter(|columns| !columns.is_empty())
        .map(unique_key)
        .collect();
    let triggers = triggers(connection, &entry.name)?;
    let foreign_keys = foreign_keys(connection, &entry.name)?;
    let table = Table {
        name: TableName::bare(entry.name.as_str()),
        columns,
        primary_key,
        unique,
        row_estimate: row_estimate(connection, &entry.name)?,
        size_bytes: None,
        not_writable: not_writable(entry, &indexes, &triggers),
        triggers,
        foreign_keys,
    };
    Ok(Described {
        defers_foreign_keys: !table.foreign_keys.is_empty()
            && has_words(&entry.sql, &["initially", "deferred"]),
        strict: entry.strict,
        rowid: rowid(entry, &table.columns),
        key_collations: indexes
            .into_iter()
            .filter_map(|index| index.columns)
            .collect(),
        table,
    })
}

fn columns(
    connection: &Connection,
    entry: &Entry,
    rowid_alias: Option<&str>,
    declared_key: &[String],
) -> rusqlite::Result<Vec<Column>> {
    let mut statement = connection.prepare(
        "select name, type, \"notnull\", dflt_value is not null, hidden from pragma_table_xinfo(?1) order by cid",
    )?;
    let rows = statement.query_map([&entry.name], |row| {
        let name: String = row.get(0)?;
        let native: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
        let not_null: bool = row.get(2)?;
        let hidden: i64 = row.get(4)?;
        let identity = rowid_alias == Some(name.as_str());
        let Declared {
            kind,
            precision,
            scale,
            length,
        } = types::declared(&native);
        Ok(Column {
            kind,
            native,
            precision,
            scale,
            length,
            // Outside these, SQLite lets NULL into a primary key.
            nullable: !(not_null
                || identity
                || (entry.without_rowid && declared_key.contains(&name))),
            generated: matches!(hidden, 2 | 3),
            identity,
            has_default: row.get::<_, bool>(3)? || identity,
            name,
        })
    })?;
    rows.collect()
}

fn rowid(entry: &Entry, columns: &[Column]) -> Option<&'static str> {
    let is_free = |name: &&str| {
        let mut columns = columns.iter();
        !columns.any(|column| column.name.eq_ignore_ascii_case(name))
    };
    let names = ["rowid", "_rowid_", "oid"].into_iter();
    names.filter(|_| !entry.without_rowid).find(is_free)
}

fn declared_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("select name from pragma_table_xinfo(?1) where pk > 0 order by pk")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn unique_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Index>> {
    let mut statement = connection.prepare(
        "select name, origin from pragma_index_list(?1) where \"unique\" and not partial order by origin, name",
    )?;
    let names: Vec<(String, String)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut statement = connection
        .prepare("select name, coll from pragma_index_xinfo(?1) where \"key\" order by seqno")?;
    names
        .into_iter()
        .map(|(name, origin)| {
            let columns = statement
                .query_map([&name], |row| {
                    let column: Option<String> = row.get(0)?;
                    let collation: Option<String> = row.get(1)?;
                    Ok(column
                        .map(|column| (column, collation.unwrap_or_else(|| "BINARY".to_owned()))))
                })?
                .collect::<rusqlite::Result<Option<Vec<_>>>>()?;
            Ok(Index { origin, columns })
        })
        .collect()
}

fn unique_key(columns: &[(String, String)]) -> UniqueKey {
    UniqueKey {
        columns: columns.iter().map(|(name, _)| name.clone()).collect(),
        folded: columns
            .iter()
            .any(|(_, collation)| !collation.eq_ignore_ascii_case("BINARY")),
    }
}

fn foreign_keys(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare(
        "select id, \"table\", \"from\", \"to\", lower(on_delete) \
         from pragma_foreign_key_list(?1) order by id desc, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut found: Vec<(i64, ForeignKey)> = Vec::new();
    let mut foreign = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if found.last().is_none_or(|(last, _)| *last != id) {
            let name = spelled(connection, &row.get::<_, String>(1)?)?;
            foreign = (
                declared_key(connection, &name)?,
                column_names(connection, &name)?,
            );
            found.push((
                id,
                ForeignKey {
                    columns: Vec::new(),
                    table: TableName::bare(name),
                    foreign_columns: Vec::new(),
                    on_delete: row.get(4)?,
                },
            ));
        }
        let Some((_, key)) = found.last_mut() else {
            continue;
        };
        let (foreign_key, foreign_columns) = &foreign;
        let target = match row.get::<_, Option<String>>(3)? {
            Some(name) => foreign_columns
                .iter()
                .find(|column| column.eq_ignore_ascii_case(&name))
                .cloned()
                .or(Some(name)),
            None => foreign_key.get(key.columns.len()).cloned(),
        };
        key.columns.push(row.get(2)?);
        key.foreign_columns.extend(target);
    }
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

/// A table's name as its schema spells it; as given when there is no such table.
fn spelled(connection: &Connection, name: &str) -> rusqlite::Result<String> {
    let found = connection
        .query_row(
            "select name from sqlite_schema where type = 'table' and name = ?1 collate nocase",
            [name],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.unwrap_or_else(|| name.to_owned()))
}

fn column_names(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("select name from pragma_table_xinfo(?1) order by cid")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn triggers(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "select name from sqlite_schema where type = 'trigger' and tbl_name = ?1 collate nocase order by name",
    )?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// What the last `analyze` counted, if there was one.
fn row_estimate(connection: &Connection, table: &str) -> rusqlite::Result<Option<u64>> {
    let analyzed: bool = connection.query_row(
        "select exists (select 1 from sqlite_schema where name = 'sqlite_stat1')",
        [],
        |row| row.get(0),
    )?;
    if !analyzed {
        return Ok(None);
    }
    let mut statement =
        connection.prepare("select stat from sqlite_stat1 where tbl = ?1 collate nocase")?;
    let mut largest = None;
    for stat in statement.query_map([table], |row| row.get::<_, Option<String>>(0))? {
        let rows = stat?.and_then(|stat| stat.split_whitespace().next()?.parse::<u64>().ok());
        largest = largest.max(rows);
    }
    Ok(largest)
}

fn not_writable(entry: &Entry, indexes: &[Index], triggers: &[String]) -> Option<String> {
    let foreign_collation = indexes
        .iter()
        .filter_map(|index| index.columns.as_deref())
        .flatten()
        .find(|(_, collation)| {
            !BUILT_IN_COLLATIONS
                .iter()
                .any(|known| collation.eq_ignore_ascii_case(known))
        });
    if let Some((column, collation)) = foreign_collation {
        return Some(format!(
            "column {column} is compared by the collation {collation}, which only the application knows"
        ));
    }
    // Writing has to override such a clause, and that would override the same clauses inside the triggers too.
    if !triggers.is_empty() && has_words(&entry.sql, &["on", "conflict"]) {
        return Some(
            "the table has both triggers and a constraint with an `on conflict` clause".to_owned(),
        );
    }
    None
}

/// Whether `words` follow each other in `sql`. A comment that has them counts too: a table too careful is no harm.
fn has_words(sql: &str, words: &[&str]) -> bool {
    let lower = sql.to_ascii_lowercase();
    let found: Vec<&str> = lower
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    found.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests;
