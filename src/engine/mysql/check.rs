//! What `doctor` tells about a MySQL or MariaDB database: version, rights, settings, storage engines, triggers, keys.
//!
//! Only looks: rights are found by asking the server to explain what would need them, which also counts those that come
//! by a role. Invariant: each finding that is not in order says what to do.

use sqlx::Row;

use crate::engine::check::{about_rights, about_tables};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, general};
use crate::engine::mysql::introspect;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::sql::Sql;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table};
use crate::wire::frame::MAX_ROW_BYTES;

/// The oldest versions whose catalogue tells what is asked of it: major and minor.
const OLDEST_MARIADB: (u32, u32) = (10, 5);
const OLDEST_MYSQL: (u32, u32) = (8, 0);

/// A server's version.
struct Version {
    mariadb: bool,
    number: String,
}

impl Version {
    async fn ask(session: &mut Session, schemas: &Schemas) -> Result<Self, EngineError> {
        let mut query = schemas.sql();
        query.push("select version()");
        let text: String = session
            .one(&query)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|err| general(&err))?;
        Ok(match text.split_once("-MariaDB") {
            // Old clients take MariaDB 10 for MySQL 5 by this.
            Some((number, _)) => Self {
                mariadb: true,
                number: number.trim_start_matches("5.5.5-").to_owned(),
            },
            None => Self {
                mariadb: false,
                number: text,
            },
        })
    }

    fn words(&self) -> String {
        let name = if self.mariadb { "MariaDB" } else { "MySQL" };
        format!("{name} {}", self.number)
    }

    fn finding(&self) -> Finding {
        let mut parts = self.number.split('.').map(|part| part.parse().unwrap_or(0));
        let found: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let oldest = if self.mariadb {
            OLDEST_MARIADB
        } else {
            OLDEST_MYSQL
        };
        if found >= oldest {
            Finding::good(self.words())
        } else {
            Finding::bad(
                self.words(),
                "use MariaDB 10.5 or later, or MySQL 8.0 or later",
            )
        }
    }
}

/// The version, for people.
pub(super) async fn version(
    session: &mut Session,
    schemas: &Schemas,
) -> Result<String, EngineError> {
    Ok(Version::ask(session, schemas).await?.words())
}

/// All findings.
pub(super) async fn check(
    session: &mut Session,
    schemas: &Schemas,
    used: &TablesInUse,
) -> Result<Vec<Finding>, EngineError> {
    let mut findings = vec![Version::ask(session, schemas).await?.finding()];
    findings.extend(settings(session, schemas).await?);
    findings.extend(missing_schemas(session, schemas).await?);
    let tables = introspect::tables(session, schemas)
        .await
        .map_err(|err| general(&err))?;
    let account = account(session, schemas).await?;
    findings.push(temporary(session, &account, used).await?);
    findings.extend(rights(session, schemas, &tables, used).await?);
    findings.push(triggers(session, schemas, &account).await?);
    findings.extend(about_tables(&tables, used, Engine::Mysql));
    Ok(findings)
}

/// What of the server's settings stands in the way of some work.
async fn settings(session: &mut Session, schemas: &Schemas) -> Result<Vec<Finding>, EngineError> {
    let mut query = schemas.sql();
    query.push(
        "
select cast(@@global.max_allowed_packet as signed),
       cast(@@global.sql_mode as char) like '%STRICT_%',
       @@global.log_bin = 1 and @@global.binlog_format = 'STATEMENT',
       @@global.read_only = 1",
    );
    let row = session.one(&query).await.map_err(|err| general(&err))?;
    let read = |err: sqlx::Error| general(&err);
    let packet: i64 = row.try_get(0).map_err(read)?;
    let strict: bool = row.try_get(1).map_err(read)?;
    let by_statement: bool = row.try_get(2).map_err(read)?;
    let read_only: bool = row.try_get(3).map_err(read)?;
    let needed = i64::try_from(MAX_ROW_BYTES).unwrap_or(i64::MAX);
    let mut findings = vec![if packet < needed {
        Finding::bad(
            format!("max_allowed_packet is {packet} bytes: no larger row can be read or written"),
            format!("set max_allowed_packet to at least {needed}; a row may have that many"),
        )
    } else {
        Finding::good(format!("max_allowed_packet is {packet} bytes"))
    }];
    findings.push(Finding::good(if strict {
        "the server is strict: values that do not fit are refused"
    } else {
        "the server is not strict for other clients, which may store cut values and zero dates; this daemon's sessions are"
    }));
    if by_statement {
        findings.push(Finding::bad(
            "the binary log records statements: a replica may get other rows than arrive here",
            "set binlog_format to ROW or MIXED",
        ));
    }
    if read_only {
        findings.push(Finding::good(
            "the server is read-only: its tables can be given, and receive no rows",
        ));
    }
    Ok(findings)
}

