//! Removing what a call has made before it failed.
//!
//! Invariant: a table that has rows by now stays, and what stays is told.

use sqlx::Row;

use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::fault;
use crate::engine::mysql::schemas::Schemas;
use crate::model::table::TableName;

/// `cause`, saying what became of the tables that were `made` before it.
pub(super) async fn undone(
    session: &mut Session,
    schemas: &Schemas,
    made: &[&TableName],
    cause: EngineError,
) -> EngineError {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    for table in made {
        // Tables may point to each other, and then none could go first.
        let _ = remove_foreign_keys(session, schemas, table).await;
    }
    for table in made {
        match remove(session, schemas, table).await {
            Ok(true) => removed.push(table.to_string()),
            Ok(false) => left.push(format!("{table}, which has rows by now")),
            Err(err) => left.push(format!("{table} ({err})")),
        }
    }
    let mut words = String::new();
    if !removed.is_empty() {
        words.push_str(&format!(
            "; made before and removed again: {}",
            removed.join(", ")
        ));
    }
    if !left.is_empty() {
        words.push_str(&format!(
            "; made before and still here: {}",
            left.join(", ")
        ));
    }
    with_words(cause, &words)
}

fn with_words(cause: EngineError, words: &str) -> EngineError {
    match cause {
        EngineError::Lost(message) => EngineError::Lost(message + words),
        EngineError::Full(message) => EngineError::Full(message + words),
        EngineError::Denied(message) => EngineError::Denied(message + words),
        EngineError::Statement { table, message } => EngineError::Statement {
            table,
            message: message + words,
        },
        EngineError::Locked { table, message } => EngineError::Locked {
            table,
            message: message + words,
        },
        cause => cause,
    }
}

/// Removes a table that is empty; whether it was.
async fn remove(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<bool, EngineError> {
    let engine = |err| fault(err, table);
    let mut question = schemas.sql();
    question
        .push("select not exists (select 1 from ")
        .table(table)
        .push(")");
    let row = session.one(&question).await.map_err(engine)?;
    let is_empty: bool = row.try_get(0).map_err(engine)?;
    if is_empty {
        let mut drop = schemas.sql();
        drop.push("drop table ").table(table);
        session.execute(&drop).await.map_err(engine)?;
    }
    Ok(is_empty)
}

async fn remove_foreign_keys(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<(), sqlx::Error> {
    let mut question = schemas.sql();
    question.push(
        "select distinct cast(constraint_name as char)
         from information_schema.key_column_usage
         where referenced_table_name is not null and table_schema = ",
    );
    question.literal(schemas.of(table).unwrap_or_default());
    question.push(" and table_name = ").literal(&table.name);
    let names: Vec<(String,)> = session.all(&question).await?;
    for (name,) in names {
        let mut drop = schemas.sql();
        drop.push("alter table ").table(table);
        drop.push(" drop foreign key ").ident(&name);
        session.execute(&drop).await?;
    }
    Ok(())
}
