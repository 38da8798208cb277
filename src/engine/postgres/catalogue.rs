//! The questions asked of `pg_catalog`: a handful for all tables together, never one per table.
//!
//! Answers are plain rows; [`super::introspect`] puts them together. Nothing here waits for a table's lock.

use sqlx::PgConnection;

/// One table.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TableRow {
    pub(super) oid: i64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) estimate: Option<i64>,
    pub(super) size: Option<i64>,
    pub(super) has_children: bool,
    pub(super) has_parent: bool,
}

/// One column.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ColumnRow {
    pub(super) oid: i64,
    pub(super) name: String,
    pub(super) type_oid: i64,
    pub(super) modifier: i32,
    pub(super) is_enum: bool,
    pub(super) native: String,
    pub(super) nullable: bool,
    pub(super) generated: bool,
    pub(super) identity: bool,
    pub(super) has_default: bool,
    pub(super) deterministic: bool,
}

/// One unique index that can be a key.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct KeyRow {
    pub(super) oid: i64,
    pub(super) is_primary: bool,
    pub(super) columns: Vec<String>,
    pub(super) deterministic: bool,
}

/// One foreign key.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ForeignKeyRow {
    pub(super) oid: i64,
    pub(super) columns: Vec<String>,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) foreign_columns: Vec<String>,
    pub(super) on_delete: String,
}

/// One trigger that fires when rows are written.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TriggerRow {
    pub(super) oid: i64,
    pub(super) name: String,
}

/// Ordinary and partitioned tables. A table under an exclusive lock has no size rather than a wait.
const TABLES: &str = "
select c.oid::int8 as oid,
       n.nspname::text as schema,
       c.relname::text as name,
       case when c.relkind = 'p' then leaves.estimate
            when c.reltuples < 0 then null
            when c.reltuples = 0 and c.relpages = 0 and current_setting('server_version_num')::int < 140000 then null
            else c.reltuples::int8
       end as estimate,
       case when c.relkind = 'p' then leaves.size
            when not locked.is then pg_total_relation_size(c.oid)
       end as size,
       c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid) as has_children,
       exists (select from pg_inherits i where i.inhrelid = c.oid) as has_parent
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select c.oid in (select l.relation from pg_locks l where l.mode = 'AccessExclusiveLock' and l.relation is not null) as is
) locked
left join lateral (
  select sum(leaf.reltuples) filter (where leaf.reltuples >= 0)::int8 as estimate,
         case when not locked.is then sum(pg_total_relation_size(leaf.oid))::int8 end as size
  from pg_partition_tree(c.oid) part
  join pg_class leaf on leaf.oid = part.relid
  where c.relkind = 'p' and part.isleaf
) leaves on true
where c.relkind in ('r', 'p')
  and not c.relispartition
  and n.nspname = any($1)
  and ($2::text is null or c.relname = $2)
order by n.nspname, c.relname";

/// Columns with domains followed down to their base type.
const COLUMNS: &str = "
with recursive domain_base as (
  select t.oid as domain, t.typbasetype as base, t.typtypmod as modifier, t.typnotnull as filled,
         t.typdefault is not null as has_default
  from pg_type t
  where t.typtype = 'd'
  union all
  select d.domain, t.typbasetype, case when d.modifier = -1 then t.typtypmod else d.modifier end,
         d.filled or t.typnotnull, d.has_default or t.typdefault is not null
  from domain_base d
  join pg_type t on t.oid = d.base
  where t.typtype = 'd'
)
select a.attrelid::int8 as oid,
       a.attname::text as name,
       base.oid::int8 as type_oid,
       coalesce(d.modifier, a.atttypmod) as modifier,
       base.typtype = 'e' as is_enum,
       format_type(a.atttypid, a.atttypmod) as native,
       not (a.attnotnull or coalesce(d.filled, false)) as nullable,
       a.attgenerated <> '' as generated,
       a.attidentity <> '' or exists (
         select
         from pg_depend owned
         join pg_class s on s.oid = owned.objid and s.relkind = 'S'
         where owned.classid = 'pg_class'::regclass
           and owned.refclassid = 'pg_class'::regclass
           and owned.refobjid = a.attrelid
           and owned.refobjsubid = a.attnum
           and owned.deptype in ('a', 'i')
       ) as identity,
       (a.atthasdef and a.attgenerated = '') or a.attidentity <> '' or coalesce(d.has_default, false) as has_default,
       coalesce(l.collisdeterministic, true) as deterministic
