//! The statements that apply staged rows to one table. Pure.
//!
//! `t` is the destination, `s` the stage: a temporary table with the destination's own column types, text for types
//! without a neutral form. Invariant: each statement does one thing to rows it chooses itself by key; none lets the
//! database choose between inserting and updating, and each means the same under any search path.

mod given;
mod keyless;

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::driver::ApplyJob;
use crate::engine::postgres::connect::sql;
use crate::engine::postgres::types::anywhere;
use crate::engine::sql::Sql;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Column, NeutralType, TableName};

pub(super) use given::{Given, Pointing};

const STAGE: &str = "pg_temp.evenkeel_stage";
const SEEN: &str = "pg_temp.evenkeel_seen";

/// A key column with the `=` of its unique index, and the type that compares, as the catalogue prints them:
/// `operator(pg_catalog.=)`, `pg_catalog.text`.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    pub(super) name: String,
    pub(super) equals: String,
    pub(super) compares: String,
}

/// All statements for one job.
#[derive(Debug)]
pub(super) struct Statements {
    table: TableName,
    columns: Vec<Column>,
    key: Vec<KeyColumn>,
    mode: SyncMode,
    conflict: ConflictStrategy,
    /// Another number for another form of the table.
    form: u64,
    /// Columns that are compared, and written where they differ.
    compared: Vec<Column>,
}

impl Statements {
    /// For `job`, whose columns are given as the catalogue has them now; `folded` if equal keys may differ in bytes; `form`
    /// is that of the table.
    pub(super) fn new(
        job: &ApplyJob,
        columns: Vec<Column>,
        key: Vec<KeyColumn>,
        folded: bool,
        form: &str,
    ) -> Self {
        let is_key = |column: &Column| key.iter().any(|part| part.name == column.name);
        let compared = columns
            .iter()
            .filter(|column| !is_key(column) || (folded && !column.identity))
            .cloned()
            .collect();
        Self {
            table: job.table.name.clone(),
            columns,
            key,
            mode: job.mode,
            conflict: job.conflict,
            form: xxh3_64(form.as_bytes()),
            compared,
        }
    }

    /// Whether rows that exist may be changed.
    pub(super) fn updates(&self) -> bool {
        self.mode != SyncMode::Insert
            && self.conflict != ConflictStrategy::Skip
            && !self.compared.is_empty()
    }

    /// Whether rows that do not exist may be added.
    pub(super) fn inserts(&self) -> bool {
        self.mode != SyncMode::Update
    }

    /// Whether some rows that differ may stay as they are, so that they have to be counted.
    pub(super) fn leaves_differences(&self) -> bool {
        !self.compared.is_empty()
            && (self.mode == SyncMode::Insert || self.conflict != ConflictStrategy::Overwrite)
    }

    /// Whether binary COPY can write straight into the destination's columns.
    pub(super) fn fit_binary_copy(&self) -> bool {
        self.columns
            .iter()
            .all(|column| column.kind != NeutralType::Other)
    }

