//! The statements that look rows up and write them to one table. Pure.
//!
//! `t` is the destination, `s` the stage: a temporary table with the destination's own columns, for rows that are
//! updated together. Invariant: each statement does one thing to rows that it names by key; none lets the database choose
//! between inserting and updating.

use crate::engine::driver::ApplyJob;
use crate::engine::mysql::encoder::Encoder;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::types::Form;
use crate::engine::sql::Sql;
use crate::model::run::ConflictStrategy;
use crate::model::table::{Column, TableName};

const STAGE: &str = "evenkeel_stage";
/// For a destination that has that name itself: it would be hidden.
const OTHER_STAGE: &str = "evenkeel_staged";

/// Whether rows that are looked at are kept as they are until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Update,
}

/// A foreign key that points to the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointing {
    pub(super) table: TableName,
    /// Columns of the destination, and those that point to them.
    pub(super) pairs: Vec<(String, String)>,
}

/// All statements for one job.
#[derive(Debug)]
pub(super) struct Statements {
    schemas: Schemas,
    table: TableName,
    stage: TableName,
    columns: Vec<Column>,
    encoders: Vec<Encoder>,
    /// Where the key's columns stand in a row, in the order of its index.
    key: Vec<usize>,
    index: String,
    /// Where columns stand that are compared, and written where they differ.
    compared: Vec<usize>,
    merges: bool,
}

impl Statements {
    /// For `job`, whose columns are given as the catalogue has them now; `key` are its columns in the order of `index`,
    /// and equal keys may differ in bytes if it is `folded`.
    pub(super) fn new(
        schemas: &Schemas,
        job: &ApplyJob,
        columns: Vec<Column>,
        (index, key): (String, &[String]),
        folded: bool,
    ) -> Self {
        let place = |name: &String| columns.iter().position(|column| column.name == *name);
        let key: Vec<usize> = key.iter().filter_map(place).collect();
        let compared = columns
            .iter()
            .enumerate()
            .filter(|(at, column)| !key.contains(at) || (folded && !column.identity))
            .map(|(at, _)| at)
            .collect();
        let table = job.table.name.clone();
        let stage = if table.name.eq_ignore_ascii_case(STAGE) {
            OTHER_STAGE
        } else {
            STAGE
        };
        Self {
            schemas: schemas.clone(),
            stage: TableName {
                schema: table.schema.clone(),
                name: stage.to_owned(),
            },
            table,
            encoders: columns.iter().map(Encoder::of).collect(),
            columns,
            key,
            index,
            compared,
            merges: job.conflict == ConflictStrategy::Merge,
        }
    }

    /// How each column's values are sent.
    pub(super) fn encoders(&self) -> &[Encoder] {
        &self.encoders
    }

    /// Where the key's columns stand in a row.
    pub(super) fn key(&self) -> &[usize] {
        &self.key
    }

    /// Where the columns stand that are compared.
    pub(super) fn compared(&self) -> &[usize] {
        &self.compared
    }

    /// The forms a row's values are read in.
    pub(super) fn forms(&self) -> Vec<Form> {
        self.encoders.iter().map(Encoder::form).collect()
    }

    /// Whether NULL leaves the local value.
    pub(super) fn merges(&self) -> bool {
        self.merges
    }