async fn missing_schemas(
    session: &mut Session,
    schemas: &Schemas,
) -> Result<Vec<Finding>, EngineError> {
    let mut query = schemas.sql();
    query.push("select cast(schema_name as char) from information_schema.schemata");
    let seen: Vec<(String,)> = session.all(&query).await.map_err(|err| general(&err))?;
    let missing = schemas
        .all()
        .iter()
        .filter(|schema| !seen.iter().any(|(name,)| name == *schema));
    Ok(missing
        .map(|schema| {
            Finding::bad(
                format!("database {schema} does not exist, or this account has no right in it"),
                "correct site.schemas, or grant select on its tables",
            )
        })
        .collect())
}

async fn account(session: &mut Session, schemas: &Schemas) -> Result<String, EngineError> {
    let mut query = schemas.sql();
    query.push("select current_user()");
    let row = session.one(&query).await.map_err(|err| general(&err))?;
    row.try_get(0).map_err(|err| general(&err))
}

/// Whether the account may make a temporary table, by making one: what it leaves ends with the next statement.
async fn temporary(
    session: &mut Session,
    account: &str,
    used: &TablesInUse,
) -> Result<Finding, EngineError> {
    const TRIAL: &str =
        "create temporary table evenkeel_trial (id int primary key) engine = InnoDB;
        drop temporary table evenkeel_trial";
    match session.run(TRIAL).await.map_err(|err| general(&err)) {
        Ok(()) => Ok(Finding::good(format!(
            "{account} may make temporary tables"
        ))),
        Err(EngineError::Denied(_)) => {
            let what = format!(
                "{account} may not make temporary tables, so that rows are compared in small batches"
            );
            Ok(if used.received.is_empty() {
                Finding::good(what)
            } else {
                let hint = format!("grant create temporary tables on the database to {account}");
                Finding::bad(what, hint)
            })
        }
        Err(err) => Err(err),
    }
}

/// Tables the account cannot read or cannot write.
async fn rights(
    session: &mut Session,
    schemas: &Schemas,
    tables: &[Table],
    used: &TablesInUse,
) -> Result<Vec<Finding>, EngineError> {
    let (mut unreadable, mut unwritable) = (Vec::new(), Vec::new());
    for table in tables {
        let columns: Vec<&str> = table
            .columns
            .iter()
            .filter(|column| !column.generated)
            .map(|column| column.name.as_str())
            .collect();
        let [reading, writing @ ..] = trials(schemas, table, &columns);
        if !is_allowed(session, &reading, table).await? {
            unreadable.push(table.name.clone());
        }
        for trial in writing {
            if !is_allowed(session, &trial, table).await? {
                unwritable.push(table.name.clone());
                break;
            }
        }
    }
    Ok(about_rights(tables.len(), &unreadable, &unwritable, used))
}

/// What reads, inserts and updates, only explained.
fn trials(schemas: &Schemas, table: &Table, columns: &[&str]) -> [Sql; 3] {
    let [mut reading, mut inserting, mut updating] = std::array::from_fn(|_| schemas.sql());
    reading
        .push("explain select ")
        .idents(columns.iter().copied());
    reading.push(" from ").table(&table.name);
    inserting.push("explain insert into ").table(&table.name);
    inserting
        .push(" (")
        .idents(columns.iter().copied())
        .push(")");
    inserting.push(" values (");
    inserting.list(columns, ", ", |sql, _| {
        sql.push("default");
    });
    inserting.push(")");
    updating
        .push("explain update ")
        .table(&table.name)
        .push(" set ");
    updating.list(columns, ", ", |sql, column| {
        sql.ident(column).push(" = default");
    });
    [reading, inserting, updating]
}

async fn is_allowed(
    session: &mut Session,
    trial: &Sql,
    table: &Table,
) -> Result<bool, EngineError> {
    match session
        .execute(trial)
        .await
        .map_err(|err| fault(err, &table.name))
    {
        Ok(_) => Ok(true),
        Err(EngineError::Denied(_)) => Ok(false),
        // What else the server has against it is no matter of rights.
        Err(EngineError::Statement { .. } | EngineError::Locked { .. }) => Ok(true),
        Err(err) => Err(err),
    }
}

/// Triggers are told only to who may make some.
async fn triggers(
    session: &mut Session,
    schemas: &Schemas,
    account: &str,
) -> Result<Finding, EngineError> {
    let mut query = schemas.sql();
    query.push("show grants");
    let grants: Vec<(String,)> = session.all(&query).await.map_err(|err| general(&err))?;
    let sees = grants.iter().any(|(grant,)| {
        let rights = grant.split_once(" ON ").map_or("", |(rights, _)| rights);
        rights.contains("ALL PRIVILEGES") || rights.contains("TRIGGER")
    });
    Ok(Finding::good(if sees {
        format!("{account} sees triggers")
    } else {
        format!(
            "{account} sees no triggers, because it may not make any: what they change shows after a pull"
        )
    }))
}
