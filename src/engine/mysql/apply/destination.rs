//! What applying has to know of a table before it begins.
//!
//! Invariant: taken in a transaction that touched the table first, so that its shape is locked.

use std::collections::BTreeSet;

use sqlx::Row;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::mysql::apply::statements::Statements;
use crate::engine::mysql::apply::verdict::Rules;
use crate::engine::mysql::catalogue::{self, Answers, Scope};
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::encoder::Encoder;
use crate::engine::mysql::fault::{fault, is_missing_table};
use crate::engine::mysql::introspect;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::sql::Sql;
use crate::model::table::{Column, Table, TableName};

/// Rows that are only looked at stay unlocked, and so do the gaps where keys are absent.
const BEGIN: &str = "
set transaction isolation level read committed;
start transaction read write";
/// Where the log for replicas holds statements, the server takes no other.
const BEGIN_REPEATABLE: &str = "
set transaction isolation level repeatable read;
start transaction read write";

/// Character sets in which different text is never stored as the same.
const FAITHFUL: [&str; 9] = [
    "utf8mb4", "utf8mb3", "utf8", "latin1", "ascii", "ucs2", "utf16", "utf16le", "utf32",
];

/// What was found.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) statements: Statements,
    pub(super) rules: Rules,
    /// It held no rows: nothing is there to be compared with.
    pub(super) began_empty: bool,
    /// Equal keys may differ in bytes.
    pub(super) folded: bool,
    /// What is stored is what was sent, or an error; if not, written rows are read back.
    pub(super) exact: bool,
    /// Begins a transaction.
    pub(super) begin: &'static str,
    /// The largest packet the server takes.
    pub(super) packet: usize,
    /// What [`form`] answered.
    pub(super) form: String,
}

/// Looks at the table of `job` in a short transaction of its own.
pub(super) async fn prepare(
    session: &mut Session,
    schemas: &Schemas,
    job: &ApplyJob,
) -> Result<Destination, EngineError> {
    let name = &job.table.name;
    let engine = |err| fault(err, name);
    let schema = schemas
        .of(name)
        .ok_or_else(|| EngineError::NoTable(name.clone()))?;
    session.run(BEGIN).await.map_err(engine)?;
    touch(session, schemas, name).await?;
    let table = introspect::table(session, schemas, name)
        .await
        .map_err(engine)?
        .ok_or_else(|| EngineError::NoTable(name.clone()))?;
    check(&table, job)?;
    let scope = Scope {
        schemas,
        schema,
        name: Some(&name.name),
    };
    let answers = catalogue::ask(session, scope).await.map_err(engine)?;
    let found = look(session, schemas, (&table, &answers), job).await?;
    session.run("commit").await.map_err(engine)?;
    Ok(found)
}

