//! What applying has to know of a table before it begins, and its sequences afterwards.
//!
//! Invariant: taken under the lock that keeps the table's form as it is.

use std::collections::BTreeSet;

use sqlx::Row;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::postgres::apply::begin::{SETTINGS, form};
use crate::engine::postgres::apply::stage::{KeyColumn, Pointing, Statements};
use crate::engine::postgres::connect::{DEFAULT_SCHEMA, Session, sql};
use crate::engine::postgres::fault::fault;
use crate::engine::postgres::lock::{LockMode, locked};
use crate::model::run::ConflictStrategy;
use crate::model::table::{Column, Table, TableName};

/// What was found.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) statements: Statements,
    /// Straight COPY may be used: nothing is there to be compared with.
    pub(super) straight: bool,
    /// COPY can write its rows, whatever it holds.
    pub(super) copies: bool,
    /// It held no rows.
    pub(super) began_empty: bool,
    /// Triggers or rules may leave a row out without an error.
    pub(super) has_triggers: bool,
    /// Equal keys may differ in bytes.
    pub(super) folded: bool,
    /// Columns that may be NULL for a moment while unique values change places.
    pub(super) parkable: Vec<String>,
    /// Columns filled by sequences.
    pub(super) identities: Vec<String>,
    /// What [`begin`](crate::engine::postgres::apply::begin::begin) has to tell.
    pub(super) form: String,
}

/// Looks at the table of `job` in a short transaction of its own.
pub(super) async fn prepare(
    session: &mut Session,
    schemas: &[String],
    job: &ApplyJob,
) -> Result<Destination, EngineError> {
    let name = &job.table.name;
    let engine = |err| fault(err, name);
    session.run(SETTINGS).await.map_err(engine)?;
    let table = locked(session, schemas, name, LockMode::RowExclusive).await?;
    if let Some(reason) = &table.not_writable {
        return Err(EngineError::of_table(&table.name, reason.clone()));
    }
    if !job.fits(&table) {
        return Err(EngineError::SchemaChanged(name.clone()));
    }
    let form = session.one(&form(name)).await;
    let form = form.and_then(|row| row.try_get(0)).map_err(engine)?;
    let found = look(session, &table, job, form).await?;
    session.run("commit").await.map_err(engine)?;
    Ok(found)
}

async fn look(
    session: &mut Session,
    table: &Table,
    job: &ApplyJob,
    form: String,
) -> Result<Destination, EngineError> {
    let engine = |err| fault(err, &table.name);
    let columns: Vec<Column> = job
        .columns
        .iter()
        .filter_map(|column| table.column(&column.name).cloned())
        .collect();
    let (folded, key) = match job.is_keyless() {
        true => (false, Vec::new()),
        false => {
            let folded = table.key_on(&job.key).is_none_or(|key| key.folded);
            (folded, key_columns(session, table, &job.key).await?)
        }
    };
    let identities = columns
        .iter()
        .filter(|column| column.identity)
        .map(|column| column.name.clone())
        .collect();
    let statements = Statements::new(job, columns, key, folded, &form);
    let began_empty: bool = session
        .one(&statements.is_empty())
        .await
        .and_then(|row| row.try_get(0))
        .map_err(engine)?;
    let has_rules = has_rules(session, table).await?;
    if has_rules && job.is_keyless() {
        return Err(EngineError::of_table(
            &table.name,
            "the table has rules, so that rows without a key cannot be told once they are written; \
             add the same primary key on both sides",
        ));
    }
    // Rules do not see what COPY writes.
    let copies = statements.fit_binary_copy() && !has_rules;
    Ok(Destination {
        parkable: parkable(session, table, job).await?,
        straight: began_empty && statements.inserts() && copies,
        statements,
        copies,
        began_empty,
        has_triggers: has_rules || !table.triggers.is_empty(),
        folded,
        identities,
        form,
    })
}

fn regclass(table: &Table) -> String {
    let mut name = sql();
    name.table(&table.name);
    name.text().to_owned()
}

async fn has_rules(session: &mut Session, table: &Table) -> Result<bool, EngineError> {
    let query = "select relhasrules from pg_class where oid = to_regclass($1)";
    let connection = session.raw().map_err(|err| fault(err, &table.name))?;
    sqlx::query_scalar(query)
        .bind(regclass(table))
        .fetch_one(connection)
        .await
        .map_err(|err| fault(err, &table.name))
}

/// The key in index order, each column with its index's own `=` and type: an extension has them outside the search path.
async fn key_columns(
    session: &mut Session,
    table: &Table,
    key: &[String],
) -> Result<Vec<KeyColumn>, EngineError> {
    let connection = session.raw().map_err(|err| fault(err, &table.name))?;
    let found: Vec<(Vec<String>, Vec<String>, Vec<String>)> = sqlx::query_as(
        "
select array_agg(a.attname::text order by k.position),
       array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by k.position),
       array_agg(format('%I.%I', y.nspname, y.typname) order by k.position)
from pg_index i
cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as k(attnum, class, position)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
join pg_opclass c on c.oid = k.class
join pg_amop m on m.amopfamily = c.opcfamily
  and m.amoplefttype = c.opcintype
  and m.amoprighttype = c.opcintype
  and m.amopstrategy = 3
join pg_operator o on o.oid = m.amopopr
join pg_namespace n on n.oid = o.oprnamespace
join (select t.oid, t.typname, s.nspname
      from pg_type t
      join pg_namespace s on s.oid = t.typnamespace) y on y.oid = c.opcintype
where i.indrelid = to_regclass($1)
  and i.indisunique
  and i.indisvalid
  and i.indimmediate
  and i.indpred is null
  and i.indexprs is null
  and k.position <= i.indnkeyatts
group by i.indexrelid, i.indisprimary
order by i.indisprimary desc, i.indexrelid",
    )
    .bind(regclass(table))
    .fetch_all(connection)
    .await
    .map_err(|err| fault(err, &table.name))?;
    let wanted: BTreeSet<&String> = key.iter().collect();
    let index = found
        .into_iter()
        .find(|(columns, ..)| columns.iter().collect::<BTreeSet<_>>() == wanted);
    let Some((columns, operators, types)) = index else {
        return Err(EngineError::of_table(
            &table.name,
            format!(
                "no unique index on ({}) can serve as the key",
                key.join(", ")
            ),
        ));
    };
    let parts = columns.into_iter().zip(operators).zip(types);
    let part = |((name, equals), compares)| KeyColumn {
        name,
        equals,
        compares,
    };
    Ok(parts.map(part).collect())
}

