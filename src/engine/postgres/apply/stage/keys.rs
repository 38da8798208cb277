//! The statements about rows that a plan names by key. Pure.
//!
//! `s` is here a temporary table of keys, each with its place among those that were asked about.

use crate::engine::enact::target::Look;
use crate::engine::postgres::apply::stage::Statements;
use crate::engine::postgres::connect::sql;
use crate::engine::sql::Sql;
use crate::model::run::SyncMode;
use crate::model::table::{Engine, NeutralType, TableName};

const KEYS: &str = "pg_temp.evenkeel_keys";

/// A foreign key that points to the destination.
#[derive(Clone, Debug)]
pub(in crate::engine::postgres::apply) struct Pointing {
    pub(in crate::engine::postgres::apply) table: TableName,
    /// Columns of the destination, the `=` as the catalogue prints it, columns that point to them.
    pub(in crate::engine::postgres::apply) pairs: Vec<(String, String, String)>,
    /// Rows of the destination may point to each other.
    pub(in crate::engine::postgres::apply) own: bool,
}

impl Statements {
    pub(in crate::engine::postgres::apply) fn create_keys(&self) -> Sql {
        let mut statement = sql();
        statement.push("create temp table evenkeel_keys on commit delete rows as select 0::int4 as evenkeel_place");
        for part in &self.key {
            statement.push(", ").ident(&part.name);
            if self.is_other(&part.name) {
                statement.push("::text as ").ident(&part.name);
            }
        }
        statement
            .push(" from ")
            .table(&self.table)
            .push(" with no data");
        statement
    }

    pub(in crate::engine::postgres::apply) fn drop_keys(&self) -> Sql {
        let mut statement = sql();
        statement.push("drop table if exists ").push(KEYS);
        statement
    }

    /// Takes places and keys, in the order of [`Self::key_names`].
    pub(in crate::engine::postgres::apply) fn copy_keys(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("copy ")
            .push(KEYS)
            .push(" from stdin (format binary)");
        statement
    }

    pub(in crate::engine::postgres::apply) fn clear_keys(&self) -> Sql {
        let mut statement = sql();
        statement.push("delete from ").push(KEYS);
        statement
    }

    pub(in crate::engine::postgres::apply) fn renew_keys(&self) -> Sql {
        let mut statement = sql();
        statement.push("truncate ").push(KEYS);
        statement
    }

    /// Places and rows, as they are read, of the keys that are there. Each is looked up by its own: `offset 0` keeps the
    /// planner from reading the whole table for them.
    pub(in crate::engine::postgres::apply) fn copy_found(&self, why: Look) -> Sql {
        let mut statement = sql();
        statement.push("copy (select s.evenkeel_place");
        self.push_read(&mut statement, "t");
        statement.push(" from ").push(KEYS);
        statement
            .push(" s cross join lateral (select * from ")
            .table(&self.table)
            .push(" t where ");
        self.matches(&mut statement);
        statement.push(match (why, self.mode) {
            (Look::ReadBack, _) => " offset 0",
            (Look::Decide, SyncMode::Mirror) => " offset 0 for update",
            // Rows that are only updated may be pointed to meanwhile.
            (Look::Decide, _) => " offset 0 for no key update",
        });
        statement.push(") t) to stdout (format binary)");
        statement
    }

    pub(in crate::engine::postgres::apply) fn delete(&self) -> Sql {
        let mut statement = sql();
        statement
            .push("delete from ")
            .table(&self.table)
            .push(" t using ");
        statement.push(KEYS).push(" s where ");
        self.matches(&mut statement);
        statement
    }

    /// The places of keys whose rows others point to, and those others if they are the table's own: of each up to `most`.
    pub(in crate::engine::postgres::apply) fn copy_pointing(
        &self,
        by: &Pointing,
        most: usize,
    ) -> Sql {
        let mut statement = sql();
        statement.push("copy (select s.evenkeel_place");
        if by.own {
            self.push_read(&mut statement, "c");
        }
        self.push_keyed(&mut statement);
        statement
            .push(" cross join lateral (select * from ")
            .table(&by.table)
            .push(" c where ");
        statement.list(&by.pairs, " and ", |sql, (here, equals, there)| {
            sql.push("t.").ident(here).push(" ").native_type(equals);
            sql.push(" c.").ident(there);
        });
        if by.own {
            statement.push(" and (c.tableoid, c.ctid) <> (t.tableoid, t.ctid)");
        }
        let most = if by.own { most } else { 1 };
        statement
            .push(" limit ")
            .number(i128::try_from(most).unwrap_or(i128::MAX));
        statement.push(") c) to stdout (format binary)");
        statement
    }

    /// Adds all columns, in the form they are read in.
    fn push_read(&self, statement: &mut Sql, from: &str) {
        for column in &self.columns {
            statement
                .push(", ")
                .ident(from)
                .push(".")
                .ident(&column.name);
            if column.kind == NeutralType::Other || column.is_padded(Engine::Postgres) {
                statement.push("::text");
            }
        }
    }

    fn push_keyed(&self, statement: &mut Sql) {
        statement.push(" from ").push(KEYS).push(" s join ");
        statement.table(&self.table).push(" t on ");
        self.matches(statement);
    }

    fn is_other(&self, name: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| column.name == name && column.kind == NeutralType::Other)
    }
}
