//! Making tables after a peer's: names, neutral types, keys. Nothing else of a stranger's table gets in.
//!
//! MySQL has no transactions over definitions: when a statement fails, what this call made is removed again, as long as
//! it is still empty, and the fault says so. It is finished, or undone, also when nobody waits for it any longer.
//! Invariant: names are checked and quoted; types are this program's words.

mod foreign_key;
mod made;
mod undo;

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::mysql::MySqlPool;

use crate::base::task::Tasks;
use crate::engine::driver::{Creation, NewTable};
use crate::engine::error::EngineError;
use crate::engine::mysql::catalogue::{self, Scope};
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::create::foreign_key::{COLLATION, Side};
use crate::engine::mysql::create::made::{MadeTable, Server, can_be_key, columns, writable};
use crate::engine::mysql::create::undo::undone;
use crate::engine::mysql::fault::fault;
use crate::engine::mysql::introspect;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::sql::Sql;
use crate::model::table::{Column, NeutralType, Table, TableName, UniqueKey};

/// MySQL takes 64 characters, PostgreSQL 63 bytes.
const LONGEST_NAME: usize = 63;

/// What is to be run, and what is not taken over.
#[derive(Debug, Default)]
struct Plan {
    /// A table, and what makes it or adds a foreign key to it.
    statements: Vec<(TableName, Sql)>,
    left_out: Vec<String>,
}

/// What making `tables` would run.
pub(super) async fn plan(
    session: &mut Session,
    schemas: &Schemas,
    tables: &[NewTable],
) -> Result<Creation, EngineError> {
    let plan = planned(session, schemas, tables).await?;
    let statements = plan.statements.iter();
    Ok(Creation {
        statements: statements
            .map(|(_, statement)| statement.text().to_owned())
            .collect(),
        left_out: plan.left_out,
    })
}

/// Makes all of `tables` or none, as far as the database lets undo what was made.
pub(super) async fn create(
    pool: &MySqlPool,
    tasks: &Tasks,
    schemas: &Schemas,
    tables: &[NewTable],
) -> Result<(), EngineError> {
    let mut session = Session::open(pool).await?;
    let plan = planned(&mut session, schemas, tables).await?;
    let schemas = schemas.clone();
    let work = tasks.spawn("mysql create", async move {
        let outcome = run(&mut session, &schemas, &plan).await;
        session.abandon().await;
        outcome
    });
    work.await
        .map_err(|_| EngineError::Lost("the task that makes tables ended".to_owned()))?
}

async fn run(session: &mut Session, schemas: &Schemas, plan: &Plan) -> Result<(), EngineError> {
    let mut made: Vec<&TableName> = Vec::new();
    for (table, statement) in &plan.statements {
        if let Err(err) = session.execute(statement).await {
            return Err(undone(session, schemas, &made, fault(err, table)).await);
        }
        if !made.contains(&table) {
            made.push(table);
        }
    }
    Ok(())
}

async fn planned(
    session: &mut Session,
    schemas: &Schemas,
    tables: &[NewTable],
) -> Result<Plan, EngineError> {
    let Some(first) = tables.first() else {
        return Ok(Plan::default());
    };
    let server = server(session, schemas, &first.table.name).await?;
    let (mut plan, mut sides) = (Plan::default(), BTreeMap::new());
    for new in tables {
        check(&new.table, schemas, server)?;
        let existing = exists(session, schemas, &new.table.name).await?;
        if existing || sides.contains_key(&new.table.name) {
            return Err(EngineError::of_table(
                &new.table.name,
                "a table of this name is here already".to_owned(),
            ));
        }
        let made = columns(new, server)
            .map_err(|reason| EngineError::of_table(&new.table.name, reason))?;
        plan_table(&mut plan, schemas, &new.table, &made);
        let natives = made.natives.into_iter();
        let side = Side {
            table: new.table.clone(),
            natives: natives
                .map(|(name, native)| (name, (native, Some(COLLATION.to_owned()))))
                .collect(),
        };
        sides.insert(new.table.name.clone(), side);
    }
    for new in tables {
        for key in &new.table.foreign_keys {
            if !sides.contains_key(&key.table)
                && let Some(side) = existing(session, schemas, &key.table).await?
            {
                sides.insert(key.table.clone(), side);
            }
            let Some(child) = sides.get(&new.table.name) else {
                continue;
            };
            let planned = foreign_key::plan(schemas, child, key, sides.get(&key.table));
            let statement = planned.statement;
            plan.statements
                .extend(statement.map(|statement| (new.table.name.clone(), statement)));
            plan.left_out.extend(planned.left_out);
        }
    }
    Ok(plan)
}