    /// The columns of a row.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn is_empty(&self) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("select not exists (select 1 from ")
            .table(&self.table)
            .push(")");
        sql
    }

    pub(super) fn insert(&self, rows: usize) -> Sql {
        self.insert_into(&self.table, rows)
    }

    pub(super) fn insert_into_stage(&self, rows: usize) -> Sql {
        self.insert_into(&self.stage, rows)
    }

    fn insert_into(&self, table: &TableName, rows: usize) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("insert into ").table(table).push(" (");
        sql.idents(self.columns.iter().map(|column| column.name.as_str()));
        sql.push(") values ").list(0..rows, ",", |sql, _| {
            sql.push("(").list(&self.columns, ",", |sql, _| {
                sql.push("?");
            });
            sql.push(")");
        });
        sql
    }

    /// The rows with one of `rows` keys, in the form they are read in.
    pub(super) fn look(&self, rows: usize, lock: Lock) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("select ");
        self.read_columns(&mut sql, "t");
        sql.push(" from ").table(&self.table).push(" t");
        self.by_key(&mut sql);
        self.in_keys(&mut sql, rows);
        if lock == Lock::Update {
            sql.push(" for update");
        }
        sql
    }

    pub(super) fn delete(&self, rows: usize) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("delete t from ").table(&self.table).push(" t");
        self.by_key(&mut sql);
        self.in_keys(&mut sql, rows);
        sql
    }

    /// Rows that point by `by` to the row of a key: up to `most` of the table's own as they are read, or whether there is
    /// one of another table. What is found stays so until the transaction ends.
    pub(super) fn pointing(&self, by: &Pointing, most: usize) -> Sql {
        let own = by.table == self.table;
        let mut sql = self.schemas.sql();
        sql.push("select ");
        if own {
            self.read_columns(&mut sql, "c");
        } else {
            sql.push("1");
        }
        sql.push(" from (select * from ").table(&self.table);
        self.by_key(&mut sql);
        self.where_key(&mut sql);
        sql.push(") p join ").table(&by.table).push(" c on ");
        sql.list(&by.pairs, " and ", |sql, (here, there)| {
            sql.push("p.").ident(here).push(" = c.").ident(there);
        });
        if own {
            sql.push(" and not (");
            sql.list(self.key_columns(), " and ", |sql, (column, _)| {
                sql.push("c.").ident(&column.name);
                sql.push(" <=> p.").ident(&column.name);
            });
            sql.push(")");
        }
        let most = if own { most } else { 1 };
        sql.push(" limit ")
            .number(i128::try_from(most).unwrap_or(i128::MAX));
        sql.push(" lock in share mode");
        sql
    }

    /// Adds all columns, in the form they are read in.
    fn read_columns(&self, sql: &mut Sql, from: &str) {
        sql.list(&self.columns, ", ", |sql, column| {
            let (_, cast) = Form::of(column);
            if cast {
                sql.push("cast(");
            }
            sql.ident(from).push(".").ident(&column.name);
            if cast {
                sql.push(" as char)");
            }
        });
    }

    /// Fresh tables have no statistics that would speak for the index.
    fn by_key(&self, sql: &mut Sql) {
        sql.push(" force index (").ident(&self.index).push(")");
    }

    fn in_keys(&self, sql: &mut Sql, rows: usize) {
        sql.push(" where ");
        if let [only] = self.key_columns().as_slice() {
            sql.ident(&only.0.name);
        } else {
            sql.push("(")
                .idents(self.key_columns().iter().map(|part| part.0.name.as_str()))
                .push(")");
        }
        sql.push(" in (")
            .list(0..rows, ",", |sql, _| self.one_key(sql));
        sql.push(")");
    }

    fn key_columns(&self) -> Vec<(&Column, &Encoder)> {
        let pair = |&at: &usize| Some((self.columns.get(at)?, self.encoders.get(at)?));
        self.key.iter().filter_map(pair).collect()
    }

    fn compared_columns(&self) -> impl Iterator<Item = &Column> {
        self.compared.iter().filter_map(|&at| self.columns.get(at))
    }

    fn one_key(&self, sql: &mut Sql) {
        if let [only] = self.key_columns().as_slice() {
            only.1.compared(sql);
            return;
        }
        sql.push("(")
            .list(self.key_columns(), ",", |sql, (_, encoder)| {
                encoder.compared(sql);
            });
        sql.push(")");
    }

    /// Sets what is compared of one row; a parameter for each of them that is `present`, then the key's. Every column is
    /// named: one that is not would be set to the current time where the table says so.
    pub(super) fn update(&self, present: &[bool]) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("update ").table(&self.table);
        self.by_key(&mut sql);
        let columns = self.compared_columns().zip(present);
        sql.push(" set ")
            .list(columns, ", ", |sql, (column, present)| {
                sql.ident(&column.name).push(" = ");
                if *present {
                    sql.push("?");
                } else {
                    sql.ident(&column.name);
                }
            });
        self.where_key(&mut sql);
        sql
    }

    fn where_key(&self, sql: &mut Sql) {
        sql.push(" where ")
            .list(self.key_columns(), " and ", |sql, (column, encoder)| {
                sql.ident(&column.name).push(" = ");
                encoder.compared(sql);
            });
    }

    /// Empties `columns` of one row, so that values can change places.
    pub(super) fn park(&self, columns: &[String]) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("update ").table(&self.table);
        self.by_key(&mut sql);
        sql.push(" set ").list(columns, ", ", |sql, name| {
            sql.ident(name).push(" = null");
        });
        self.where_key(&mut sql);
        sql
    }

    pub(super) fn create_stage(&self) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("create temporary table ").table(&self.stage);
        sql.push(" engine = InnoDB as select ");
        sql.idents(self.columns.iter().map(|column| column.name.as_str()));
        sql.push(" from ").table(&self.table).push(" where false");
        sql
    }

    /// Sets what is compared of the rows that the stage has.
    pub(super) fn update_from_stage(&self) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("update ")
            .table(&self.stage)
            .push(" s straight_join ");
        sql.table(&self.table).push(" t");
        self.by_key(&mut sql);
        sql.push(" on ")
            .list(self.key_columns(), " and ", |sql, (column, _)| {
                sql.push("t.").ident(&column.name);
                sql.push(" = s.").ident(&column.name);
            });
        sql.push(" set ")
            .list(self.compared_columns(), ", ", |sql, column| {
                sql.push("t.").ident(&column.name).push(" = ");
                if self.merges {
                    sql.push("coalesce(s.").ident(&column.name);
                    sql.push(", t.").ident(&column.name).push(")");
                } else {
                    sql.push("s.").ident(&column.name);
                }
            });
        sql
    }

    /// Not `truncate`, which would commit.
    pub(super) fn clear_stage(&self) -> Sql {
        let mut sql = self.schemas.sql();
        sql.push("delete from ").table(&self.stage);
        sql
    }
}