/// Nullable unique columns outside the key that no foreign key points to: emptying one cannot reach another table.
async fn parkable(
    session: &mut Session,
    table: &Table,
    job: &ApplyJob,
) -> Result<Vec<String>, EngineError> {
    if matches!(
        job.conflict,
        ConflictStrategy::Skip | ConflictStrategy::Merge
    ) {
        return Ok(Vec::new());
    }
    let connection = session.raw().map_err(|err| fault(err, &table.name))?;
    let pointed_to: Vec<String> = sqlx::query_scalar(
        "
select distinct a.attname::text
from pg_constraint c
join pg_attribute a on a.attrelid = c.confrelid and a.attnum = any(c.confkey)
where c.contype = 'f'
  and c.confrelid = to_regclass($1)",
    )
    .bind(regclass(table))
    .fetch_all(connection)
    .await
    .map_err(|err| fault(err, &table.name))?;
    let mut parkable = job.parkable(table);
    parkable.retain(|name| !pointed_to.contains(name));
    Ok(parkable)
}

/// Schema, table, whether it is the destination itself; then the destination's columns, the `=`, the columns that point.
type PointingRow = (String, String, bool, Vec<String>, Vec<String>, Vec<String>);

/// The foreign keys by which a deletion in `table` would delete or empty rows that point to it.
pub(super) async fn pointing(
    session: &mut Session,
    table: &TableName,
) -> Result<Vec<Pointing>, EngineError> {
    let engine = |err| fault(err, table);
    let mut name = sql();
    name.table(table);
    let found: Vec<PointingRow> = sqlx::query_as(
        "
select n.nspname::text,
       t.relname::text,
       c.conrelid = c.confrelid,
       array_agg(here.attname::text order by k.position),
       array_agg(format('operator(%I.%s)', o.nspname, o.oprname) order by k.position),
       array_agg(there.attname::text order by k.position)
from pg_constraint c
join pg_class t on t.oid = c.conrelid
join pg_namespace n on n.oid = t.relnamespace
cross join lateral unnest(c.confkey, c.conpfeqop, c.conkey) with ordinality as k(here, operator, there, position)
join pg_attribute here on here.attrelid = c.confrelid and here.attnum = k.here
join pg_attribute there on there.attrelid = c.conrelid and there.attnum = k.there
join (select p.oid, p.oprname, s.nspname
      from pg_operator p
      join pg_namespace s on s.oid = p.oprnamespace) o on o.oid = k.operator
where c.contype = 'f'
  and c.confrelid = to_regclass($1)
  and c.conparentid = 0
  and c.confdeltype in ('c', 'n', 'd')
group by c.oid, n.nspname, t.relname, c.conrelid, c.confrelid
order by c.oid",
    )
    .bind(name.text())
    .fetch_all(session.raw().map_err(engine)?)
    .await
    .map_err(engine)?;
    let pointing = |(schema, name, own, here, equals, there): PointingRow| {
        let pairs = here.into_iter().zip(equals).zip(there);
        Pointing {
            table: TableName {
                schema: (schema != DEFAULT_SCHEMA).then_some(schema),
                name,
            },
            pairs: pairs
                .map(|((here, equals), there)| (here, equals, there))
                .collect(),
            own,
        }
    };
    Ok(found.into_iter().map(pointing).collect())
}

/// Lets sequences owned by `identities` go on beyond the highest value, never back.
pub(super) async fn advance_sequences(
    session: &mut Session,
    table: &Table,
    identities: &[String],
) -> Result<(), EngineError> {
    if identities.is_empty() {
        return Ok(());
    }
    let engine = |err| fault(err, &table.name);
    let sequences: Vec<(String, String, String, i64)> = sqlx::query_as(
        "
select a.attname::text, n.nspname::text, s.relname::text, q.seqmax
from pg_depend d
join pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0
join pg_namespace n on n.oid = s.relnamespace
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.classid = 'pg_class'::regclass
  and d.refclassid = 'pg_class'::regclass
  and d.refobjid = to_regclass($1)
  and d.deptype in ('a', 'i')
  and a.attname = any($2)",
    )
    .bind(regclass(table))
    .bind(identities)
    .fetch_all(session.raw().map_err(engine)?)
    .await
    .map_err(engine)?;
    for (column, schema, name, highest) in sequences {
        let mut sequence = sql();
        sequence.ident(&schema).push(".").ident(&name);
        let mut statement = sql();
        statement
            .push("select setval(")
            .literal(sequence.text())
            .push("::regclass, least(t.top, ");
        statement
            .number(highest)
            .push(")) from (select max(")
            .ident(&column)
            .push(")::int8 as top from ");
        statement.table(&table.name).push(") t, ").append(&sequence);
        statement
            .push(" q where t.top > q.last_value or (t.top = q.last_value and not q.is_called)");
        session.execute(&statement).await.map_err(engine)?;
    }
    Ok(())
}