from pg_attribute a
left join domain_base d on d.domain = a.atttypid
  and d.base not in (select t.oid from pg_type t where t.typtype = 'd')
join pg_type base on base.oid = coalesce(d.base, a.atttypid)
left join pg_collation l on l.oid = a.attcollation
where a.attrelid = any($1::int8[]::oid[])
  and a.attnum > 0
  and not a.attisdropped
order by a.attrelid, a.attnum";

/// Unique indexes that are valid, immediate, not partial and on plain columns.
const KEYS: &str = "
select i.indrelid::int8 as oid,
       i.indisprimary as is_primary,
       array_agg(a.attname::text order by k.position) as columns,
       bool_and(coalesce(l.collisdeterministic, true)) as deterministic
from pg_index i
cross join lateral unnest(i.indkey::int2[], i.indcollation::oid[]) with ordinality as k(attnum, collation_oid, position)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
left join pg_collation l on l.oid = k.collation_oid
where i.indrelid = any($1::int8[]::oid[])
  and i.indisunique
  and i.indisvalid
  and i.indimmediate
  and i.indpred is null
  and i.indexprs is null
  and k.position <= i.indnkeyatts
group by i.indexrelid, i.indrelid, i.indisprimary
order by i.indrelid, i.indisprimary desc, i.indexrelid";

const FOREIGN_KEYS: &str = "
select c.conrelid::int8 as oid,
       array_agg(own.attname::text order by k.position) as columns,
       n.nspname::text as schema,
       f.relname::text as name,
       array_agg(other.attname::text order by k.position) as foreign_columns,
       case c.confdeltype
         when 'r' then 'restrict'
         when 'c' then 'cascade'
         when 'n' then 'set null'
         when 'd' then 'set default'
         else 'no action'
       end as on_delete
from pg_constraint c
cross join lateral unnest(c.conkey, c.confkey) with ordinality as k(own, other, position)
join pg_attribute own on own.attrelid = c.conrelid and own.attnum = k.own
join pg_attribute other on other.attrelid = c.confrelid and other.attnum = k.other
join pg_class f on f.oid = c.confrelid
join pg_namespace n on n.oid = f.relnamespace
where c.contype = 'f'
  and c.conparentid = 0
  and c.conrelid = any($1::int8[]::oid[])
group by c.oid, c.conrelid, n.nspname, f.relname, c.confdeltype
order by c.conrelid, c.oid";

/// Enabled triggers for inserts (bit 4), deletes (bit 8) and updates (bit 16), also those on single partitions.
const TRIGGERS: &str = "
select distinct coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::int8 as oid,
       t.tgname::text as name
from pg_trigger t
where not t.tgisinternal
  and t.tgenabled in ('O', 'A')
  and t.tgtype::int & 28 <> 0
  and coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) = any($1::int8[]::oid[])
order by 1, 2";

/// All answers about some tables.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) tables: Vec<TableRow>,
    pub(super) columns: Vec<ColumnRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) foreign_keys: Vec<ForeignKeyRow>,
    pub(super) triggers: Vec<TriggerRow>,
}

/// Asks about the tables of `schemas`, or about the one called `name` in them.
pub(super) async fn ask(
    connection: &mut PgConnection,
    schemas: &[String],
    name: Option<&str>,
) -> Result<Answers, sqlx::Error> {
    let tables: Vec<TableRow> = sqlx::query_as(TABLES)
        .bind(schemas)
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
    if tables.is_empty() {
        return Ok(Answers::default());
    }
    let oids: Vec<i64> = tables.iter().map(|table| table.oid).collect();
    Ok(Answers {
        columns: sqlx::query_as(COLUMNS)
            .bind(&oids)
            .fetch_all(&mut *connection)
            .await?,
        keys: sqlx::query_as(KEYS)
            .bind(&oids)
            .fetch_all(&mut *connection)
            .await?,
        foreign_keys: sqlx::query_as(FOREIGN_KEYS)
            .bind(&oids)
            .fetch_all(&mut *connection)
            .await?,
        triggers: sqlx::query_as(TRIGGERS)
            .bind(&oids)
            .fetch_all(&mut *connection)
            .await?,
        tables,
    })
}