    /// The key's names in the order of its index.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|part| part.name.as_str())
    }

    /// Where each of `names` stands in a row.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub(super) fn is_empty(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("select not exists (select from ")
            .table(&self.table)
            .push(")");
        statement
    }

    pub(super) fn create_stage(&self) -> Sql {
        let mut statement = sql();
        statement.push(
            "create temp table if not exists evenkeel_stage on commit delete rows as select ",
        );
        statement.list(&self.columns, ", ", |sql, column| {
            sql.ident(&column.name);
            if column.kind == NeutralType::Other {
                sql.push("::pg_catalog.text as ").ident(&column.name);
            }
        });
        statement
            .push(" from ")
            .table(&self.table)
            .push(" with no data");
        statement
    }

    /// A table of the keys this job has staged, for destinations where equal keys may differ in bytes.
    pub(super) fn create_seen(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("create temp table evenkeel_seen as select ")
            .idents(self.key_names());
        statement
            .push(" from ")
            .table(&self.table)
            .push(" with no data; ");
        statement
            .push("create index on ")
            .push(SEEN)
            .push(" (")
            .idents(self.key_names())
            .push(")");
        statement
    }

    pub(super) fn drop_stage(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("drop table if exists ")
            .push(STAGE)
            .push(", ")
            .push(SEEN);
        statement
    }

    pub(super) fn copy_into_table(&self) -> Sql {
        let mut statement = sql();
        statement.push("copy ").table(&self.table);
        self.columns_from_stdin(statement)
    }

    pub(super) fn copy_into_stage(&self) -> Sql {
        let mut statement = sql();
        statement.push("copy ").push(STAGE);
        self.columns_from_stdin(statement)
    }

    /// Takes the key's fields alone.
    pub(super) fn copy_keys_into_stage(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("copy ")
            .push(STAGE)
            .push(" (")
            .idents(self.key_names());
        statement.push(") from stdin (format binary)");
        statement
    }

    pub(super) fn keys_as_text(&self) -> Sql {
        let mut statement = sql();
        statement.push("select ");
        statement.list(self.key_names(), ", ", |sql, name| {
            sql.ident(name).push("::pg_catalog.text");
        });
        statement.push(" from ").push(STAGE);
        statement
    }

    pub(super) fn clear_stage(&self) -> Sql {
        let mut statement = sql();
        statement.push("delete from ").push(STAGE);
        statement
    }

    /// Empties the stage and gives back its room; it costs more than a few rows are worth.
    pub(super) fn renew_stage(&self) -> Sql {
        let mut statement = sql();
        statement.push("truncate ").push(STAGE);
        statement
    }

    /// Whether the stage holds a key twice, or one met before: in `seen`, or in the destination if it began empty.
    pub(super) fn collides(&self, began_empty: bool) -> Sql {
        let mut statement = sql();
        statement
            .push("select exists (select from ")
            .push(STAGE)
            .push(" s group by ");
        statement.list(&self.key, ", ", |sql, part| self.incoming(sql, &part.name));
        statement
            .push(" having pg_catalog.count(*) operator(pg_catalog.>) 1) or exists (select from ")
            .push(STAGE)
            .push(" s join ");
        if began_empty {
            statement.table(&self.table);
        } else {
            statement.push(SEEN);
        }
        statement.push(" t on ");
        self.matches(&mut statement);
        statement.push(")");
        statement
    }

    pub(super) fn remember_keys(&self) -> Sql {
        let mut statement = sql();
        statement.push("insert into ").push(SEEN).push(" select ");
        statement.list(&self.key, ", ", |sql, part| self.incoming(sql, &part.name));
        statement.push(" from ").push(STAGE).push(" s");
        statement
    }

    /// Rows that exist and whose image differs from the incoming one.
    pub(super) fn count_differing(&self) -> Sql {
        self.count_where_image(Self::incoming)
    }

    /// Rows that [`Self::update`] is about to change.
    pub(super) fn count_updates(&self) -> Sql {
        self.count_where_image(Self::resulting)
    }

    fn count_where_image(&self, differs_from: fn(&Self, &mut Sql, &str)) -> Sql {
        let mut statement = sql();
        statement
            .push("select pg_catalog.count(*) from ")
            .push(STAGE)
            .push(" s join ")
            .table(&self.table)
            .push(" t on ");
        self.matches(&mut statement);
        statement.push(" where ");
        self.image_differs(&mut statement, differs_from);
        statement
    }

    /// Rows that do not exist.
    pub(super) fn count_absent(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("select pg_catalog.count(*) from ")
            .push(STAGE)
            .push(" s where ");
        self.absent(&mut statement);
        statement
    }

    pub(super) fn update(&self) -> Sql {
        let mut statement = sql();
        statement.push("update ").table(&self.table).push(" t set ");
        statement.list(&self.compared, ", ", |sql, column| {
            sql.ident(&column.name).push(" = ");
            self.resulting(sql, &column.name);
        });
        statement.push(" from ").push(STAGE).push(" s where ");
        self.matches(&mut statement);
        statement.push(" and ");
        self.image_differs(&mut statement, Self::resulting);
        statement
    }

    /// Inserts what the stage holds and the destination does not.
    pub(super) fn insert_absent(&self) -> Sql {
        let mut statement = self.insert();
        statement.push(" where ");
        self.absent(&mut statement);
        statement
    }

    /// Inserts what the stage holds.
    pub(super) fn insert(&self) -> Sql {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        let mut statement = sql();
        statement
            .push("insert into ")
            .table(&self.table)
            .push(" (")
            .idents(names());
        statement.push(") overriding system value select ");
        statement.list(names(), ", ", |sql, name| self.incoming(sql, name));
        statement.push(" from ").push(STAGE).push(" s");
        statement
    }

    /// Empties `columns` of the rows that the stage will replace, so that values can change places.
    pub(super) fn park(&self, columns: &[String]) -> Sql {
        let mut statement = sql();
        statement.push("update ").table(&self.table).push(" t set ");
        statement.list(columns, ", ", |sql, name| {
            sql.ident(name).push(" = null");
        });
        statement.push(" from ").push(STAGE).push(" s where ");
        self.matches(&mut statement);
        statement
    }

    fn columns_from_stdin(&self, mut statement: Sql) -> Sql {
        statement
            .push(" (")
            .idents(self.columns.iter().map(|column| column.name.as_str()));
        statement.push(") from stdin (format binary)");
        statement
    }

    fn matches(&self, statement: &mut Sql) {
        statement.list(&self.key, " and ", |sql, part| {
            sql.push("t.")
                .ident(&part.name)
                .push(" ")
                .native_type(&part.equals)
                .push(" ");
            self.incoming(sql, &part.name);
        });
    }

    fn absent(&self, statement: &mut Sql) {
        statement
            .push("not exists (select from ")
            .table(&self.table)
            .push(" t where ");
        self.matches(statement);
        statement.push(")");
    }

    fn image_differs(&self, statement: &mut Sql, right: fn(&Self, &mut Sql, &str)) {
        statement.push("pg_catalog.record_image_ne(row(");
        statement.list(&self.compared, ", ", |sql, column| {
            sql.push("t.").ident(&column.name);
        });
        statement.push("), row(");
        statement.list(&self.compared, ", ", |sql, column| {
            right(self, sql, &column.name);
        });
        statement.push("))");
    }

    /// The incoming value in the destination's type.
    fn incoming(&self, statement: &mut Sql, name: &str) {
        statement.push("s.").ident(name);
        let other = |column: &&Column| column.name == name && column.kind == NeutralType::Other;
        if let Some(column) = self.columns.iter().find(other) {
            statement.push("::").native_type(&anywhere(&column.native));
        }
    }

    /// What the row will have: with `merge` the local value stays where none comes in.
    fn resulting(&self, statement: &mut Sql, name: &str) {
        if self.conflict == ConflictStrategy::Merge {
            statement.push("coalesce(");
            self.incoming(statement, name);
            statement.push(", t.").ident(name).push(")");
        } else {
            self.incoming(statement, name);
        }
    }
}