/// From here on to the end of the transaction the table's shape stays as it is.
async fn touch(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<(), EngineError> {
    let mut touch = schemas.sql();
    touch.push("select 1 from ").table(table).push(" limit 1");
    match session.execute(&touch).await {
        Ok(_) => Ok(()),
        Err(err) if is_missing_table(&err) => Err(EngineError::NoTable(table.clone())),
        Err(err) => Err(fault(err, table)),
    }
}

/// Locks the table's shape and gives back its columns and unique keys as a text that is another when one of them
/// changes: a column narrowed between two transactions would cut what the next one writes.
pub(super) async fn form(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<String, EngineError> {
    touch(session, schemas, table).await?;
    let schema = schemas.of(table).unwrap_or_default();
    let mut query = schemas.sql();
    let of = |query: &mut Sql| {
        query.push("table_schema = ").literal(schema);
        query.push(" and table_name = ").literal(&table.name);
    };
    query.push(
        "select concat_ws(';',
          (select group_concat(concat_ws(' ', column_name, column_type, is_nullable, extra, collation_name)
                               order by ordinal_position)
           from information_schema.columns
           where ",
    );
    of(&mut query);
    query.push(
        "), (select group_concat(concat_ws(' ', index_name, column_name, sub_part) order by index_name, seq_in_index)
           from information_schema.statistics
           where non_unique = 0 and ",
    );
    of(&mut query);
    query.push("))");
    let row = session.one(&query).await;
    row.and_then(|row| row.try_get(0))
        .map_err(|err| fault(err, table))
}

fn check(table: &Table, job: &ApplyJob) -> Result<(), EngineError> {
    if let Some(reason) = &table.not_writable {
        return Err(EngineError::of_table(&table.name, reason.clone()));
    }
    if !job.fits(table) {
        return Err(EngineError::SchemaChanged(table.name.clone()));
    }
    let is_sent = |column: &Column| job.columns.iter().any(|sent| sent.name == column.name);
    let unfilled = |column: &&Column| {
        !column.nullable && !column.has_default && !column.generated && !is_sent(column)
    };
    match table.columns.iter().find(unfilled) {
        Some(column) if rules(job).insert() => Err(EngineError::of_table(
            &table.name,
            format!(
                "column {} exists only here, and takes neither NULL nor a default",
                column.name
            ),
        )),
        _ => Ok(()),
    }
}

fn rules(job: &ApplyJob) -> Rules {
    Rules {
        mode: job.mode,
        conflict: job.conflict,
    }
}

async fn look(
    session: &mut Session,
    schemas: &Schemas,
    (table, answers): (&Table, &Answers),
    job: &ApplyJob,
) -> Result<Destination, EngineError> {
    let engine = |err| fault(err, &table.name);
    let columns: Vec<Column> = job
        .columns
        .iter()
        .filter_map(|column| table.column(&column.name).cloned())
        .collect();
    let (index, key, folded) = key(table, answers, job)?;
    let statements = Statements::new(schemas, job, columns, (index, &key), folded);
    let began_empty: bool = session
        .one(&statements.is_empty())
        .await
        .and_then(|row| row.try_get(0))
        .map_err(engine)?;
    let mut query = schemas.sql();
    query.push(
        "select cast(@@max_allowed_packet as signed), coalesce(@@log_bin and @@binlog_format = 'STATEMENT', false)",
    );
    let settings = session.one(&query).await.map_err(engine)?;
    let packet: i64 = settings.try_get(0).map_err(engine)?;
    let by_statement: bool = settings.try_get(1).map_err(engine)?;
    Ok(Destination {
        exact: statements.encoders().iter().all(Encoder::is_exact) && is_faithful(answers, job),
        statements,
        rules: rules(job),
        began_empty,
        folded,
        begin: if by_statement {
            BEGIN_REPEATABLE
        } else {
            BEGIN
        },
        packet: usize::try_from(packet).unwrap_or_default(),
        form: form(session, schemas, &table.name).await?,
    })
}

/// The index that serves as the key of `job`, its columns in their order, and whether it is folded.
fn key(
    table: &Table,
    answers: &Answers,
    job: &ApplyJob,
) -> Result<(String, Vec<String>, bool), EngineError> {
    let wanted: BTreeSet<&String> = job.key.iter().collect();
    let is_wanted = |columns: &[String]| columns.iter().collect::<BTreeSet<_>>() == wanted;
    let known = table.key_on(&job.key);
    let mut indexes: Vec<(&str, Vec<String>)> = Vec::new();
    for row in &answers.keys {
        // A prefix or an expression makes no key.
        let name = row
            .name
            .clone()
            .filter(|_| !row.is_prefix)
            .unwrap_or_default();
        match indexes.last_mut() {
            Some((index, columns)) if *index == row.key => columns.push(name),
            _ => indexes.push((&row.key, vec![name])),
        }
    }
    let index = indexes.into_iter().find(|(_, columns)| is_wanted(columns));
    match (known, index) {
        (Some(known), Some((name, columns))) => Ok((name.to_owned(), columns, known.folded)),
        _ => Err(EngineError::of_table(
            &table.name,
            format!(
                "no unique index on ({}) can serve as the key",
                job.key.join(", ")
            ),
        )),
    }
}

fn is_faithful(answers: &Answers, job: &ApplyJob) -> bool {
    let columns = answers.columns.iter();
    let mut sent = columns.filter(|row| job.columns.iter().any(|column| column.name == row.name));
    sent.all(|row| {
        row.collation.as_ref().is_none_or(|collation| {
            let charset = collation.split('_').next().unwrap_or_default();
            FAITHFUL.contains(&charset)
        })
    })
}
