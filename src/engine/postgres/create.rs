//! Making tables after a peer's: names, neutral types, keys. Nothing else of a stranger's table gets in.
//!
//! Invariant: names are checked and quoted; types are this program's words or printed by this database.

mod foreign_key;

use std::collections::HashMap;

use sqlx::postgres::PgPool;

use crate::engine::driver::{Creation, NewTable};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{DEFAULT_SCHEMA, Session, sql};
use crate::engine::postgres::fault::fault;
use crate::engine::postgres::introspect;
use crate::engine::postgres::types::created_as;
use crate::engine::sql::Sql;
use crate::model::table::{Column, Engine, NeutralType, Table, TableName, UniqueKey};

/// PostgreSQL cuts longer names off in silence.
const LONGEST_NAME: usize = 63;

/// What is to be run, and what is not taken over.
#[derive(Debug, Default)]
pub(super) struct Plan {
    statements: Vec<Sql>,
    left_out: Vec<String>,
}

impl Plan {
    /// For people.
    pub(super) fn creation(self) -> Creation {
        let statements = self
            .statements
            .iter()
            .map(|statement| statement.text().to_owned())
            .collect();
        Creation {
            statements,
            left_out: self.left_out,
        }
    }
}

/// Makes all of `tables` or none.
pub(super) async fn create(
    pool: &PgPool,
    schemas: &[String],
    tables: &[NewTable],
) -> Result<(), EngineError> {
    let mut session = Session::open(pool).await?;
    let created = create_in(&mut session, schemas, tables).await;
    session.end(created).await
}

async fn create_in(
    session: &mut Session,
    schemas: &[String],
    tables: &[NewTable],
) -> Result<(), EngineError> {
    let Some(first) = tables.first() else {
        return Ok(());
    };
    let engine = |err| fault(err, &first.table.name);
    session
        .run("begin isolation level read committed, read write")
        .await
        .map_err(engine)?;
    for statement in plan(session, schemas, tables).await?.statements {
        session.execute(&statement).await.map_err(engine)?;
    }
    session.run("commit").await.map_err(engine)
}

/// What making `tables` takes.
pub(super) async fn plan(
    session: &mut Session,
    schemas: &[String],
    tables: &[NewTable],
) -> Result<Plan, EngineError> {
    let mut parents: HashMap<TableName, Option<Table>> = HashMap::new();
    for table in tables {
        check_names(&table.table, schemas)?;
        for key in &table.table.foreign_keys {
            if !parents.contains_key(&key.table) {
                let made = tables.iter().find(|other| other.table.name == key.table);
                let parent = match made {
                    Some(made) => Some(made.table.clone()),
                    None => lookup(session, schemas, &key.table).await?,
                };
                parents.insert(key.table.clone(), parent);
            }
        }
    }
    let natives = native_types(session, tables).await?;
    let mut plan = Plan::default();
    for table in tables {
        plan_table(&mut plan, table, &natives);
    }
    for table in tables {
        for key in &table.table.foreign_keys {
            let parent = parents.get(&key.table).and_then(Option::as_ref);
            let planned = foreign_key::plan(&table.table, key, parent);
            plan.statements.extend(planned.statement);
            plan.left_out.extend(planned.left_out);
        }
    }
    Ok(plan)
}

async fn lookup(
    session: &mut Session,
    schemas: &[String],
    name: &TableName,
) -> Result<Option<Table>, EngineError> {
    let connection = session.raw().map_err(|err| fault(err, name))?;
    introspect::table(connection, schemas, name)
        .await
        .map_err(|err| fault(err, name))
}

fn check_names(table: &Table, schemas: &[String]) -> Result<(), EngineError> {
    let refuse = |message: String| EngineError::Statement {
        table: table.name.to_string(),
        message,
    };
    let schema = table.name.schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
    if !schemas.iter().any(|known| known == schema) {
        return Err(refuse(format!("schema {schema} is not among site.schemas")));
    }
    let names = table
        .columns
        .iter()
        .map(|column| &column.name)
        .chain([&table.name.name]);
    for name in names {
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(refuse(format!(
                "{name:?} is no name of 1 to {LONGEST_NAME} bytes without control characters"
            )));
        }
    }
    if writable(table).next().is_none() {
        return Err(refuse("it has no column that could be made".into()));
    }
    Ok(())
}