async fn server(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<Server, EngineError> {
    let engine = |err| fault(err, table);
    let mut question = schemas.sql();
    question.push("select version(), cast(@@lower_case_table_names as signed) = 1");
    let row = session.one(&question).await.map_err(engine)?;
    let version: String = row.try_get(0).map_err(engine)?;
    let number = version.trim_start_matches("5.5.5-");
    let mut parts = number.split(['.', '-']).map_while(|part| part.parse().ok());
    Ok(Server {
        mariadb: version.contains("MariaDB"),
        version: (parts.next().unwrap_or(0), parts.next().unwrap_or(0)),
        lower_case: row.try_get(1).map_err(engine)?,
    })
}

/// Whether a table or view has this name.
async fn exists(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<bool, EngineError> {
    let mut question = schemas.sql();
    question.push("select exists (select 1 from information_schema.tables where table_schema = ");
    question.literal(schemas.of(table).unwrap_or_default());
    question
        .push(" and table_name = ")
        .literal(&table.name)
        .push(")");
    let row = session.one(&question).await;
    row.and_then(|row| row.try_get(0))
        .map_err(|err| fault(err, table))
}

/// A table that is here already and may be pointed to.
async fn existing(
    session: &mut Session,
    schemas: &Schemas,
    name: &TableName,
) -> Result<Option<Side>, EngineError> {
    let engine = |err| fault(err, name);
    let Some(schema) = schemas.of(name) else {
        return Ok(None);
    };
    let table = introspect::table(session, schemas, name)
        .await
        .map_err(engine)?;
    let Some(table) = table.filter(|table| table.not_writable.is_none()) else {
        return Ok(None);
    };
    let scope = Scope {
        schemas,
        schema,
        name: Some(&name.name),
    };
    let answers = catalogue::ask(session, scope).await.map_err(engine)?;
    let natives = answers.columns.into_iter();
    Ok(Some(Side {
        table,
        natives: natives
            .map(|row| (row.name, (row.native, row.collation)))
            .collect(),
    }))
}

fn check(table: &Table, schemas: &Schemas, server: Server) -> Result<(), EngineError> {
    if schemas.of(&table.name).is_none() {
        let schema = table.name.schema.as_deref().unwrap_or_default();
        return Err(EngineError::of_table(
            &table.name,
            format!("database {schema} is not among site.schemas"),
        ));
    }
    if server.lower_case && table.name.name.to_lowercase() != table.name.name {
        let words = "this server keeps names of tables in lower case, and the name is not; map it to one that is";
        return Err(EngineError::of_table(&table.name, words.to_owned()));
    }
    let names: Vec<&String> = writable(table).map(|column| &column.name).collect();
    for name in names.iter().copied().chain([&table.name.name]) {
        if name.is_empty()
            || name.len() > LONGEST_NAME
            || name.ends_with(' ')
            || name
                .chars()
                .any(|letter| letter.is_control() || letter > '\u{FFFF}')
        {
            return Err(EngineError::of_table(
                &table.name,
                format!(
                    "{name:?} is no name of 1 to {LONGEST_NAME} bytes without control characters, emoji and a space at its end"
                ),
            ));
        }
    }
    for (at, name) in names.iter().enumerate() {
        let lower = name.to_lowercase();
        if names
            .iter()
            .take(at)
            .any(|other| other.to_lowercase() == lower)
        {
            return Err(EngineError::of_table(
                &table.name,
                format!("{name} and another column differ only in case"),
            ));
        }
    }
    if names.is_empty() {
        return Err(EngineError::of_table(
            &table.name,
            "it has no column that could be made".to_owned(),
        ));
    }
    Ok(())
}

fn plan_table(plan: &mut Plan, schemas: &Schemas, table: &Table, made: &MadeTable) {
    let counter = counter(table, made);
    let in_primary = |name: &String| {
        let key = table.primary_key.as_ref();
        key.is_some_and(|key| key.columns.contains(name) && can_be_key(table, &key.columns))
    };
    let mut statement = schemas.sql();
    statement
        .push("create table ")
        .table(&table.name)
        .push(" (");
    statement.list(writable(table), ",", |sql, column| {
        let native = made.natives.get(&column.name);
        sql.push("\n  ").ident(&column.name).push(" ");
        sql.native_type(native.map_or("longtext", String::as_str));
        let nullable = column.nullable && !in_primary(&column.name);
        sql.push(if nullable { " null" } else { " not null" });
        if counter.is_some_and(|counter| counter.name == column.name) {
            sql.push(" auto_increment");
        }
    });
    for (key, words) in keys(table) {
        let names = key.columns.join(", ");
        if !can_be_key(table, &key.columns) {
            plan.left_out.push(format!(
                "{}: the key ({names}), which has a column that cannot be part of a key here",
                table.name
            ));
            continue;
        }
        statement.push(",\n  ").push(words).push(" (");
        statement
            .idents(key.columns.iter().map(String::as_str))
            .push(")");
        if key.folded && key.columns.iter().any(|name| is_text(table, name)) {
            plan.left_out.push(format!(
                "{}: the key ({names}) may not tell all values apart there; here it compares them exactly but for spaces at the end",
                table.name
            ));
        }
    }
    statement.push("\n) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin");
    plan.statements.push((table.name.clone(), statement));
    plan.left_out.extend(made.left_out.iter().cloned());
    for column in &table.columns {
        let place = format!("{}.{}", table.name, column.name);
        if column.generated {
            plan.left_out.push(format!("{place}: a generated column"));
        } else if column.identity && counter.is_none_or(|counter| counter.name != column.name) {
            plan.left_out
                .push(format!("{place}: that it counts up by itself"));
        } else if column.has_default && !column.identity {
            plan.left_out.push(format!("{place}: its default"));
        }
    }
    if !table.triggers.is_empty() {
        let triggers = table.triggers.join(", ");
        plan.left_out
            .push(format!("{}: its triggers {triggers}", table.name));
    }
}

fn keys(table: &Table) -> impl Iterator<Item = (&UniqueKey, &'static str)> {
    let primary = table.primary_key.iter().map(|key| (key, "primary key"));
    primary.chain(table.unique.iter().map(|key| (key, "unique")))
}

fn is_text(table: &Table, name: &str) -> bool {
    table
        .column(name)
        .is_some_and(|column| matches!(column.kind, NeutralType::Text | NeutralType::Other))
}

/// The one column that may count up by itself: an integer that a key begins with.
fn counter<'t>(table: &'t Table, made: &MadeTable) -> Option<&'t Column> {
    let leads = |column: &Column| {
        let mut keys = keys(table).filter(|(key, _)| can_be_key(table, &key.columns));
        keys.any(|(key, _)| key.columns.first() == Some(&column.name))
    };
    let is_integer = |column: &Column| {
        let native = made.natives.get(&column.name).map(String::as_str);
        matches!(
            native,
            Some("smallint" | "int" | "bigint" | "bigint unsigned")
        )
    };
    writable(table)
        .find(|column| column.identity && !column.nullable && is_integer(column) && leads(column))
}
