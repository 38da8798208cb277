//! The statements about rows that are found by where they are, because they have no key. Pure.
//!
//! `s` is here a temporary table of places: the table or partition that a row is in, and its `ctid` there. What is at a
//! place once a row was changed or deleted is another row, or none. Each statement means the same under any search path.

use crate::engine::postgres::apply::stage::{Pointing, Statements};
use crate::engine::postgres::connect::sql;
use crate::engine::sql::Sql;

const PLACES: &str = "pg_temp.evenkeel_places";

impl Statements {
    pub(in crate::engine::postgres::apply) fn create_places(&self) -> Sql {
        let mut statement = sql();
        statement.push(
            "create temp table if not exists evenkeel_places \
             (number pg_catalog.int4, part pg_catalog.oid, spot pg_catalog.tid) on commit delete rows",
        );
        statement
    }

    pub(in crate::engine::postgres::apply) fn drop_places(&self) -> Sql {
        let mut statement = sql();
        statement.push("drop table if exists ").push(PLACES);
        statement
    }

    pub(in crate::engine::postgres::apply) fn clear_places(&self) -> Sql {
        let mut statement = sql();
        statement.push("delete from ").push(PLACES);
        statement
    }

    /// Takes numbers and places.
    pub(in crate::engine::postgres::apply) fn copy_places(&self) -> Sql {
        let mut statement = sql();
        statement.push("copy ").push(PLACES);
        statement.push(" from stdin (format binary)");
        statement
    }

    /// Every row, with where it is.
    pub(in crate::engine::postgres::apply) fn copy_with_places(&self) -> Sql {
        let mut statement = sql();
        statement.push("copy (select t.tableoid, t.ctid");
        self.push_read(&mut statement, "t");
        statement.push(" from ").table(&self.table);
        statement.push(" t) to stdout (format binary)");
        statement
    }

    /// Keeps the rows that are at the places as they are.
    pub(in crate::engine::postgres::apply) fn lock_placed(&self) -> Sql {
        let mut statement = sql();
        statement.push("select");
        self.push_placed(&mut statement, " for update");
        statement
    }

    /// Numbers and rows, as they are read, of the places where rows are.
    pub(in crate::engine::postgres::apply) fn copy_placed(&self) -> Sql {
        let mut statement = sql();
        statement.push("copy (select s.number");
        self.push_read(&mut statement, "t");
        self.push_placed(&mut statement, "");
        statement.push(") to stdout (format binary)");
        statement
    }

    /// Inserts what the stage holds, and writes down where.
    pub(in crate::engine::postgres::apply) fn insert_noting_places(&self) -> Sql {
        let mut statement = sql();
        statement.push("with i as (").append(&self.insert());
        statement.push(" returning tableoid as part, ctid as spot) insert into ");
        statement.push(PLACES);
        statement.push(
            " select pg_catalog.int4(pg_catalog.row_number() over ()), i.part, i.spot from i",
        );
        statement
    }

    pub(in crate::engine::postgres::apply) fn delete_placed(&self) -> Sql {
        let mut statement = sql();
        statement.push("delete from ").table(&self.table);
        statement.push(" t using ").push(PLACES).push(" s where ");
        at_place(&mut statement, "t");
        statement
    }

    /// The numbers of the places whose rows others point to.
    pub(in crate::engine::postgres::apply) fn copy_pointing_to_placed(&self, by: &Pointing) -> Sql {
        let mut statement = sql();
        statement.push("copy (select s.number");
        self.push_placed(&mut statement, "");
        statement
            .push(" where exists (select from ")
            .table(&by.table);
        statement.push(" c where ");
        statement.list(&by.pairs, " and ", |sql, (here, equals, there)| {
            sql.push("t.").ident(here).push(" ").native_type(equals);
            sql.push(" c.").ident(there);
        });
        if by.own {
            statement.push(" and not (");
            at_place(&mut statement, "c");
            statement.push(")");
        }
        statement.push(")) to stdout (format binary)");
        statement
    }

    /// Adds the places with their rows. Each is looked up by its own: `offset 0` keeps the planner from reading the whole
    /// table for them.
    fn push_placed(&self, statement: &mut Sql, lock: &'static str) {
        statement.push(" from ").push(PLACES);
        statement
            .push(" s cross join lateral (select * from ")
            .table(&self.table)
            .push(" t where ");
        at_place(statement, "t");
        statement.push(" offset 0").push(lock).push(") t");
    }
}

fn at_place(statement: &mut Sql, row: &'static str) {
    statement
        .push(row)
        .push(".ctid operator(pg_catalog.=) s.spot and ")
        .push(row)
        .push(".tableoid operator(pg_catalog.=) s.part");
}
