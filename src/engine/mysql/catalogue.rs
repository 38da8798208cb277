//! The questions asked of `information_schema`: a handful for all tables of a database together, not one per table.
//!
//! Answers are plain rows; [`super::introspect`] puts them together. Each question names one database, and the table
//! where only one is meant: MariaDB opens every table that it cannot rule out by that.

use crate::engine::mysql::connect::Session;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::sql::Sql;
use crate::model::table::TableName;

/// One table.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TableRow {
    pub(super) name: String,
    pub(super) engine: Option<String>,
    pub(super) estimate: Option<i64>,
    pub(super) size: Option<i64>,
}

/// One column.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ColumnRow {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) native: String,
    pub(super) digits: Option<i64>,
    pub(super) scale: Option<i64>,
    pub(super) fraction: Option<i64>,
    pub(super) length: Option<i64>,
    pub(super) collation: Option<String>,
    pub(super) nullable: bool,
    pub(super) generated: bool,
    pub(super) identity: bool,
    pub(super) has_default: bool,
}

/// One column of one unique index.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct KeyRow {
    pub(super) owner: String,
    pub(super) key: String,
    /// `None` for an expression.
    pub(super) name: Option<String>,
    pub(super) is_prefix: bool,
}

/// One column of one foreign key.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ForeignKeyRow {
    pub(super) owner: String,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) foreign_schema: String,
    pub(super) foreign_table: String,
    pub(super) foreign_name: String,
}

/// What a table's own name and one more say: a foreign key and its rule, a trigger, a check and its clause.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct NamedRow {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) text: String,
}

/// Tables with rows: no views, no sequences, no temporary tables.
const TABLES: &str = "
select cast(table_name as char) as name,
       cast(engine as char) as engine,
       cast(table_rows as signed) as estimate,
       cast(data_length + index_length as signed) as size
from information_schema.tables
where table_type in ('BASE TABLE', 'SYSTEM VERSIONED')";

/// MySQL calls a column `DEFAULT_GENERATED` whose default is an expression: it is none that is computed.
const COLUMNS: &str = "
select cast(table_name as char) as owner,
       cast(column_name as char) as name,
       cast(column_type as char) as native,
       cast(numeric_precision as signed) as digits,
       cast(numeric_scale as signed) as scale,
       cast(datetime_precision as signed) as fraction,
       cast(character_maximum_length as signed) as length,
       cast(collation_name as char) as collation,
       is_nullable = 'YES' as nullable,
       extra like '%VIRTUAL GENERATED%' or extra like '%STORED GENERATED%' or extra like '%PERSISTENT%' as generated,
       extra like '%auto_increment%' as identity,
       column_default is not null or extra like '%auto_increment%' as has_default
from information_schema.columns
where true";

const KEYS: &str = "
select cast(table_name as char) as owner,
       cast(index_name as char) as `key`,
       cast(column_name as char) as name,
       sub_part is not null as is_prefix
from information_schema.statistics
where non_unique = 0";

const FOREIGN_KEYS: &str = "
select cast(table_name as char) as owner,
       cast(constraint_name as char) as `key`,
       cast(column_name as char) as name,
       cast(referenced_table_schema as char) as foreign_schema,
       cast(referenced_table_name as char) as foreign_table,
       cast(referenced_column_name as char) as foreign_name
from information_schema.key_column_usage
where referenced_table_name is not null";

/// Nothing is told here to who may only read.
const RULES: &str = "
select cast(table_name as char) as owner,
       cast(constraint_name as char) as name,
       lower(cast(delete_rule as char)) as text
from information_schema.referential_constraints
where true";

/// Triggers, which are not told to who lacks the right `trigger`.
const TRIGGERS: &str = "
select cast(event_object_table as char) as owner,
       cast(trigger_name as char) as name,
       cast(event_manipulation as char) as text
from information_schema.triggers
where true";

/// MariaDB only. Nothing is told here to who may only read.
const CHECKS: &str = "
select cast(table_name as char) as owner,
       cast(constraint_name as char) as name,
       cast(check_clause as char) as text
from information_schema.check_constraints
where check_clause like 'json_valid(%'";

/// All answers about some tables of one database.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) mariadb: bool,
    pub(super) tables: Vec<TableRow>,
    pub(super) columns: Vec<ColumnRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) foreign_keys: Vec<ForeignKeyRow>,
    pub(super) rules: Vec<NamedRow>,
    pub(super) triggers: Vec<NamedRow>,
    pub(super) checks: Vec<NamedRow>,
}

/// What to ask about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) schemas: &'a Schemas,
    /// The database.
    pub(super) schema: &'a str,
    /// One table of it, or all.
    pub(super) name: Option<&'a str>,
}

impl Scope<'_> {
    fn question(&self, text: &'static str, columns: [&'static str; 2], order: &'static str) -> Sql {
        let [schema, name] = columns;
        let mut query = self.schemas.sql();
        query.push(text).push(" and ").push(schema).push(" = ");
        query.literal(self.schema);
        if let Some(table) = self.name {
            query.push(" and ").push(name).push(" = ").literal(table);
        }
        query.push(" order by ").push(order);
        query
    }
}

/// Asks about the tables of `scope`.
pub(super) async fn ask(session: &mut Session, scope: Scope<'_>) -> Result<Answers, sqlx::Error> {
    let own = ["table_schema", "table_name"];
    let constraint = ["constraint_schema", "table_name"];
    let tables: Vec<TableRow> = session.all(&scope.question(TABLES, own, "name")).await?;
    if tables.is_empty() {
        return Ok(Answers::default());
    }
    let mut version = scope.schemas.sql();
    version.push("select version() like '%MariaDB%' as mariadb");
    let (mariadb,): (bool,) = sqlx::FromRow::from_row(&session.one(&version).await?)?;
    let columns = scope.question(COLUMNS, own, "table_name, ordinal_position");
    let keys = scope.question(
        KEYS,
        own,
        "table_name, index_name <> 'PRIMARY', index_name, seq_in_index",
    );
    let foreign_keys = scope.question(
        FOREIGN_KEYS,
        own,
        "table_name, constraint_name, ordinal_position",
    );
    let rules = scope.question(RULES, constraint, "table_name, constraint_name");
    let triggers = scope.question(
        TRIGGERS,
        ["event_object_schema", "event_object_table"],
        "event_object_table, trigger_name",
    );
    let checks = scope.question(CHECKS, constraint, "table_name, constraint_name");
    Ok(Answers {
        mariadb,
        tables,
        columns: session.all(&columns).await?,
        keys: session.all(&keys).await?,
        foreign_keys: session.all(&foreign_keys).await?,
        rules: session.all(&rules).await?,
        triggers: session.all(&triggers).await?,
        checks: if mariadb {
            session.all(&checks).await?
        } else {
            Vec::new()
        },
    })
}

/// The statement that would make a table, as the server writes it: what it tells to who may only read.
pub(super) async fn definition(
    session: &mut Session,
    schemas: &Schemas,
    table: &TableName,
) -> Result<String, sqlx::Error> {
    let mut query = schemas.sql();
    query.push("show create table ").table(table);
    let row = session.one(&query).await?;
    sqlx::Row::try_get(&row, 1)
}