fn writable(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

/// The built-in types among those that only PostgreSQL knows, as this database prints them.
async fn native_types(
    session: &mut Session,
    tables: &[NewTable],
) -> Result<HashMap<String, String>, EngineError> {
    let mut natives = HashMap::new();
    for table in tables
        .iter()
        .filter(|table| table.source == Engine::Postgres)
    {
        for column in writable(&table.table).filter(|column| column.kind == NeutralType::Other) {
            if natives.contains_key(&column.native) {
                continue;
            }
            if let Some(printed) = built_in(session, &table.table.name, &column.native).await? {
                let printed = with_modifiers(&column.native, printed);
                natives.insert(column.native.clone(), printed);
            }
        }
    }
    Ok(natives)
}

/// A type's name without its modifiers, and these: `bit` and `3` of `bit(3)`.
fn split_modifiers(native: &str) -> (String, Option<&str>) {
    let split = native
        .split_once('(')
        .and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
    match split {
        Some((before, (modifiers, after))) => (format!("{before}{after}"), Some(modifiers)),
        None => (native.to_owned(), None),
    }
}

/// The type with the modifiers the source gave it, where they are numbers and the name is as this database prints it.
fn with_modifiers(native: &str, printed: String) -> String {
    let (name, modifiers) = split_modifiers(native);
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let numbers = modifiers.is_none_or(|modifiers| modifiers.split(',').all(is_number));
    if numbers
        && (printed.trim_matches('"') == name && modifiers.is_some()
            || is_some_of_an_interval(&name, &printed))
    {
        native.to_owned()
    } else {
        printed
    }
}

/// `interval day to second`: its fields are modifiers too, though no numbers.
fn is_some_of_an_interval(name: &str, printed: &str) -> bool {
    const FIELDS: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "to"];
    printed == "interval"
        && name
            .strip_prefix("interval ")
            .is_some_and(|fields| fields.split(' ').all(|field| FIELDS.contains(&field)))
}

async fn built_in(
    session: &mut Session,
    table: &TableName,
    native: &str,
) -> Result<Option<String>, EngineError> {
    // The name before its modifiers: `to_regtype` of older versions fails on what it cannot parse.
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, ' ' | '_' | '[' | ']')
    };
    let (without_modifiers, _) = split_modifiers(native);
    if without_modifiers.is_empty() || !without_modifiers.chars().all(plain) {
        return Ok(None);
    }
    sqlx::query_scalar(
        "
select format_type(t.oid, -1)
from pg_type t
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where t.oid = to_regtype($1)
  and t.typnamespace = 'pg_catalog'::regnamespace
  and t.typtype in ('b', 'r', 'm')
  and (e.oid is null or e.typtype in ('b', 'r', 'm'))",
    )
    .bind(without_modifiers)
    .fetch_optional(session.raw().map_err(|err| fault(err, table))?)
    .await
    .map_err(|err| fault(err, table))
}

fn plan_table(plan: &mut Plan, new: &NewTable, natives: &HashMap<String, String>) {
    let table = &new.table;
    let mut statement = sql();
    statement
        .push("create table ")
        .table(&table.name)
        .push(" (");
    statement.list(writable(table), ",", |sql, column| {
        let (native, left_out) = native_of(new, column, natives);
        sql.push("\n  ")
            .ident(&column.name)
            .push(" ")
            .native_type(&native);
        if !column.nullable {
            sql.push(" not null");
        }
        if is_sequence(column) {
            sql.push(" generated by default as identity");
        }
        plan.left_out.extend(left_out);
    });
    for (key, words) in keys(table) {
        if key
            .columns
            .iter()
            .all(|name| writable(table).any(|column| column.name == *name))
        {
            statement.push(",\n  ").push(words).push(" (");
            statement
                .idents(key.columns.iter().map(String::as_str))
                .push(")");
            if key.folded && key.columns.iter().any(|name| is_text(table, name)) {
                let columns = key.columns.join(", ");
                plan.left_out.push(format!(
                    "{}: the key ({columns}) does not tell all values apart there; here it compares them exactly",
                    table.name
                ));
            }
        } else {
            let columns = key.columns.join(", ");
            plan.left_out.push(format!(
                "{}: the key ({columns}), which has a generated column",
                table.name
            ));
        }
    }
    statement.push("\n)");
    plan.statements.push(statement);
    for column in &table.columns {
        if column.generated {
            plan.left_out.push(format!(
                "{}.{}: a generated column",
                table.name, column.name
            ));
        } else if column.has_default && !column.identity {
            plan.left_out
                .push(format!("{}.{}: its default", table.name, column.name));
        }
    }
    if !table.triggers.is_empty() {
        plan.left_out.push(format!(
            "{}: its triggers {}",
            table.name,
            table.triggers.join(", ")
        ));
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

fn is_sequence(column: &Column) -> bool {
    column.identity && !column.nullable && column.kind.is_integer()
}

/// The column's type here, and a sentence where it is not the source's.
fn native_of(
    new: &NewTable,
    column: &Column,
    natives: &HashMap<String, String>,
) -> (String, Option<String>) {
    if let Some(native) = created_as(column) {
        return (native, None);
    }
    let place = format!("{}.{}", new.table.name, column.name);
    match natives
        .get(&column.native)
        .filter(|_| new.source == Engine::Postgres)
    {
        Some(native) if *native == column.native => (native.clone(), None),
        Some(native) => (
            native.clone(),
            Some(format!("{place}: {} becomes {native}", column.native)),
        ),
        None => (
            "text".into(),
            Some(format!("{place}: the type {} becomes text", column.native)),
        ),
    }
}
