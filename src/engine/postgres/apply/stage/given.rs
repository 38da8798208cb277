//! The statements of a plan: rows, or keys of rows, are given with them, one array for each column. Pure.
//!
//! `s` is here what was given, in the types that values travel as.

use crate::engine::enact::target::Look;
use crate::engine::postgres::apply::stage::Statements;
use crate::engine::postgres::connect::sql;
use crate::engine::postgres::types::{Travels, travels};
use crate::engine::sql::Sql;
use crate::model::run::SyncMode;
use crate::model::table::{Column, Engine, NeutralType, TableName};

/// The place of a row among those that were given.
const PLACE: &str = "evenkeel_place";

/// A statement, and the arrays it is given.
#[derive(Clone, Debug)]
pub(in crate::engine::postgres::apply) struct Given {
    pub(in crate::engine::postgres::apply) statement: Sql,
    /// Where each array's values stand in a row, and what they are.
    pub(in crate::engine::postgres::apply) columns: Vec<(usize, Travels)>,
    /// One more array follows: the places.
    pub(in crate::engine::postgres::apply) is_placed: bool,
}

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
    /// Places and rows, as they are read, of the keys that are there. Each is looked up by its own: `offset 0` keeps the
    /// planner from reading the whole table for them.
    pub(in crate::engine::postgres::apply) fn found(&self, why: Look) -> Given {
        let mut statement = sql();
        statement.push("select s.").push(PLACE);
        self.push_read(&mut statement, "t");
        statement.push(" from ");
        let columns = self.push_keys(&mut statement, true);
        statement
            .push(" cross join lateral (select * from ")
            .table(&self.table)
            .push(" t where ");
        self.key_matches(&mut statement);
        statement.push(match (why, self.mode) {
            (Look::ReadBack, _) => " offset 0",
            (Look::Decide, SyncMode::Mirror) => " offset 0 for update",
            // Rows that are only updated may be pointed to meanwhile.
            (Look::Decide, _) => " offset 0 for no key update",
        });
        statement.push(") t");
        self.given(statement, columns, true)
    }

    /// Inserts rows.
    pub(in crate::engine::postgres::apply) fn insert_given(&self) -> Given {
        let mut statement = sql();
        let columns = self.push_insert(&mut statement);
        self.given(statement, columns, false)
    }

    /// Inserts rows, and answers with what they have become, in their order.
    pub(in crate::engine::postgres::apply) fn insert_telling(&self) -> Given {
        let mut statement = sql();
        let columns = self.push_insert(&mut statement);
        statement.push(" returning ");
        self.list_read(&mut statement, "t");
        self.given(statement, columns, false)
    }

    /// Sets all columns but an exact key.
    pub(in crate::engine::postgres::apply) fn update_given(&self) -> Given {
        let mut statement = sql();
        statement.push("update ").table(&self.table).push(" t set ");
        statement.list(&self.compared, ", ", |sql, column| {
            sql.ident(&column.name).push(" = ");
            self.incoming(sql, &column.name);
        });
        statement.push(" from ");
        let columns = self.push_given(&mut statement, self.columns.iter().enumerate(), false);
        statement.push(" where ");
        self.key_matches(&mut statement);
        self.given(statement, columns, false)
    }

    /// Empties `parkable` of the rows that have these keys.
    pub(in crate::engine::postgres::apply) fn park_given(&self, parkable: &[String]) -> Given {
        let mut statement = sql();
        statement.push("update ").table(&self.table).push(" t set ");
        statement.list(parkable, ", ", |sql, name| {
            sql.ident(name).push(" = null");
        });
        statement.push(" from ");
        let columns = self.push_keys(&mut statement, false);
        statement.push(" where ");
        self.key_matches(&mut statement);
        self.given(statement, columns, false)
    }

    /// Deletes the rows that have these keys.
    pub(in crate::engine::postgres::apply) fn delete_given(&self) -> Given {
        let mut statement = sql();
        statement.push("delete from ").table(&self.table);
        statement.push(" t using ");
        let columns = self.push_keys(&mut statement, false);
        statement.push(" where ");
        self.key_matches(&mut statement);
        self.given(statement, columns, false)
    }

    /// The places of keys whose rows others point to, and those others if they are the table's own: of each up to `most`.
    pub(in crate::engine::postgres::apply) fn pointing_given(
        &self,
        by: &Pointing,
        most: usize,
    ) -> Given {
        let mut statement = sql();
        statement.push("select s.").push(PLACE);
        if by.own {
            self.push_read(&mut statement, "c");
        }
        statement.push(" from ");
        let columns = self.push_keys(&mut statement, true);
        statement.push(" join ").table(&self.table).push(" t on ");
        self.key_matches(&mut statement);
        statement
            .push(" cross join lateral (select * from ")
            .table(&by.table)
            .push(" c where ");
        statement.list(&by.pairs, " and ", |sql, (here, equals, there)| {
            sql.push("t.").ident(here).push(" ").native_type(equals);
            sql.push(" c.").ident(there);
        });
        if by.own {
            statement.push(
                " and row(t.tableoid, t.ctid) operator(pg_catalog.<>) row(c.tableoid, c.ctid)",
            );
        }
        let most = if by.own { most } else { 1 };
        statement
            .push(" limit ")
            .number(i128::try_from(most).unwrap_or(i128::MAX));
        statement.push(") c");
        self.given(statement, columns, true)
    }

    /// What was prepared for a table of another form is not used for it.
    fn given(&self, mut statement: Sql, columns: Vec<(usize, Travels)>, is_placed: bool) -> Given {
        statement.push(" /* ").number(self.form).push(" */");
        Given {
            statement,
            columns,
            is_placed,
        }
    }

    fn push_insert(&self, statement: &mut Sql) -> Vec<(usize, Travels)> {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        statement.push("insert into ").table(&self.table);
        statement.push(" as t (").idents(names());
        statement.push(") overriding system value select ");
        statement.list(names(), ", ", |sql, name| self.incoming(sql, name));
        statement.push(" from ");
        self.push_given(statement, self.columns.iter().enumerate(), false)
    }

    fn push_keys(&self, statement: &mut Sql, is_placed: bool) -> Vec<(usize, Travels)> {
        let all = || self.columns.iter().enumerate();
        let part = |name: &str| all().find(|(_, column)| column.name == name);
        let key = self.key_names().filter_map(part);
        self.push_given(statement, key, is_placed)
    }

    /// Adds `s`; which columns it takes.
    fn push_given<'c>(
        &self,
        statement: &mut Sql,
        columns: impl Iterator<Item = (usize, &'c Column)>,
        is_placed: bool,
    ) -> Vec<(usize, Travels)> {
        let mut taken = Vec::with_capacity(self.columns.len());
        let mut number = 0;
        statement.push("(select ");
        for (at, column) in columns {
            let how = travels(column.kind);
            if number > 0 {
                statement.push(", ");
            }
            number += 1;
            push_array(statement, number, how);
            statement.ident(&column.name);
            taken.push((at, how));
        }
        if is_placed {
            statement.push(", ");
            push_array(statement, number + 1, travels(NeutralType::Int4));
            statement.push(PLACE);
        }
        statement.push(") s");
        taken
    }

    /// A key is looked up in the type that its index compares.
    fn key_matches(&self, statement: &mut Sql) {
        statement.list(&self.key, " and ", |sql, part| {
            sql.push("t.").ident(&part.name).push(" ");
            sql.native_type(&part.equals).push(" ");
            self.incoming(sql, &part.name);
            if !self.is_other(&part.name) {
                sql.push("::").native_type(&part.compares);
            }
        });
    }

    /// Adds all columns, in the form they are read in.
    pub(super) fn push_read(&self, statement: &mut Sql, from: &str) {
        statement.push(", ");
        self.list_read(statement, from);
    }

    fn list_read(&self, statement: &mut Sql, from: &str) {
        statement.list(&self.columns, ", ", |sql, column| {
            sql.ident(from).push(".").ident(&column.name);
            if column.kind == NeutralType::Other || column.is_padded(Engine::Postgres) {
                sql.push("::pg_catalog.text");
            }
        });
    }

    fn is_other(&self, name: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| column.name == name && column.kind == NeutralType::Other)
    }
}

/// Adds the values of a parameter, one after the other: in a list of such, those that stand at the same place together.
fn push_array(statement: &mut Sql, number: i32, how: Travels) {
    statement.push("pg_catalog.unnest($").number(number);
    statement
        .push("::pg_catalog.")
        .push(how.name)
        .push("[]) as ");
}
