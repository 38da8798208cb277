//! What `doctor` tells about a PostgreSQL database: version, rights, triggers, keys.
//!
//! Only looks. Invariant: each finding that is not in order says what to do.

use sqlx::Row;

use crate::engine::check::{about_rights, about_tables, some_of};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::fault::general;
use crate::engine::postgres::introspect;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, TableName};

const OLDEST_VERSION: i32 = 130_000;
/// The version, for people.
pub(super) async fn version(session: &mut Session) -> Result<String, EngineError> {
    let mut query = sql();
    query.push("show server_version");
    let version: String = session
        .one(&query)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|err| general(&err))?;
    Ok(format!("PostgreSQL {version}"))
}

/// All findings.
pub(super) async fn check(
    session: &mut Session,
    schemas: &[String],
    used: &TablesInUse,
) -> Result<Vec<Finding>, EngineError> {
    let mut findings = vec![is_recent(session).await?];
    findings.extend(role(session, used).await?);
    findings.extend(schema_findings(session, schemas).await?);
    let connection = session.raw().map_err(|err| general(&err))?;
    let tables = introspect::tables(connection, schemas)
        .await
        .map_err(|err| general(&err))?;
    findings.extend(rights(session, schemas, tables.len(), used).await?);
    findings.extend(about_tables(&tables, used, Engine::Postgres));
    Ok(findings)
}

async fn is_recent(session: &mut Session) -> Result<Finding, EngineError> {
    let what = version(session).await?;
    let mut query = sql();
    query.push("select current_setting('server_version_num')::int4");
    let number: i32 = session
        .one(&query)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|err| general(&err))?;
    Ok(if number >= OLDEST_VERSION {
        Finding::good(what)
    } else {
        Finding::bad(what, "use PostgreSQL 13 or later")
    })
}

async fn role(session: &mut Session, used: &TablesInUse) -> Result<Vec<Finding>, EngineError> {
    let mut query = sql();
    query.push(
        "
select current_user::text,
       (select r.rolsuper from pg_roles r where r.rolname = current_user),
       has_database_privilege(current_database(), 'TEMP')",
    );
    let row = session.one(&query).await.map_err(|err| general(&err))?;
    let name: String = row.try_get(0).map_err(|err| general(&err))?;
    let is_superuser: Option<bool> = row.try_get(1).map_err(|err| general(&err))?;
    let may_stage: bool = row.try_get(2).map_err(|err| general(&err))?;
    let superuser = if is_superuser == Some(true) {
        Finding::bad(
            format!("role {name} is a superuser"),
            "use a role that has only select, insert and update on the tables to be synchronized",
        )
    } else {
        Finding::good(format!("role {name} is no superuser"))
    };
    let temporary = if may_stage {
        Finding::good(format!("role {name} may make temporary tables"))
    } else {
        let what = format!(
            "role {name} may not make temporary tables, so that it can only fill empty tables"
        );
        if used.received.is_empty() {
            Finding::good(what)
        } else {
            Finding::bad(what, format!("grant temporary on database ... to {name}"))
        }
    };
    Ok(vec![superuser, temporary])
}

async fn schema_findings(
    session: &mut Session,
    schemas: &[String],
) -> Result<Vec<Finding>, EngineError> {
    let connection = session.raw().map_err(|err| general(&err))?;
    let missing: Vec<String> = sqlx::query_scalar(
        "
select wanted
from unnest($1) wanted
where to_regnamespace(quote_ident(wanted)) is null",
    )
    .bind(schemas)
    .fetch_all(connection)
    .await
    .map_err(|err| general(&err))?;
    Ok(missing
        .into_iter()
        .map(|schema| {
            Finding::bad(
                format!("schema {schema} does not exist"),
                "correct site.schemas",
            )
        })
        .collect())
}

/// Tables the role cannot read, cannot write, or sees through row security.
async fn rights(
    session: &mut Session,
    schemas: &[String],
    tables: usize,
    used: &TablesInUse,
) -> Result<Vec<Finding>, EngineError> {
    let connection = session.raw().map_err(|err| general(&err))?;
    let rows: Vec<(Option<String>, String, bool, bool, bool)> = sqlx::query_as(
        "
select nullif(n.nspname, 'public')::text,
       c.relname::text,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'),
       has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update'),
       row_security_active(c.oid)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
  and not c.relispartition
  and n.nspname = any($1)
order by 1 nulls first, 2",
    )
    .bind(schemas)
    .fetch_all(connection)
    .await
    .map_err(|err| general(&err))?;
    let (mut unreadable, mut unwritable, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    for (schema, name, readable, writable, secured) in rows {
        let table = TableName { schema, name };
        if secured {
            hidden.push(table.to_string());
        }
        if !readable {
            unreadable.push(table.clone());
        }
        if !writable {
            unwritable.push(table);
        }
    }
    let mut findings = about_rights(tables, &unreadable, &unwritable, used);
    if !hidden.is_empty() {
        findings.push(Finding::bad(
            format!("row security hides rows of {}", some_of(&hidden)),
            "use the tables' owner or a role with bypassrls; until then reading and writing them is refused",
        ));
    }
    Ok(findings)
}
